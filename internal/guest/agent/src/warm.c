#include "program.h"

// The control descriptor of a warm interpreter that reported its end; it exits
// when this is closed.
static int lingering = -1;

void warm_let_go(void) { shut(&lingering); }

struct program *warm_idle(void) {
	for (int i = 0; i < MAX_PROGRAMS; i++)
		if (programs[i].used && programs[i].idle) return &programs[i];
	return 0;
}

// warm_run gives the request to the warm interpreter, seed first; it answers
// with the pid that runs it.
void warm_run(uint32_t stream, const uint8_t *payload, uint32_t n) {
	struct program *p = warm_idle();
	if (!p || n > MAX_FRAME) {
		send_err(stream, ENODEV, "there is no idle interpreter");
		return;
	}
	p->idle = 0;
	p->attached = 1;
	p->stream = stream;
	p->credit = OUTPUT_WINDOW;
	p->exited = p->in_eof = 0;
	p->out_left = p->err_left = DRAIN;
	p->in_at = p->in_len = 0;
	p->disk_peak = p->inode_peak = p->tasks_peak = 0;
	static uint8_t request[4 + SEED_LEN + MAX_FRAME];
	uint32_t len = SEED_LEN + n;
	memcpy(request, &len, 4);
	memcpy(request + 4, config.seed, SEED_LEN);
	memcpy(request + 4 + SEED_LEN, payload, n);
	write_all(p->control, request, 4 + len);
	if (!p->forks) send_started(p);
}

// exec_prime sends the warm interpreter a request of no length; it answers R.
void exec_prime(uint32_t stream) {
	struct program *p = warm_idle();
	uint32_t len = 0;
	if (!p) {
		send_err(stream, ENODEV, "there is no idle interpreter");
		return;
	}
	p->stream = stream;
	write_all(p->control, &len, 4);
}

// warm_hear reads the warm interpreter's control bytes: R ready; P and a pid; X, a
// status and processor time in µs. The interpreter that runs the program in
// place says X when it has nothing left to do but to die, and lingers until another
// program is wanted: the sandbox mostly goes first, and then nobody has to take its
// memory apart. A program that forges X has only found another way to exit.
void warm_hear(struct program *p) {
	uint8_t m[13];
	long n = sys6(__NR_recvfrom, p->control, (long)m, 1, 0x40 /* MSG_DONTWAIT */, 0, 0);
	if (n == -EAGAIN || n == -EINTR) return;
	if (n <= 0) {
		shut(&p->control);
		return;
	}
	if (m[0] == 'R') {
		send_started(p);
		p->idle = 1;
		return;
	}
	long more = m[0] == 'X' ? 12 : 4;
	if (sys6(__NR_recvfrom, p->control, (long)(m + 1), more, 0x100 /* MSG_WAITALL */, 0, 0) != more) {
		shut(&p->control);
		return;
	}
	if (m[0] == 'P' && !p->idle) {
		memcpy(&p->child, m + 1, 4);
		send_started(p);
	}
	if (m[0] == 'X' && !p->idle && !p->exited) {
		memcpy(&p->status, m + 1, 4);
		memcpy(&p->cpu_us, m + 5, 8);
		if (!p->forks) {
			lingering = p->control;
			p->control = -1;
		}
		p->exited = 1;
		settle(p);
	}
}
