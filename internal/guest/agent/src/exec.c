#include "agent.h"

// A program, from EXEC to EXIT. Descriptors are -1 when closed. warm programs
// are the baked interpreter between and during its runs.
static struct program {
	int used;
	uint32_t stream;
	int32_t pid;      // what wait4 answers for; of a forking interpreter: itself
	int32_t child;    // process that signals go to
	int in, out, err; // our ends of its pipes
	int control;      // to a warm interpreter
	int warm, idle, forks;
	int exited;
	uint32_t status;
	int in_eof;       // close in once the buffer is out
	uint32_t in_at, in_len;
	uint8_t in_buf[WINDOW];
	uint64_t cpu_us, disk_peak, inode_peak;
	uint32_t tasks_peak;
} programs[MAX_PROGRAMS];

struct sysinfo_head { // <linux/sysinfo.h>, up to what is used
	long uptime;
	unsigned long loads[3], totalram, freeram, sharedram, bufferram, totalswap, freeswap;
	unsigned short procs;
	uint8_t rest[64];
};

static struct program *program_of(uint32_t stream) {
	for (int i = 0; i < MAX_PROGRAMS; i++)
		if (programs[i].used && !programs[i].idle && programs[i].stream == stream) return &programs[i];
	return 0;
}

static void shut(int *fd) {
	if (*fd >= 0) sys1(__NR_close, *fd);
	*fd = -1;
}

// What the child needs to become the program; it lives on our stack while we
// are stopped.
struct launch {
	int in, out, err, control;
	uint32_t flags, cpu_seconds, nproc, nofile;
	char *cwd, **argv, **envp;
	const char *path; // value of PATH
	volatile long error;
};

static void limit(int what, uint64_t v) {
	struct rlimit64 { uint64_t cur, max; } l = {v, v};
	sys4(__NR_prlimit64, 0, what, &l, 0);
}

static void limit_all(const struct launch *l) {
	if (l->cpu_seconds) {
		// One second between the soft limit's SIGXCPU and the hard one's SIGKILL.
		struct rlimit64 { uint64_t cur, max; } cpu = {l->cpu_seconds, l->cpu_seconds + 1};
		sys4(__NR_prlimit64, 0, RLIMIT_CPU, &cpu, 0);
	}
	// Without a boundary it would count every process of our user on the host.
	if (l->nproc && !config.root) limit(RLIMIT_NPROC, l->nproc);
	if (l->nofile) limit(RLIMIT_NOFILE, l->nofile);
	limit(RLIMIT_CORE, 0);
}

static void exec_in_path(const struct launch *l, char *buf) {
	const char *name = l->argv[0];
	for (const char *s = name; *s; s++)
		if (*s == '/') {
			((struct launch *)l)->error = sys3(__NR_execve, name, l->argv, l->envp);
			return;
		}
	long best = -ENOENT;
	size_t n = str_len(name);
	for (const char *dir = l->path; *dir;) {
		size_t len = 0;
		while (dir[len] && dir[len] != ':') len++;
		if (len && len + n + 2 < PATH_LEN) {
			memcpy(buf, dir, len);
			buf[len] = '/';
			memcpy(buf + len + 1, name, n + 1);
			long r = sys3(__NR_execve, buf, l->argv, l->envp);
			if (r != -ENOENT && r != -ENOTDIR) best = r;
		}
		dir += len + (dir[len] == ':');
	}
	((struct launch *)l)->error = best;
}

static void become(void *arg) {
	static char buf[PATH_LEN];
	struct launch *l = arg;
	uint64_t none = 0;
	sys0(__NR_setsid);
	if (config.root) sys6(__NR_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0, 0);
	// The pipe ends are all above 3: moving them down cannot overwrite one.
	sys3(__NR_dup3, l->in, 0, 0);
	sys3(__NR_dup3, l->out, 1, 0);
	sys3(__NR_dup3, l->err, 2, 0);
	if (l->control >= 0) sys3(__NR_dup3, l->control, 3, 0);
	limit_all(l);
	if (!config.root && !(l->flags & EXEC_ROOT)) {
		sys2(__NR_setgroups, 0, 0);
		sys3(__NR_setresgid, USER_ID, USER_ID, USER_ID);
		if (sys3(__NR_setresuid, USER_ID, USER_ID, USER_ID)) {
			l->error = -EPERM;
			return;
		}
	}
	sys6(__NR_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0);
	sys1(__NR_umask, 022);
	l->error = sys1(__NR_chdir, l->cwd);
	if (l->error) return;
	sys4(__NR_rt_sigprocmask, SIG_SETMASK, &none, 0, 8);
	exec_in_path(l, buf);
}

