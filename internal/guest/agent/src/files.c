#include "agent.h"

enum { MAX_PUTS = 64 };

// A file on its way in.
static struct put {
	uint32_t stream;
	int used, fd;
	long err;
} puts_[MAX_PUTS];

static struct put *put_of(uint32_t stream) {
	for (int i = 0; i < MAX_PUTS; i++)
		if (puts_[i].used && puts_[i].stream == stream) return &puts_[i];
	return 0;
}

struct owner take_owner(struct fields *f) {
	struct owner o = {USER_ID, USER_ID};
	if (!f->bad && f->p < f->end) o.uid = take_u32(f), o.gid = take_u32(f);
	return o;
}

// create opens a regular file for writing. One that was there keeps its mode.
// Opening a FIFO would wait for its reader, and writing to one too: we must not.
static long create(const char *path, uint32_t mode) {
	struct stat st;
	long fd = sys4(__NR_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, mode & 0777);
	if (fd == -ENXIO) return -EINVAL; // a FIFO without a reader
	if (fd < 0) return fd;
	long r = sys2(__NR_fstat, fd, &st);
	if (!r && (st.st_mode & S_IFMT) != S_IFREG) r = -EINVAL;
	if (!r) return fd;
	sys1(__NR_close, fd);
	return r;
}

void file_put(uint32_t stream, struct fields *f) {
	char buf[PATH_LEN];
	char *name = take_str(f);
	uint32_t mode = take_u32(f);
	struct owner owner = take_owner(f);
	struct put *p = 0;
	for (int i = 0; i < MAX_PUTS && !p; i++)
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
		p->err = make_parents((char *)path, owner);
		if (!p->err) fd = create(path, mode);
	}
	if (fd < 0) { // told at END: the host is still sending
		if (!p->err) p->err = fd;
		return;
	}
	p->err = 0;
	p->fd = (int)fd;
	if (!config.root) sys3(__NR_fchown, fd, owner.uid, owner.gid);
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

// file_forget gives up the files on their way in: who sent them is gone.
void file_forget(void) {
	for (int i = 0; i < MAX_PUTS; i++) {
		if (puts_[i].used && puts_[i].fd >= 0) sys1(__NR_close, puts_[i].fd);
		puts_[i].used = 0;
	}
}
