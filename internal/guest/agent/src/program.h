// Programs, from EXEC to EXIT: what the files that keep them share.
#ifndef BRIG_PROGRAM_H
#define BRIG_PROGRAM_H

#include "agent.h"

enum {
	// What is still taken from each of a program's streams when it has ended: as
	// much as a pipe can hold, since those that it left behind may refill it.
	DRAIN = 1280 << 10,
	END_OF_INPUT = 4, // ^D, to a terminal
};

// A program. Descriptors are -1 when closed. warm programs are the baked
// interpreter between and during its runs.
struct program {
	int used;
	int attached; // somebody listens on stream; else START or nobody yet
	uint32_t stream;
	int32_t pid;      // what wait4 answers for; of a forking interpreter: itself
	int32_t child;    // process that signals go to
	uint32_t mark;    // group that everything it starts is in
	int in, out, err; // our ends of its pipes, or of its terminal (then no err)
	int control;      // to a warm interpreter
	int warm, idle, forks, keep, terminal;
	uint32_t credit; // output that the host takes now
	int exited;
	uint32_t status;
	int64_t out_left, err_left; // of DRAIN
	int in_eof;                 // close in once the buffer is out
	uint32_t in_at, in_len;
	uint64_t cpu_us, disk_peak, inode_peak;
	uint32_t tasks_peak;
};
extern struct program programs[MAX_PROGRAMS];

// What the child needs to become the program; it lives on our stack while we
// are stopped.
struct launch {
	int in, out, err, control;
	uint32_t flags, cpu_seconds, nproc, nofile, mark, rows, cols;
	uint32_t uid, gid; // whom to become, unless EXEC_ROOT
	char *cwd, **argv, **envp;
	const char *dir; // cwd as the host calls it
	const char *path; // value of PATH
	volatile long error;
	volatile int lost; // what failed is going to cwd
};

// program.c
struct program *program_of(uint32_t stream);
struct program *program_new(uint32_t stream);
void program_close(struct program *p);
void shut(int *fd);

// become.c: runs in the child, on a struct launch; returns only when it failed.
void become(void *launch);

// streams.c
void send_started(const struct program *p);
// send_output sends n bytes that are in the frame begun for p.
void send_output(struct program *p, uint32_t n);
// settle ends a program that has exited, as soon as the host has room for what
// it wrote.
void settle(struct program *p);

// left.c: takes over a pipe from which nobody reads any more
void left_add(int *fd);

// warm.c
struct program *warm_idle(void);
void warm_run(uint32_t stream, const uint8_t *payload, uint32_t n);
void warm_hear(struct program *p);
void warm_let_go(void);

// tty.c
long tty_open(struct program *p, struct launch *l);
long tty_control(void);
void tty_resize(int fd, uint32_t rows, uint32_t cols);

// tree.c
uint32_t tree_mark(void);
void tree_signal(const struct program *p, int signo);

#endif
