#include "agent.h"

// Everything a program's user can write to. Image builders keep it so: no other
// directory of a template is writable for it.
static const char *const writable[] = {"/work", "/tmp", "/var/tmp", "/dev/shm", "/home/user", "/run/lock", 0};

static uint8_t child_stack[16 << 10] __attribute__((aligned(16)));

// kill_user ends every process of the program's user in one system call, from
// a child that is this user: the agent and a root-owned interpreter are not hit.
static void kill_user(void *unused) {
	(void)unused;
	sys3(__NR_setresgid, USER_ID, USER_ID, USER_ID);
	if (sys3(__NR_setresuid, USER_ID, USER_ID, USER_ID)) sys1(__NR_exit, 2);
	sys1(__NR_exit, sys2(__NR_kill, -1, SIGKILL) == -ESRCH ? 0 : 1);
}

static int kill_until_none(void) {
	for (int round = 0; round < 200; round++) {
		int status = 0;
		long pid = spawn(CLONE_VM | CLONE_VFORK | SIGCHLD, child_stack + sizeof child_stack, kill_user, 0);
		if (pid < 0) return 0;
		while (sys4(__NR_wait4, pid, &status, 0, 0) == -EINTR) {}
		exec_reap();
		if (status == 0) return 1;
	}
	return 0;
}

// drop_ipc removes System V segments, semaphores and queues.
static void drop_ipc(void) {
	enum { STAT_BY_INDEX_SHM = 13, STAT_BY_INDEX_SEM = 18, STAT_BY_INDEX_MSG = 11, LAST = 4096 };
	uint8_t buf[256];
	long id;
	for (long i = 0; i < LAST; i++)
		if ((id = sys3(__NR_shmctl, i, STAT_BY_INDEX_SHM, buf)) >= 0) sys3(__NR_shmctl, id, IPC_RMID, 0);
		else if (i > 128) break;
	for (long i = 0; i < LAST; i++)
		if ((id = sys4(__NR_semctl, i, 0, STAT_BY_INDEX_SEM, buf)) >= 0) sys4(__NR_semctl, id, 0, IPC_RMID, 0);
		else if (i > 128) break;
	for (long i = 0; i < LAST; i++)
		if ((id = sys3(__NR_msgctl, i, STAT_BY_INDEX_MSG, buf)) >= 0) sys3(__NR_msgctl, id, IPC_RMID, 0);
		else if (i > 128) break;
}

void reset_all(uint32_t stream) {
	if (config.root) {
		send_err(stream, EOPNOTSUPP, "cannot reset without a boundary");
		return;
	}
	long r;
	int ok = kill_until_none();
	for (int i = 0; writable[i]; i++)
		if ((r = empty_dir(writable[i], 1)) && r != -ENOENT) ok = 0;
	drop_ipc();
	if (ok) send_empty(T_OK, stream);
	else send_err(stream, EBUSY, "cannot empty the sandbox");
}
