#include "program.h"

// Input that a program has not taken yet: apart from the programs, so that a
// buffer's pages stay untouched until it is needed.
static uint8_t inputs[MAX_PROGRAMS][WINDOW];

static int frozen;

static uint8_t *input_of(const struct program *p) { return inputs[p - programs]; }

void exec_stdin(uint32_t stream, const uint8_t *b, uint32_t n) {
	struct program *p = program_of(stream);
	if (!p || p->in < 0 || p->in_eof || p->forks) return; // a forked program's input is empty
	uint8_t *buf = input_of(p);
	if (p->in_at) { // make room at the end
		for (uint32_t i = 0; i < p->in_len; i++) buf[i] = buf[p->in_at + i];
		p->in_at = 0;
	}
	if (n > WINDOW - p->in_len) n = WINDOW - p->in_len; // beyond the window: the host broke its word
	memcpy(buf + p->in_len, b, n);
	p->in_len += n;
}

// end_input closes a program's input, which has been passed on. A terminal stays
// open: its end is a character.
static void end_input(struct program *p) {
	static const uint8_t eof = END_OF_INPUT;
	if (p->forks || p->in < 0) return;
	if (p->terminal && sys3(__NR_write, p->in, &eof, 1) == -EAGAIN) return;
	shut(&p->in);
}

void exec_stdin_eof(uint32_t stream) {
	struct program *p = program_of(stream);
	if (!p) return;
	p->in_eof = 1;
	if (!p->in_len) end_input(p);
}

void send_window(uint32_t stream, uint32_t n) {
	frame_begin(T_WINDOW, stream);
	frame_u32(n);
	frame_send();
}

static void feed(struct program *p) {
	long n = 0;
	if (p->in_len) n = sys3(__NR_write, p->in, input_of(p) + p->in_at, p->in_len);
	if (n == -EAGAIN || n == -EINTR) return;
	if (n < 0) { // the program closed its input: swallow the rest
		n = p->in_len;
		shut(&p->in);
	}
	p->in_at += (uint32_t)n;
	p->in_len -= (uint32_t)n;
	if (n && p->attached) send_window(p->stream, (uint32_t)n);
	if (!p->in_len && p->in_eof) end_input(p);
}

void send_started(const struct program *p) {
	frame_begin(T_STARTED, p->stream);
	frame_u32((uint32_t)p->child);
	frame_send();
}

void send_output(struct program *p, uint32_t n) {
	frame_raw_len(n);
	frame_send();
	p->credit -= n + OUTPUT_COST;
}

// reads says whether a program's output is wanted now: the host has room for
// it, or nobody listens and it is to be thrown away.
static int reads(const struct program *p) { return p->attached ? p->credit > OUTPUT_COST : !p->keep; }

// pump moves one buffer from a program to the channel, or nowhere. It returns how
// much, 0 when there is nothing now, and closes the descriptor at its end.
static uint32_t pump(struct program *p, int *fd, uint8_t type) {
	uint32_t room;
	if (*fd < 0) return 0;
	frame_begin(type, p->stream);
	uint8_t *b = frame_raw(&room);
	if (p->attached && room > p->credit - OUTPUT_COST) room = p->credit - OUTPUT_COST;
	long n;
	do n = sys3(__NR_read, *fd, b, room);
	while (n == -EINTR);
	if (n == -EAGAIN) return 0;
	if (n <= 0) { // of a terminal that nobody has open any more: EIO
		shut(fd);
		return 0;
	}
	if (p->attached) send_output(p, (uint32_t)n);
	return (uint32_t)n;
}

// drain takes what a program wrote before it ended, without waiting for those
// that it left behind and that may hold the pipe open. It returns 0 when the host
// has no room for it now.
static int drain(struct program *p, int *fd, uint8_t type, int64_t *left) {
	while (*left > 0) {
		if (!reads(p)) return *fd < 0;
		uint32_t n = pump(p, fd, type);
		*left -= n ? n : DRAIN;
	}
	return 1;
}

// look notes how full the disk is; it gives the limits too.
static void look(struct program *p, uint64_t *disk_limit, uint64_t *inode_limit) {
	struct statfs fs;
	*disk_limit = *inode_limit = 0;
	// Without a boundary these would be the host's figures.
	if (config.root || sys2(__NR_statfs, "/", &fs)) return;
	uint64_t disk = (uint64_t)(fs.f_blocks - fs.f_bfree) * (uint64_t)fs.f_bsize;
	uint64_t inodes = (uint64_t)(fs.f_files - fs.f_ffree);
	if (disk > p->disk_peak) p->disk_peak = disk;
	if (inodes > p->inode_peak) p->inode_peak = inodes;
	*disk_limit = (uint64_t)fs.f_blocks * (uint64_t)fs.f_bsize;
	*inode_limit = (uint64_t)fs.f_files;
}

