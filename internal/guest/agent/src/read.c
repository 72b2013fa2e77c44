#include "agent.h"

// send_entry describes name, which is below at; said is what the host hears.
static void send_entry(uint32_t stream, const struct stat *st, long at, const char *name, const char *said) {
	static char target[PATH_LEN];
	uint8_t kind = 'o';
	long n = 0;
	switch (st->st_mode & S_IFMT) {
	case S_IFREG: kind = 'f'; break;
	case S_IFDIR: kind = 'd'; break;
	case S_IFLNK: kind = 'l'; break;
	}
	if (kind == 'l') n = sys4(__NR_readlinkat, at, name, target, sizeof target);
	int64_t mtime = (int64_t)st->st_mtime;
	frame_begin(T_ENTRY, stream);
	frame_bytes(&kind, 1);
	frame_u64((uint64_t)st->st_size);
	frame_u32(st->st_mode & 07777);
	frame_bytes(said, (uint32_t)str_len(said));
	frame_u64(mtime < 0 || mtime > 9000000000 ? 0 : (uint64_t)mtime * 1000000000u + st->st_mtime_nsec);
	frame_bytes(target, n > 0 ? (uint32_t)n : 0);
	frame_u32(st->st_uid);
	frame_u32(st->st_gid);
	frame_send();
}

// open_regular opens a regular file for reading. The type is looked at before
// and after: opening a FIFO or a device may block or act.
static long open_regular(const char *path, struct stat *st) {
	long r = sys4(__NR_newfstatat, AT_FDCWD, path, st, AT_SYMLINK_NOFOLLOW);
	if (r) return r;
	uint32_t kind = st->st_mode & S_IFMT;
	if (kind == S_IFLNK) return -ELOOP;
	if (kind == S_IFDIR) return -EISDIR;
	if (kind != S_IFREG) return -EINVAL;
	long fd = sys4(__NR_openat, AT_FDCWD, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0);
	if (fd < 0) return fd;
	r = sys2(__NR_fstat, fd, st);
	if (!r && (st->st_mode & S_IFMT) != S_IFREG) r = -EINVAL;
	if (r) {
		sys1(__NR_close, fd);
		return r;
	}
	return fd;
}

// send_content sends up to max bytes, and returns how much that was or an error.
static int64_t send_content(uint32_t stream, long fd, uint64_t max) {
	uint64_t sent = 0;
	while (sent < max) {
		uint32_t room;
		frame_begin(T_DATA, stream);
		uint8_t *at = frame_raw(&room);
		if (room > max - sent) room = (uint32_t)(max - sent);
		long n = sys3(__NR_read, fd, at, room);
		if (n == -EINTR) continue;
		if (n < 0) return n;
		if (n == 0) break;
		frame_raw_len((uint32_t)n);
		frame_send();
		sent += (uint64_t)n;
	}
	return (int64_t)sent;
}

static void send_file(uint32_t stream, long fd, const struct stat *st, uint64_t max, int whole) {
	uint8_t more;
	send_entry(stream, st, 0, 0, "");
	int64_t r = send_content(stream, fd, max);
	// The size was a promise of a moment ago: it may have become too large.
	if (whole && r >= 0 && (uint64_t)r == max && sys3(__NR_read, fd, &more, 1) == 1) r = -EFBIG;
	sys1(__NR_close, fd);
	if (r < 0) send_err(stream, r, "cannot read the file to its end");
	else send_empty(T_END, stream);
}

void file_get(uint32_t stream, struct fields *f) {
	char buf[PATH_LEN];
	struct stat st;
	char *name = take_str(f);
	uint64_t max = take_u64(f);
	const char *path = f->bad ? 0 : inside(name, buf);
	long fd = path ? open_regular(path, &st) : -ENAMETOOLONG;
	if (fd >= 0 && (uint64_t)st.st_size > max) {
		sys1(__NR_close, fd);
		fd = -EFBIG;
	}
	if (fd < 0) send_err(stream, fd, "cannot read the file");
	else send_file(stream, fd, &st, max, 1);
}

void file_read(uint32_t stream, struct fields *f) {
	char buf[PATH_LEN];
	struct stat st;
	char *name = take_str(f);
	uint64_t offset = take_u64(f), max = take_u64(f);
	const char *path = f->bad ? 0 : inside(name, buf);
	long fd = path ? open_regular(path, &st) : -ENAMETOOLONG;
	if (fd >= 0 && offset && sys3(__NR_lseek, fd, offset, 0) < 0) {
		sys1(__NR_close, fd);
		fd = -EINVAL;
	}
	if (fd < 0) send_err(stream, fd, "cannot read the file");
	else send_file(stream, fd, &st, max, 0);
}

void file_stat(uint32_t stream, struct fields *f) {
	char buf[PATH_LEN];
	struct stat st;
	char *name = take_str(f);
	const char *path = f->bad ? 0 : inside(name, buf);
	long r = path ? sys4(__NR_newfstatat, AT_FDCWD, path, &st, AT_SYMLINK_NOFOLLOW) : -ENAMETOOLONG;
	if (r) {
		send_err(stream, r, "cannot look at it");
		return;
	}
	const char *last = path;
	for (const char *s = path; *s; s++)
		if (*s == '/' && s[1]) last = s + 1;
	send_entry(stream, &st, AT_FDCWD, path, last);
	send_empty(T_END, stream);
}

void file_list(uint32_t stream, struct fields *f) {
	static uint8_t ents[32 << 10];
	char buf[PATH_LEN];
	char *name = take_str(f);
	uint32_t max = take_u32(f), count = 0;
	const char *path = f->bad ? 0 : inside(name, buf);
	long fd = path ? sys4(__NR_openat, AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0) : -ENAMETOOLONG;
	if (fd < 0) {
		send_err(stream, fd, "cannot open the directory");
		return;
	}
	while (count < max) {
		long n = sys3(__NR_getdents64, fd, ents, sizeof ents);
		if (n <= 0) break;
		for (long at = 0; at < n && count < max;) {
			struct dirent64 *d = (void *)(ents + at);
			struct stat st;
			at += d->reclen;
			if (str_eq(d->name, ".") || str_eq(d->name, "..")) continue;
			if (sys4(__NR_newfstatat, fd, d->name, &st, AT_SYMLINK_NOFOLLOW)) continue;
			send_entry(stream, &st, fd, d->name, d->name);
			count++;
		}
	}
	sys1(__NR_close, fd);
	send_empty(T_END, stream);
}
