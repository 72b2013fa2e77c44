#include "agent.h"

// What is above the directory that is being emptied.
enum { DEEPEST = 4096, STEPS = 4000000 };
static struct place {
	uint64_t dev, ino;
} above[DEEPEST];

// sweep removes the files and empty directories of fd. It returns how many names
// it could not remove, and the first directory among them in next.
static int sweep(long fd, char *next) {
	static uint8_t ents[16 << 10];
	int stuck = 0;
	*next = 0;
	sys3(__NR_lseek, fd, 0, 0);
	for (;;) {
		long n = sys3(__NR_getdents64, fd, ents, sizeof ents);
		if (n <= 0) return stuck;
		for (long at = 0; at < n;) {
			struct dirent64 *d = (void *)(ents + at);
			at += d->reclen;
			if (str_eq(d->name, ".") || str_eq(d->name, "..")) continue;
			if (sys3(__NR_unlinkat, fd, d->name, 0) == 0) continue;
			long r = sys3(__NR_unlinkat, fd, d->name, AT_REMOVEDIR);
			if (r == 0) continue;
			stuck++;
			if (r == -ENOTEMPTY && !*next) memcpy(next, d->name, str_len(d->name) + 1);
		}
	}
}

static int same(long fd, const struct place *p) {
	struct stat st;
	return sys2(__NR_fstat, fd, &st) == 0 && st.st_dev == p->dev && st.st_ino == p->ino;
}

static long open_dir(long at, const char *name) {
	return sys4(__NR_openat, at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0);
}

// step goes from fd into next, or up when that is empty, and closes fd. It refuses
// to go up to anywhere but where it came from: a program may have moved the
// directory meanwhile. When nothing runs (quiet), any depth will do.
static long step(long fd, const char *next, uint32_t *depth, int quiet) {
	struct stat st;
	long to = open_dir(fd, *next ? next : "..");
	if (*next) {
		long r = *depth < DEEPEST ? sys2(__NR_fstat, fd, &st) : quiet ? 0 : -ELOOP;
		if (*depth < DEEPEST) above[*depth] = (struct place){st.st_dev, st.st_ino};
		++*depth;
		if (to >= 0 && r) sys1(__NR_close, to), to = r;
	} else {
		--*depth;
		if (to >= 0 && *depth < DEEPEST && !same(to, &above[*depth])) sys1(__NR_close, to), to = -EBUSY;
	}
	sys1(__NR_close, fd);
	return to;
}

// empty_dir removes everything below path, never through a symlink, and returns
// 0 when nothing is left. It goes down into one full directory at a time and
// comes back up by "..", so that no depth of directories needs a recursion, a
// long path or many descriptors.
long empty_dir(const char *path, int quiet) {
	static char next[256];
	uint32_t depth = 0;
	long fd = open_dir(AT_FDCWD, path);
	for (uint32_t steps = 0; fd >= 0; steps++) {
		int stuck = sweep(fd, next);
		if ((stuck && !*next) || steps == STEPS || (!stuck && !depth)) {
			sys1(__NR_close, fd);
			return stuck ? -EBUSY : 0;
		}
		fd = step(fd, next, &depth, quiet);
	}
	return fd;
}
