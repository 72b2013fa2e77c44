#include "program.h"
#include <asm/ioctls.h>

struct window_size {
	uint16_t rows, cols, x, y;
};

void tty_resize(int fd, uint32_t rows, uint32_t cols) {
	struct window_size w = {(uint16_t)rows, (uint16_t)cols, 0, 0};
	sys3(__NR_ioctl, fd, TIOCSWINSZ, &w); // its foreground processes get SIGWINCH
}

static void append_number(char *s, unsigned v) {
	char digits[10];
	int n = 0;
	do digits[n++] = (char)('0' + v % 10);
	while (v /= 10);
	s += str_len(s);
	while (n) *s++ = digits[--n];
	*s = 0;
}

// tty_open makes a terminal: our end is p's in and out, the other end all three
// of l's streams.
long tty_open(struct program *p, struct launch *l) {
	char name[32] = "/dev/pts/";
	int number = 0, unlock = 0;
	long fd = sys4(__NR_openat, AT_FDCWD, "/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK, 0);
	if (fd < 0) return fd;
	p->out = (int)fd;
	p->in = (int)sys3(__NR_fcntl, fd, F_DUPFD_CLOEXEC, 4);
	long r = sys3(__NR_ioctl, fd, TIOCGPTN, &number);
	if (!r) r = sys3(__NR_ioctl, fd, TIOCSPTLCK, &unlock);
	if (r) return r;
	append_number(name, (unsigned)number);
	fd = sys4(__NR_openat, AT_FDCWD, name, O_RDWR | O_NOCTTY | O_CLOEXEC, 0);
	if (fd < 0) return fd;
	l->in = (int)fd;
	l->out = (int)sys3(__NR_fcntl, fd, F_DUPFD_CLOEXEC, 4);
	l->err = (int)sys3(__NR_fcntl, fd, F_DUPFD_CLOEXEC, 4);
	if (p->in < 0 || l->out < 0 || l->err < 0) return -EMFILE;
	tty_resize(p->out, l->rows, l->cols);
	// So that the program can open it by its name; where that cannot be, it still
	// has the descriptors.
	if (!config.root && !(l->flags & EXEC_ROOT)) sys3(__NR_fchown, fd, l->uid, l->gid);
	return 0;
}

// tty_control makes the terminal on descriptor 0 the controlling one of the
// session that the child has just begun.
long tty_control(void) { return sys3(__NR_ioctl, 0, TIOCSCTTY, 0); }
