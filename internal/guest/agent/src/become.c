#include "program.h"

static void limit(int what, uint64_t soft, uint64_t hard) {
	struct rlimit64 { uint64_t cur, max; } l = {soft, hard};
	sys4(__NR_prlimit64, 0, what, &l, 0);
}

static void limit_all(const struct launch *l) {
	// One second between the soft limit's SIGXCPU and the hard one's SIGKILL.
	if (l->cpu_seconds) limit(RLIMIT_CPU, l->cpu_seconds, l->cpu_seconds + 1);
	// Without a boundary it would count every process of our user on the host.
	if (l->nproc && !config.root) limit(RLIMIT_NPROC, l->nproc, l->nproc);
	if (l->nofile) limit(RLIMIT_NOFILE, l->nofile, l->nofile);
	limit(RLIMIT_CORE, 0, 0);
}

// exec_in_path only returns, with the error, when nothing could be run.
static long exec_in_path(const struct launch *l, char *buf) {
	const char *name = l->argv[0];
	for (const char *s = name; *s; s++)
		if (*s == '/') return sys3(__NR_execve, name, l->argv, l->envp);
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
	return best;
}

// become_user gives up root, and marks the program: see tree.c.
static long become_user(const struct launch *l) {
	if (config.root) return 0;
	long r = sys2(__NR_setgroups, 1, &l->mark);
	if (r || l->flags & EXEC_ROOT) return r;
	r = sys3(__NR_setresgid, l->gid, l->gid, l->gid);
	return r ? r : sys3(__NR_setresuid, l->uid, l->uid, l->uid);
}

void become(void *launch) {
	static char buf[PATH_LEN];
	struct launch *l = launch;
	uint64_t none = 0;
	sys0(__NR_setsid);
	if (config.root) sys6(__NR_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0, 0);
	// The pipe ends are all above 3: moving them down cannot overwrite one.
	sys3(__NR_dup3, l->in, 0, 0);
	sys3(__NR_dup3, l->out, 1, 0);
	sys3(__NR_dup3, l->err, 2, 0);
	if (l->control >= 0) sys3(__NR_dup3, l->control, 3, 0);
	l->error = l->flags & EXEC_TERMINAL ? tty_control() : 0;
	if (l->error) return;
	limit_all(l);
	l->error = become_user(l);
	if (l->error) return;
	sys6(__NR_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0);
	sys1(__NR_umask, 022);
	l->lost = 1;
	l->error = sys1(__NR_chdir, l->cwd);
	if (l->error) return;
	l->lost = 0;
	sys4(__NR_rt_sigprocmask, SIG_SETMASK, &none, 0, 8);
	l->error = exec_in_path(l, buf);
}
