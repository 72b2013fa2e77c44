// The processes of a program, wherever they went. Each program is put into a
// group of its own, as a supplementary one, which every process that it starts
// inherits and only root can leave. Neither a new session nor a new parent nor an
// empty environment hides a process from that; of root's own, children are found
// by their parents.
#include "program.h"

enum { FIRST_MARK = 0x42520000, MOST_PROCESSES = 4096, ROUNDS = 100 };

uint32_t tree_mark(void) {
	static uint32_t marks;
	return FIRST_MARK + marks++ % 0x3fffffff;
}

static struct process {
	int32_t pid, parent;
	int member;
} processes[MOST_PROCESSES];

static int number(const char **s) {
	unsigned v = 0;
	while (**s == ' ' || **s == '\t') ++*s;
	while (**s >= '0' && **s <= '9') v = v * 10 + (unsigned)(*(*s)++ - '0');
	return (int)v;
}

// line finds the value of a line of /proc/PID/status, or 0.
static const char *line(const char *status, const char *name) {
	for (const char *s = status; *s; s++)
		if ((s == status || s[-1] == '\n') && str_prefix(s, name)) return s + str_len(name);
	return 0;
}

// describe reads what is needed of one process, or returns 0 when it has ended.
static int describe(int proc, const char *pid, uint32_t mark, struct process *is) {
	static char path[64], status[4096];
	size_t n = str_len(pid);
	if (n > 20) return 0;
	memcpy(path, pid, n);
	memcpy(path + n, "/status", 8);
	long fd = sys4(__NR_openat, proc, path, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0) return 0;
	long got = sys3(__NR_read, fd, status, sizeof status - 1);
	sys1(__NR_close, fd);
	if (got <= 0) return 0;
	status[got] = 0;
	const char *state = line(status, "State:\t"), *parent = line(status, "PPid:"), *groups = line(status, "Groups:");
	if (!state || !parent || *state == 'Z' || *state == 'X') return 0;
	is->pid = number(&pid);
	is->parent = number(&parent);
	is->member = 0;
	while (groups && *groups && *groups != '\n') {
		const char *before = groups;
		if (mark && (uint32_t)number(&groups) == mark) is->member = 1;
		if (groups == before) groups++;
	}
	return 1;
}

static int list_processes(uint32_t mark) {
	static uint8_t ents[16 << 10];
	int count = 0;
	long proc = sys4(__NR_openat, AT_FDCWD, "/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0), n;
	if (proc < 0) return 0;
	while (count < MOST_PROCESSES && (n = sys3(__NR_getdents64, proc, ents, sizeof ents)) > 0)
		for (long at = 0; at < n && count < MOST_PROCESSES;) {
			struct dirent64 *d = (void *)(ents + at);
			at += d->reclen;
			if (d->name[0] < '1' || d->name[0] > '9') continue;
			count += describe((int)proc, d->name, mark, &processes[count]);
		}
	sys1(__NR_close, proc);
	return count;
}

// add_children makes the children of members members, to the last generation.
static void add_children(int count) {
	for (int changed = 1; changed;) {
		changed = 0;
		for (int i = 0; i < count; i++) {
			struct process *c = &processes[i];
			for (int j = 0; j < count && !c->member; j++)
				if (processes[j].member && processes[j].pid == c->parent) c->member = changed = 1;
		}
	}
}

// signal_once signals all that belong to p and says how many these were.
static int signal_once(const struct program *p, int signo) {
	// A forking interpreter's mark is its own: what it forked has given it up.
	int found = 0, count = list_processes(p->forks ? 0 : p->mark);
	for (int i = 0; i < count; i++)
		if (!p->exited && processes[i].pid == p->child) processes[i].member = 1;
	add_children(count);
	for (int i = 0; i < count; i++)
		if (processes[i].member && processes[i].pid > 1) found += sys2(__NR_kill, processes[i].pid, signo) == 0;
	return found;
}

// tree_signal signals everything that p started. A killing goes on until nothing
// of it is left, because what was not seen yet may have forked meanwhile.
void tree_signal(const struct program *p, int signo) {
	for (int i = 0; i < ROUNDS && signal_once(p, signo) && signo == SIGKILL; i++) sys0(__NR_sched_yield);
}
