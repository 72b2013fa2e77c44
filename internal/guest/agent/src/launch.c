// Starts one process of a gVisor box in namespaces of its own. Brig could fork
// there itself, but such a fork copies its page tables, which costs milliseconds
// and grows with it. It starts this program by vfork instead, and what is copied
// here is a few pages.
//
//	launch CAPABILITIES ATTACHED FD NAME ARG...
//
// CAPABILITIES is a mask in decimal: what the process keeps. ATTACHED is 1 when it
// is to die with Brig. FD is the program to execute, with NAME as its argv[0];
// FD + 1 takes the report: records of a step and a value. All descriptors below
// FD are the process's own.
//
// The process becomes a child of Brig, not of this program.
#include "sys.h"

#include <linux/capability.h>

#define NOBODY 65534

// Names of steps are in launch.go.
enum step { PID, PARENT_LIVES, GATE, GROUPS, CLONE, MAPPINGS, USER, CAPABILITIES, DEATH_SIGNAL, EXEC };

static struct launch {
	uint64_t caps;
	int attached, program, report;
	int gate[2]; // opens for the child when it is known to Brig and has its user
	char **argv, **envp;
} l;

static int report(enum step s, long value) {
	int32_t record[2] = {(int32_t)s, (int32_t)value};
	return sys3(__NR_write, l.report, record, sizeof record) == sizeof record;
}

static void quit(int status) {
	for (;;) sys1(__NR_exit_group, status);
}

static long must(enum step s, long r) {
	if (r >= 0) return r;
	report(s, -r);
	quit(1);
	return 0;
}

static uint64_t number(const char *s) {
	uint64_t n = 0;
	for (; *s >= '0' && *s <= '9'; s++) n = n * 10 + (uint64_t)(*s - '0');
	return n;
}

static char *add_str(char *to, const char *s) {
	while (*s) *to++ = *s++;
	return to;
}

static char *add_number(char *to, uint64_t n) {
	if (n >= 10) to = add_number(to, n / 10);
	*to++ = (char)('0' + n % 10);
	return to;
}

static void write_proc(long pid, const char *name, const char *text, size_t n) {
	char path[64];
	char *end = add_number(add_str(path, "/proc/"), (uint64_t)pid);
	*add_str(end, name) = 0;
	long fd = must(MAPPINGS, sys3(__NR_open, path, O_WRONLY | O_CLOEXEC, 0));
	must(MAPPINGS, sys3(__NR_write, fd, text, n));
	sys1(__NR_close, fd);
}

// map makes one id of the host nobody inside.
static void map(long pid, const char *name, long host) {
	char text[64];
	char *end = add_number(add_str(text, "65534 "), (uint64_t)host);
	end = add_str(end, " 1\n");
	write_proc(pid, name, text, (size_t)(end - text));
}

// keep gives up all capabilities but caps, and takes those through the exec.
static void keep(uint64_t caps) {
	struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct set[2];
	for (long c = 0; c < 64; c++)
		if (!(caps >> c & 1)) sys6(__NR_prctl, PR_CAPBSET_DROP, c, 0, 0, 0, 0); // EINVAL: not known here
	for (int i = 0; i < 2; i++) {
		uint32_t half = (uint32_t)(caps >> (32 * i));
		set[i] = (struct __user_cap_data_struct){half, half, half};
	}
	must(CAPABILITIES, sys2(__NR_capset, &head, set));
	for (long c = 0; c < 64; c++)
		if (caps >> c & 1) must(CAPABILITIES, sys6(__NR_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, c, 0, 0, 0));
}

static void child(void) {
	uint8_t open;
	sys1(__NR_close, l.gate[1]); // else a launcher that died would not end the wait
	if (sys3(__NR_read, l.gate[0], &open, 1) != 1) quit(1);
	sys0(__NR_setsid);
	must(USER, sys3(__NR_setresgid, NOBODY, NOBODY, NOBODY));
	must(USER, sys3(__NR_setresuid, NOBODY, NOBODY, NOBODY));
	keep(l.caps);
	if (l.attached) {
		must(DEATH_SIGNAL, sys6(__NR_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0, 0));
		// Brig may have died before that. If so, nobody can read this.
		if (!report(PARENT_LIVES, 0)) quit(1);
	}
	// Makes the descriptor table 256 wide. To grow it later, with threads, would
	// wait 5 to 15 ms for an RCU period.
	sys3(__NR_fcntl, 0, F_DUPFD_CLOEXEC, 255);
	sys3(__NR_fcntl, l.report, F_SETFD, FD_CLOEXEC);
	sys3(__NR_fcntl, l.program, F_SETFD, FD_CLOEXEC);
	must(EXEC, sys6(__NR_execveat, l.program, (long)"", (long)l.argv, (long)l.envp, AT_EMPTY_PATH, 0));
}

int agent_main(int argc, char **argv) {
	unsigned long flags = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_PARENT | SIGCHLD;
	if (argc < 5) return 2;
	l.caps = number(argv[1]);
	l.attached = (int)number(argv[2]);
	l.program = (int)number(argv[3]);
	l.report = l.program + 1;
	l.argv = argv + 4;
	l.envp = argv + argc + 1;
	long uid = sys0(__NR_geteuid), gid = sys0(__NR_getegid);
	if (uid == 0) {
		must(GROUPS, sys2(__NR_setgroups, 0, 0));
		uid = gid = NOBODY;
	} else {
		flags |= CLONE_NEWNET; // root's boxes share Brig's empty one
	}
	must(GATE, sys2(__NR_pipe2, l.gate, O_CLOEXEC));
	long pid = must(CLONE, sys6(__NR_clone, (long)flags, 0, 0, 0, 0, 0));
	if (pid == 0) child();
	// Whatever fails from here on, the gate stays shut and the child ends.
	if (!report(PID, pid)) return 1;
	write_proc(pid, "/setgroups", "deny", 4); // else an ordinary user may not map a group
	map(pid, "/gid_map", gid);
	map(pid, "/uid_map", uid);
	return sys3(__NR_write, l.gate[1], "", 1) == 1 ? 0 : 1;
}
