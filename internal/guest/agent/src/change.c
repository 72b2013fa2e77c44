#include "agent.h"

static void answer(uint32_t stream, long r, const char *text) {
	if (r) send_err(stream, r, text);
	else send_empty(T_OK, stream);
}

static long own(const char *path, struct owner o) {
	return config.root ? 0 : sys6(__NR_fchownat, AT_FDCWD, (long)path, o.uid, o.gid, AT_SYMLINK_NOFOLLOW, 0);
}

// make_parents makes every missing directory above path, as the owner's.
long make_parents(char *path, struct owner owner) {
	for (char *s = path + 1; *s; s++) {
		if (*s != '/') continue;
		*s = 0;
		long r = sys2(__NR_mkdir, path, 0755);
		if (r == 0) own(path, owner);
		*s = '/';
		if (r && r != -EEXIST) return r;
	}
	return 0;
}

static long make_dir(char *path, uint32_t mode, struct owner owner) {
	struct stat st;
	long r = make_parents(path, owner);
	if (!r) r = sys2(__NR_mkdir, path, mode & 0777);
	if (r == -EEXIST && sys2(__NR_stat, path, &st) == 0 && (st.st_mode & S_IFMT) == S_IFDIR) return 0;
	return r ? r : own(path, owner);
}

void file_mkdir(uint32_t stream, struct fields *f) {
	char buf[PATH_LEN];
	char *name = take_str(f);
	uint32_t mode = take_u32(f);
	struct owner owner = take_owner(f);
	const char *path = f->bad ? 0 : inside(name, buf);
	answer(stream, path ? make_dir(buf, mode, owner) : -ENAMETOOLONG, "cannot make the directory");
}

static long remove_name(const char *path, uint32_t recursive) {
	struct stat st;
	long r = sys4(__NR_newfstatat, AT_FDCWD, path, &st, AT_SYMLINK_NOFOLLOW);
	if (r) return r;
	if ((st.st_mode & S_IFMT) != S_IFDIR) return sys1(__NR_unlink, path);
	r = sys1(__NR_rmdir, path);
	if (!recursive || (r != -ENOTEMPTY && r != -EEXIST)) return r;
	r = empty_dir(path, 0);
	return r ? r : sys1(__NR_rmdir, path);
}

void file_remove(uint32_t stream, struct fields *f) {
	char buf[PATH_LEN];
	char *name = take_str(f);
	uint32_t recursive = take_u32(f);
	const char *path = f->bad ? 0 : inside(name, buf);
	answer(stream, path ? remove_name(path, recursive) : -ENAMETOOLONG, "cannot remove it");
}

void file_rename(uint32_t stream, struct fields *f) {
	char buf[PATH_LEN], buf2[PATH_LEN];
	char *from = take_str(f), *to = take_str(f);
	const char *a = f->bad ? 0 : inside(from, buf), *b = f->bad ? 0 : inside(to, buf2);
	answer(stream, a && b ? sys2(__NR_rename, a, b) : -ENAMETOOLONG, "cannot rename it");
}

void file_symlink(uint32_t stream, struct fields *f) {
	char buf[PATH_LEN];
	char *target = take_str(f), *name = take_str(f);
	struct owner owner = take_owner(f);
	const char *path = f->bad ? 0 : inside(name, buf);
	long r = path ? sys2(__NR_symlink, target, path) : -ENAMETOOLONG;
	if (r == -ENOENT && *target) {
		r = make_parents(buf, owner);
		if (!r) r = sys2(__NR_symlink, target, path);
	}
	answer(stream, r ? r : own(path, owner), "cannot make the symlink");
}