static void send_exit(struct program *p) {
	uint64_t disk, inodes;
	look(p, &disk, &inodes);
	frame_begin(T_EXIT, p->stream);
	frame_u32(p->status);
	frame_u64(p->cpu_us);
	frame_u64(p->disk_peak);
	frame_u64(disk);
	frame_u64(p->inode_peak);
	frame_u64(inodes);
	frame_u32(p->tasks_peak);
	frame_send();
}

void settle(struct program *p) {
	if (frozen || (!p->attached && p->keep)) return;
	if (!drain(p, &p->out, T_STDOUT, &p->out_left) || !drain(p, &p->err, T_STDERR, &p->err_left)) return;
	if (p->attached) send_exit(p);
	if (p->warm && p->forks && p->pid > 0) { // the interpreter lives: next please
		p->idle = 1;
		p->child = p->pid;
		p->in_at = p->in_len = 0;
		return;
	}
	if (!p->terminal) left_add(&p->out), left_add(&p->err);
	program_close(p);
}

// exec_window is the host's word that it has taken n bytes of output.
void exec_window(uint32_t stream, struct fields *f) {
	enum { MOST = 1 << 30 };
	uint32_t n = take_u32(f);
	if (f->bad || link_window(stream, n)) return;
	struct program *p = program_of(stream);
	if (!p) return;
	p->credit = n > MOST - p->credit ? MOST : p->credit + n;
	if (p->exited) settle(p);
}

int exec_poll_set(struct pollfd *set) {
	int n = 0;
	for (int i = 0; i < MAX_PROGRAMS; i++) {
		struct program *p = &programs[i];
		if (!p->used) continue;
		int runs = !p->idle && !p->exited, listen = runs && reads(p), type = p->in_len || (p->in_eof && !p->forks);
		set[n++] = (struct pollfd){listen ? p->out : -1, POLLIN, 0};
		set[n++] = (struct pollfd){listen ? p->err : -1, POLLIN, 0};
		set[n++] = (struct pollfd){runs && type ? p->in : -1, POLLOUT, 0};
		set[n++] = (struct pollfd){p->control, POLLIN, 0};
	}
	return n;
}

void exec_poll_done(const struct pollfd *set, int n) {
	int at = 0;
	for (int i = 0; i < MAX_PROGRAMS && at < n; i++) {
		struct program *p = &programs[i];
		if (!p->used) continue;
		const struct pollfd *s = set + at;
		at += 4;
		// First, because an interpreter says who runs before that prints.
		if (s[3].revents && p->control >= 0) warm_hear(p);
		if (!p->used || p->idle || p->exited) continue;
		if (s[0].revents) pump(p, &p->out, T_STDOUT);
		if (s[1].revents && reads(p)) pump(p, &p->err, T_STDERR);
		if (s[2].revents && p->in >= 0) feed(p);
	}
}

static void ended(struct program *p, int status, const struct rusage *ru) {
	p->pid = -1;
	if (p->idle) { // nobody waits for it
		program_close(p);
		return;
	}
	if (p->exited) return; // the interpreter told before
	p->status = (uint32_t)status;
	p->exited = 1;
	p->cpu_us = (uint64_t)(ru->ru_utime.tv_sec + ru->ru_stime.tv_sec) * 1000000u + (uint64_t)(ru->ru_utime.tv_usec + ru->ru_stime.tv_usec);
	settle(p);
}

void exec_reap(void) {
	for (;;) {
		int status;
		struct rusage ru;
		long pid = sys4(__NR_wait4, -1, &status, 1 /* WNOHANG */, &ru);
		if (pid <= 0) break;
		for (int i = 0; i < MAX_PROGRAMS; i++)
			if (programs[i].used && programs[i].pid == pid) ended(&programs[i], status, &ru);
	}
}

void exec_freeze(void) { frozen = 1; }

int exec_frozen(void) { return frozen; }

void exec_thaw(void) {
	frozen = 0;
	for (int i = 0; i < MAX_PROGRAMS; i++)
		if (programs[i].used && programs[i].exited && !programs[i].idle) settle(&programs[i]);
	exec_reap(); // a snapshot may have come between a child's end and the signal of it
}

struct sysinfo_head { // <linux/sysinfo.h>, up to what is used
	long uptime;
	unsigned long loads[3], totalram, freeram, sharedram, bufferram, totalswap, freeswap;
	unsigned short procs;
	uint8_t rest[64];
};

void exec_watch(void) {
	uint64_t disk, inodes;
	struct sysinfo_head si;
	for (int i = 0; i < MAX_PROGRAMS; i++) {
		struct program *p = &programs[i];
		if (!p->used || p->idle) continue;
		look(p, &disk, &inodes);
		if (!config.root && sys1(__NR_sysinfo, &si) == 0 && si.procs > p->tasks_peak) p->tasks_peak = si.procs;
	}
}
