#include "agent.h"

// A file on its way in.
static struct put {
	uint32_t stream;
	int used, fd;
	long err;
} puts_[8];

static struct put *put_of(uint32_t stream) {
	for (int i = 0; i < 8; i++)
		if (puts_[i].used && puts_[i].stream == stream) return &puts_[i];
	return 0;
}

static void give_to_user(int fd) {
	if (!config.root) sys3(__NR_fchown, fd, USER_ID, USER_ID);
}

// make_parents makes every missing directory above path, as the user's own.
long make_parents(char *path) {
	for (char *s = path + 1; *s; s++) {
		if (*s != '/') continue;
		*s = 0;
		long r = sys2(__NR_mkdir, path, 0755);
		if (r == 0 && !config.root) sys3(__NR_chown, path, USER_ID, USER_ID);
		*s = '/';
		if (r && r != -EEXIST) return r;
	}
	return 0;
}

// create opens a file for writing. One that was there keeps its mode.
static long create(const char *path, uint32_t mode) {
	return sys4(__NR_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, mode & 0777);
}

void file_put(uint32_t stream, struct fields *f) {
	char buf[PATH_LEN];
	char *name = take_str(f);
	uint32_t mode = take_u32(f);
	struct put *p = 0;
	for (int i = 0; i < 8 && !p; i++)
		if (!puts_[i].used) p = &puts_[i];
	if (!p || f->bad) {
		send_err(stream, f->bad ? EBADMSG : EBUSY, "cannot take a file");
		return;
	}
	p->used = 1;
	p->stream = stream;
	p->fd = -1;
	p->err = 0;
	const char *path = inside(name, buf);
	long fd = path ? create(path, mode) : -ENAMETOOLONG;
	if (fd == -ENOENT) {
		p->err = make_parents((char *)path);
		if (!p->err) fd = create(path, mode);
	}
	if (fd < 0) { // told at END: the host is still sending
		if (!p->err) p->err = fd;
		return;
	}
	p->err = 0;
	p->fd = (int)fd;
	give_to_user(p->fd);
}

void file_data(uint32_t stream, const uint8_t *b, uint32_t n) {
	struct put *p = put_of(stream);
	while (p && !p->err && n) {
		long w = sys3(__NR_write, p->fd, b, n);
		if (w == -EINTR) continue;
		if (w <= 0) p->err = w ? w : -EIO;
		else b += w, n -= (uint32_t)w;
	}
}

void file_end(uint32_t stream) {
	struct put *p = put_of(stream);
	if (!p) return;
	if (p->fd >= 0) sys1(__NR_close, p->fd);
	p->used = 0;
	if (p->err) send_err(stream, p->err, "cannot write the file");
	else send_empty(T_OK, stream);
}

static void send_entry(uint32_t stream, const struct stat *st, const char *name) {
	uint8_t kind = 'o';
	switch (st->st_mode & S_IFMT) {
	case S_IFREG: kind = 'f'; break;
	case S_IFDIR: kind = 'd'; break;
	case S_IFLNK: kind = 'l'; break;
	}
	frame_begin(T_ENTRY, stream);
	frame_bytes(&kind, 1);
	frame_u64((uint64_t)st->st_size);
	frame_u32(st->st_mode & 07777);
	frame_bytes(name, (uint32_t)str_len(name));
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
	if (fd < 0) {
		send_err(stream, fd, "cannot read the file");
		return;
	}
	send_entry(stream, &st, "");
	// The size was a promise of a moment ago: count what is really read.
	for (uint64_t sent = 0;;) {
		uint32_t room;
		frame_begin(T_DATA, stream);
		uint8_t *at = frame_raw(&room);
		long n = sys3(__NR_read, fd, at, room);
		if (n == -EINTR) continue;
		if (n == 0) break;
		if (n > 0 && (sent += (uint64_t)n) > max) n = -EFBIG;
		if (n < 0) {
			sys1(__NR_close, fd);
			send_err(stream, n, "cannot read the file to its end");
			return;
		}
		frame_raw_len((uint32_t)n);
		frame_send();
	}
	sys1(__NR_close, fd);
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
			send_entry(stream, &st, d->name);
			count++;
		}
	}
	sys1(__NR_close, fd);
	send_empty(T_END, stream);
}