static int pipes(struct program *p, struct launch *l) {
	int a[2] = {-1, -1}, b[2] = {-1, -1}, c[2] = {-1, -1}, d[2] = {-1, -1};
	long bad = sys2(__NR_pipe2, a, O_CLOEXEC) | sys2(__NR_pipe2, b, O_CLOEXEC) | sys2(__NR_pipe2, c, O_CLOEXEC);
	if (!bad && (l->flags & EXEC_WARM_START)) bad = sys4(__NR_socketpair, 1, 1 | O_CLOEXEC, 0, d);
	p->in = a[1], p->out = b[0], p->err = c[0], p->control = d[0];
	l->in = a[0], l->out = b[1], l->err = c[1], l->control = d[1];
	if (bad) return 0;
	sys3(__NR_fcntl, p->in, F_SETFL, O_NONBLOCK);
	sys3(__NR_fcntl, p->out, F_SETFL, O_NONBLOCK);
	sys3(__NR_fcntl, p->err, F_SETFL, O_NONBLOCK);
	return 1;
}

// The control descriptor of a warm interpreter that reported its end; it exits
// when this is closed.
static int lingering = -1;

static void close_program(struct program *p) {
	shut(&p->in);
	shut(&p->out);
	shut(&p->err);
	shut(&p->control);
	p->used = 0;
}

static struct program *new_program(uint32_t stream) {
	for (int i = 0; i < MAX_PROGRAMS; i++) {
		struct program *p = &programs[i];
		if (p->used) continue;
		// Not memset: the input buffer's pages stay untouched until they are needed.
		p->used = 1;
		p->stream = stream;
		p->pid = p->child = -1;
		p->in = p->out = p->err = p->control = -1;
		p->warm = p->idle = p->forks = p->exited = p->in_eof = 0;
		p->in_at = p->in_len = 0;
		p->cpu_us = p->disk_peak = p->inode_peak = 0;
		p->tasks_peak = 0;
		return p;
	}
	return 0;
}

static void send_started(const struct program *p) {
	frame_begin(T_STARTED, p->stream);
	frame_u32((uint32_t)p->child);
	frame_send();
}

// A program that cannot be run ends like in a shell: 127 not found, 126 else.
static void report_unrunnable(struct program *p, const struct launch *l) {
	static const char say[] = "brig: cannot run ";
	const char *why = l->error == -ENOENT ? ": not found\n" : l->error == -EACCES ? ": permission denied\n" : ": it is no program that this system can run\n";
	uint32_t room, n = sizeof say - 1, name = (uint32_t)str_len(l->argv[0]);
	if (name > 200) name = 200;
	if (!p->warm) send_started(p); // of a warm one it would mean that it is ready
	frame_begin(T_STDERR, p->stream);
	uint8_t *b = frame_raw(&room);
	memcpy(b, say, n);
	memcpy(b + n, l->argv[0], name);
	n += name;
	memcpy(b + n, why, str_len(why));
	frame_raw_len(n + (uint32_t)str_len(why));
	frame_send();
	p->exited = 1;
	p->status = (l->error == -ENOENT ? 127u : 126u) << 8;
}

static void finish(struct program *p);

static void launch(struct program *p, struct launch *l) {
	static uint8_t stack[64 << 10] __attribute__((aligned(16)));
	if (!pipes(p, l)) {
		send_err(p->stream, EMFILE, "cannot make pipes");
		shut(&l->in), shut(&l->out), shut(&l->err), shut(&l->control);
		close_program(p);
		return;
	}
	l->error = 0;
	long pid = spawn(CLONE_VM | CLONE_VFORK | SIGCHLD, stack + sizeof stack, become, l);
	shut(&l->in), shut(&l->out), shut(&l->err), shut(&l->control);
	if (pid < 0) {
		send_err(p->stream, pid, "cannot start a process");
		close_program(p);
		return;
	}
	if (l->error) {
		sys4(__NR_wait4, pid, 0, 0, 0);
		report_unrunnable(p, l);
		finish(p);
		return;
	}
	p->pid = p->child = (int32_t)pid;
	if (!(l->flags & EXEC_WARM_START)) send_started(p);
}

