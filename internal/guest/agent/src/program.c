#include "program.h"

struct program programs[MAX_PROGRAMS];

struct program *program_of(uint32_t stream) {
	for (int i = 0; i < MAX_PROGRAMS; i++) {
		struct program *p = &programs[i];
		if (p->used && p->attached && !p->idle && p->stream == stream) return p;
	}
	return 0;
}

void shut(int *fd) {
	if (*fd >= 0) sys1(__NR_close, *fd);
	*fd = -1;
}

void program_close(struct program *p) {
	shut(&p->in);
	shut(&p->out);
	shut(&p->err);
	shut(&p->control);
	p->used = 0;
}

// free_place finds a place: an unused one, else that of a program which ended
// while nobody listened and for which nobody came.
static struct program *free_place(void) {
	struct program *over = 0;
	for (int i = 0; i < MAX_PROGRAMS; i++) {
		struct program *p = &programs[i];
		if (!p->used) return p;
		if (p->exited && !p->attached && !over) over = p;
	}
	if (over) program_close(over);
	return over;
}

struct program *program_new(uint32_t stream) {
	struct program *p = free_place();
	if (!p) return 0;
	memset(p, 0, sizeof *p);
	p->used = p->attached = 1;
	p->stream = stream;
	p->credit = OUTPUT_WINDOW;
	p->pid = p->child = -1;
	p->in = p->out = p->err = p->control = -1;
	p->out_left = p->err_left = DRAIN;
	return p;
}

// exec_detach is for START: the host that listened is gone. What a program has
// to say is thrown away from here on, or kept for ATTACH.
void exec_detach(void) {
	for (int i = 0; i < MAX_PROGRAMS; i++) {
		struct program *p = &programs[i];
		if (!p->used || p->idle) continue;
		p->attached = 0;
		if (p->exited) settle(p);
	}
}

void exec_attach(uint32_t stream, struct fields *f) {
	uint32_t pid = take_u32(f);
	for (int i = 0; i < MAX_PROGRAMS && !f->bad; i++) {
		struct program *p = &programs[i];
		if (!p->used || p->attached || p->idle || (uint32_t)p->child != pid) continue;
		p->attached = 1;
		p->stream = stream;
		p->credit = OUTPUT_WINDOW;
		send_started(p);
		send_window(stream, WINDOW - p->in_len);
		if (p->exited) settle(p);
		return;
	}
	send_err(stream, f->bad ? EBADMSG : ESRCH, "there is no such program");
}

void exec_signal(uint32_t stream, struct fields *f) {
	uint32_t signo = take_u32(f), tree = take_u32(f);
	struct program *p = program_of(stream);
	if (f->bad || !p || signo > 64) return;
	if (tree && !config.root) tree_signal(p, (int)signo);
	else if (!p->exited && p->child > 1 && sys2(__NR_kill, -(long)p->child, signo) == -ESRCH)
		sys2(__NR_kill, p->child, signo);
}

void exec_resize(uint32_t stream, struct fields *f) {
	uint32_t rows = take_u32(f), cols = take_u32(f);
	struct program *p = program_of(stream);
	if (!f->bad && p && p->terminal && p->out >= 0) tty_resize(p->out, rows, cols);
}

// exec_running says whether there is a program to watch; one that is to be kept
// is a service, whose peaks nobody asks for.
int exec_running(void) {
	for (int i = 0; i < MAX_PROGRAMS; i++) {
		struct program *p = &programs[i];
		if (p->used && p->attached && !p->idle && !p->exited && !p->keep) return 1;
	}
	return 0;
}

void exec_kill_all(void) {
	for (int i = 0; i < MAX_PROGRAMS; i++)
		if (programs[i].used && programs[i].pid > 1) sys2(__NR_kill, -(long)programs[i].pid, SIGKILL);
}
