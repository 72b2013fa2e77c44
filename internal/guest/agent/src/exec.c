#include "program.h"

// pipes connects the program: standard streams or a terminal, and the control
// socket of a warm interpreter.
static long pipes(struct program *p, struct launch *l) {
	int a[2] = {-1, -1}, b[2] = {-1, -1}, c[2] = {-1, -1}, d[2] = {-1, -1};
	if (p->terminal) return tty_open(p, l);
	long bad = sys2(__NR_pipe2, a, O_CLOEXEC);
	if (!bad) bad = sys2(__NR_pipe2, b, O_CLOEXEC);
	if (!bad) bad = sys2(__NR_pipe2, c, O_CLOEXEC);
	if (!bad && p->warm) bad = sys4(__NR_socketpair, 1, 1 | O_CLOEXEC, 0, d);
	p->in = a[1], p->out = b[0], p->err = c[0], p->control = d[0];
	l->in = a[0], l->out = b[1], l->err = c[1], l->control = d[1];
	if (bad) return bad;
	sys3(__NR_fcntl, p->in, F_SETFL, O_NONBLOCK);
	sys3(__NR_fcntl, p->out, F_SETFL, O_NONBLOCK);
	sys3(__NR_fcntl, p->err, F_SETFL, O_NONBLOCK);
	return 0;
}

// A program that cannot be run ends like in a shell: 127 not found, 126 else.
static void report_unrunnable(struct program *p, const struct launch *l) {
	const char *say = l->lost ? "brig: cannot run in " : "brig: cannot run ", *what = l->lost ? l->dir : l->argv[0];
	const char *why = l->error == -ENOENT ? ": not found\n" : l->error == -EACCES ? ": permission denied\n" :
		l->error == -ENOTDIR && l->lost ? ": it is no directory\n" : l->error == -E2BIG ? ": an argument is too long\n" :
		": it is no program that this system can run\n";
	uint32_t room, n = (uint32_t)str_len(say), name = (uint32_t)str_len(what);
	if (name > 200) name = 200;
	if (!p->warm) send_started(p); // of a warm one it would mean that it is ready
	frame_begin(T_STDERR, p->stream);
	uint8_t *b = frame_raw(&room);
	memcpy(b, say, n);
	memcpy(b + n, what, name);
	n += name;
	memcpy(b + n, why, str_len(why));
	send_output(p, n + (uint32_t)str_len(why));
	p->exited = 1;
	p->status = (l->error == -ENOENT ? 127u : 126u) << 8;
	settle(p);
}

static void launch(struct program *p, struct launch *l) {
	static uint8_t stack[64 << 10] __attribute__((aligned(16)));
	const char *what = p->terminal ? "cannot make a terminal" : "cannot make pipes";
	l->in = l->out = l->err = l->control = -1;
	l->error = 0;
	long pid = pipes(p, l);
	if (!pid) {
		what = "cannot start a process";
		pid = spawn(CLONE_VM | CLONE_VFORK | SIGCHLD, stack + sizeof stack, become, l);
	}
	shut(&l->in), shut(&l->out), shut(&l->err), shut(&l->control);
	if (pid < 0) {
		send_err(p->stream, pid, what);
		program_close(p);
		return;
	}
	if (l->error) {
		sys4(__NR_wait4, pid, 0, 0, 0);
		report_unrunnable(p, l);
		return;
	}
	p->pid = p->child = (int32_t)pid;
	if (!p->warm) send_started(p);
}

// parse reads the request into l, whose strings stay in the payload. It returns
// 0 when the request is malformed or too long.
static int parse(struct launch *l, struct fields *f) {
	static char *args[4096];
	static char cwd[PATH_LEN];
	l->flags = take_u32(f);
	l->dir = take_str(f);
	l->cwd = (char *)inside(l->dir, cwd);
	l->cpu_seconds = take_u32(f);
	l->nproc = take_u32(f);
	l->nofile = take_u32(f);
	uint32_t at = 0, argc = take_u32(f);
	l->argv = args;
	for (uint32_t i = 0; i < argc && !f->bad && at < 4000; i++) args[at++] = take_str(f);
	args[at++] = 0;
	l->envp = args + at;
	uint32_t envc = take_u32(f);
	for (uint32_t i = 0; i < envc && !f->bad && at < 4094; i++) {
		args[at] = take_str(f);
		if (str_prefix(args[at], "PATH=")) l->path = args[at] + 5;
		at++;
	}
	args[at] = 0;
	l->rows = take_u32(f);
	l->cols = take_u32(f);
	l->uid = l->flags & EXEC_AS ? take_u32(f) : USER_ID;
	l->gid = l->flags & EXEC_AS ? take_u32(f) : USER_ID;
	return !f->bad && f->p == f->end && argc && l->cwd;
}

void exec_start(uint32_t stream, uint8_t *payload, uint32_t n) {
	struct fields f = {payload, payload + n, 0}, peek = f;
	struct launch l = {.path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"};
	warm_let_go();
	if (take_u32(&peek) & EXEC_WARM) {
		warm_run(stream, payload, n);
		return;
	}
	if (!parse(&l, &f)) {
		send_err(stream, E2BIG, "the request has too many or malformed arguments");
		return;
	}
	struct program *p = program_new(stream);
	if (!p) {
		send_err(stream, EBUSY, "too many programs at once");
		return;
	}
	p->warm = !!(l.flags & EXEC_WARM_START);
	p->forks = !!(l.flags & EXEC_FORK);
	p->keep = !!(l.flags & EXEC_KEEP);
	p->terminal = l.flags & EXEC_TERMINAL && !p->warm;
	p->mark = l.mark = tree_mark();
	launch(p, &l);
}