static struct program *idle_program(void) {
	for (int i = 0; i < MAX_PROGRAMS; i++)
		if (programs[i].used && programs[i].idle) return &programs[i];
	return 0;
}

// hand_over gives the request to the warm interpreter, seed first; it answers
// with the pid that runs it.
static void hand_over(uint32_t stream, const uint8_t *payload, uint32_t n) {
	struct program *p = idle_program();
	if (!p || n > MAX_FRAME) {
		send_err(stream, ENODEV, "there is no idle interpreter");
		return;
	}
	p->idle = 0;
	p->stream = stream;
	p->exited = p->in_eof = 0;
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
	struct program *p = idle_program();
	uint32_t len = 0;
	if (!p) {
		send_err(stream, ENODEV, "there is no idle interpreter");
		return;
	}
	p->stream = stream;
	write_all(p->control, &len, 4);
}

void exec_start(uint32_t stream, uint8_t *payload, uint32_t n) {
	static char *args[4096];
	static char cwd[PATH_LEN];
	struct fields f = {payload, payload + n, 0};
	struct launch l = {.path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"};
	uint8_t *whole = payload;
	struct fields peek = f;
	shut(&lingering);
	l.flags = take_u32(&peek);
	if (l.flags & EXEC_WARM) {
		hand_over(stream, whole, n);
		return;
	}
	l.flags = take_u32(&f);
	l.cwd = (char *)inside(take_str(&f), cwd);
	l.cpu_seconds = take_u32(&f);
	l.nproc = take_u32(&f);
	l.nofile = take_u32(&f);
	uint32_t at = 0, argc = take_u32(&f);
	l.argv = args;
	for (uint32_t i = 0; i < argc && !f.bad && at < 4000; i++) args[at++] = take_str(&f);
	args[at++] = 0;
	l.envp = args + at;
	uint32_t envc = take_u32(&f);
	for (uint32_t i = 0; i < envc && !f.bad && at < 4094; i++) {
		args[at] = take_str(&f);
		if (str_prefix(args[at], "PATH=")) l.path = args[at] + 5;
		at++;
	}
	args[at] = 0;
	if (f.bad || f.p != f.end || !argc || !l.cwd) {
		send_err(stream, E2BIG, "the request has too many or malformed arguments");
		return;
	}
	struct program *p = new_program(stream);
	if (!p) {
		send_err(stream, EBUSY, "too many programs at once");
		return;
	}
	p->warm = !!(l.flags & EXEC_WARM_START);
	p->forks = !!(l.flags & EXEC_FORK);
	launch(p, &l);
}

void exec_stdin(uint32_t stream, const uint8_t *b, uint32_t n) {
	struct program *p = program_of(stream);
	if (!p || p->in < 0 || p->in_eof || p->forks) return; // a forked program's input is empty
	if (p->in_at) { // make room at the end
		for (uint32_t i = 0; i < p->in_len; i++) p->in_buf[i] = p->in_buf[p->in_at + i];
		p->in_at = 0;
	}
	if (n > WINDOW - p->in_len) n = WINDOW - p->in_len; // beyond the window: the host broke its word
	memcpy(p->in_buf + p->in_len, b, n);
	p->in_len += n;
}

void exec_stdin_eof(uint32_t stream) {
	struct program *p = program_of(stream);
	if (p) p->in_eof = 1;
	if (p && !p->in_len && !p->forks) shut(&p->in);
}

void exec_signal(uint32_t stream, struct fields *f) {
	uint32_t signo = take_u32(f);
	struct program *p = program_of(stream);
	if (f->bad || !p || p->exited || p->child <= 1) return;
	if (sys2(__NR_kill, -(long)p->child, signo) == -ESRCH) sys2(__NR_kill, p->child, signo);
}

static void send_window(uint32_t stream, uint32_t n) {
	frame_begin(T_WINDOW, stream);
	frame_u32(n);
	frame_send();
}

static void feed(struct program *p) {
	long n = sys3(__NR_write, p->in, p->in_buf + p->in_at, p->in_len);
	if (n == -EAGAIN || n == -EINTR) return;
	if (n < 0) { // the program closed its input: swallow the rest
		n = p->in_len;
		shut(&p->in);
	}
	p->in_at += (uint32_t)n;
	p->in_len -= (uint32_t)n;
	if (n) send_window(p->stream, (uint32_t)n);
	if (!p->in_len && p->in_eof && !p->forks) shut(&p->in);
}

// pump moves one buffer from a pipe to the channel. It returns 0 when there is
// nothing now, and closes the pipe at its end.
static int pump(struct program *p, int *fd, uint8_t type) {
	uint32_t room;
	if (*fd < 0) return 0;
	frame_begin(type, p->stream);
	uint8_t *b = frame_raw(&room);
	long n = sys3(__NR_read, *fd, b, room);
	if (n == -EINTR) return 1;
	if (n == -EAGAIN) return 0;
	if (n <= 0) {
		shut(fd);
		return 0;
	}
	frame_raw_len((uint32_t)n);
	frame_send();
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

static void watch(struct program *p) {
	uint64_t disk, inodes;
	struct sysinfo_head si;
	look(p, &disk, &inodes);
	if (!config.root && sys1(__NR_sysinfo, &si) == 0 && si.procs > p->tasks_peak) p->tasks_peak = si.procs;
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

// finish drains what the program wrote before it ended, without waiting for
// those that it left behind and that may hold the pipes open. A pipe holds no
// more than 64 KiB, but a survivor may refill it: one pipe's worth is enough.
static void finish(struct program *p) {
	for (int i = 0; i < 20 && pump(p, &p->out, T_STDOUT); i++) {}
	for (int i = 0; i < 20 && pump(p, &p->err, T_STDERR); i++) {}
	send_exit(p);
	if (p->warm && p->forks && p->pid > 0) { // the interpreter lives: next please
		p->idle = 1;
		p->child = p->pid;
		p->in_at = p->in_len = 0;
		return;
	}
	close_program(p);
}

// hear reads the warm interpreter's control bytes: R ready; P and a pid; X, a
// status and processor time in µs. The interpreter that runs the program in
// place says X when it has nothing left to do but to die, and lingers until another
// program is wanted: the sandbox mostly goes first, and then nobody has to take its
// memory apart. A program that forges X has only found another way to exit.
static void hear(struct program *p) {
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
		finish(p);
	}
}

int exec_poll_set(struct pollfd *set) {
	int n = 0;
	for (int i = 0; i < MAX_PROGRAMS; i++) {
		struct program *p = &programs[i];
		if (!p->used) continue;
		set[n++] = (struct pollfd){p->idle ? -1 : p->out, POLLIN, 0};
		set[n++] = (struct pollfd){p->idle ? -1 : p->err, POLLIN, 0};
		set[n++] = (struct pollfd){p->in_len ? p->in : -1, POLLOUT, 0};
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
		if (s[0].revents) pump(p, &p->out, T_STDOUT);
		if (s[1].revents) pump(p, &p->err, T_STDERR);
		if (s[2].revents && p->in >= 0) feed(p);
		if (s[3].revents && p->control >= 0) hear(p);
	}
}

static void ended(struct program *p, int status, const struct rusage *ru) {
	p->status = (uint32_t)status;
	p->exited = 1;
	p->pid = -1;
	p->cpu_us = (uint64_t)(ru->ru_utime.tv_sec + ru->ru_stime.tv_sec) * 1000000u + (uint64_t)(ru->ru_utime.tv_usec + ru->ru_stime.tv_usec);
	if (p->idle) { // nobody waits for it
		close_program(p);
		return;
	}
	finish(p);
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

void exec_watch(void) {
	for (int i = 0; i < MAX_PROGRAMS; i++)
		if (programs[i].used && !programs[i].idle) watch(&programs[i]);
}

int exec_running(void) {
	for (int i = 0; i < MAX_PROGRAMS; i++)
		if (programs[i].used && !programs[i].idle) return 1;
	return 0;
}

void exec_kill_all(void) {
	for (int i = 0; i < MAX_PROGRAMS; i++)
		if (programs[i].used && programs[i].pid > 1) sys2(__NR_kill, -(long)programs[i].pid, SIGKILL);
}
