// Links: descriptors of ours whose bytes are a stream of the host's, without a
// program: a connection to a port inside, or a watch of directories. As with a
// program's output, a connection is read only when the host has room, so that a
// flood stays where it comes from. A watch that the host does not keep up with
// ends with the word that changes were lost: some kernels' queues have no end.
#include <linux/inotify.h>

#include "agent.h"

enum {
	AF_INET = 2, AF_INET6 = 10, SOCK_STREAM = 1, SHUT_WR = 1,
	SOL_SOCKET = 1, SO_ERROR = 4, IPPROTO_TCP = 6, TCP_NODELAY = 1,
	WATCH_READ = 512, // the least that an inotify descriptor is read into
};

static struct link {
	int used, fd;
	int watch;      // of directories; else a connection
	int lost;       // of a watch: changes were, and the host is to hear so
	int family;     // of a connection that is not made yet, else 0
	int heard_all;  // the peer says no more, and the host knows
	int said_all;   // the host says no more
	int in_closed;  // the peer takes no more, or knows that there is none
	uint32_t stream, port, credit, in_at, in_len;
} links[MAX_LINKS];

// What the peer has not taken yet; pages are untouched until they are needed.
static uint8_t inputs[MAX_LINKS][WINDOW];

static struct link *link_of(uint32_t stream) {
	for (int i = 0; i < MAX_LINKS; i++)
		if (links[i].used && links[i].stream == stream) return &links[i];
	return 0;
}

static struct link *link_new(uint32_t stream) {
	for (int i = 0; i < MAX_LINKS; i++) {
		if (links[i].used) continue;
		links[i] = (struct link){.used = 1, .fd = -1, .stream = stream, .credit = OUTPUT_WINDOW};
		return &links[i];
	}
	return 0;
}

static void link_close(struct link *l) {
	if (l->fd >= 0) sys1(__NR_close, l->fd);
	l->used = 0;
}

static void send_number(uint32_t stream, uint32_t n) {
	frame_begin(T_STARTED, stream);
	frame_u32(n);
	frame_send();
}

// dial begins a connection to localhost in one family.
static long dial(struct link *l, int family) {
	uint8_t a[28] = {(uint8_t)family, 0, (uint8_t)(l->port >> 8), (uint8_t)l->port}; // struct sockaddr_in or _in6
	int one = 1;
	if (family == AF_INET) a[4] = 127, a[7] = 1;
	else a[23] = 1;
	long fd = sys3(__NR_socket, family, SOCK_STREAM | O_NONBLOCK | O_CLOEXEC, 0);
	if (fd < 0) return fd;
	sys6(__NR_setsockopt, fd, IPPROTO_TCP, TCP_NODELAY, (long)&one, sizeof one, 0);
	long r = sys3(__NR_connect, fd, a, family == AF_INET ? 16 : 28);
	if (r && r != -EINPROGRESS) {
		sys1(__NR_close, fd);
		return r;
	}
	l->fd = (int)fd;
	l->family = r ? family : 0;
	return 0;
}

// dialled tells the host how a connection came out. Servers of IPv6 alone are
// found by the second try.
static void dialled(struct link *l, long r, int family) {
	if (r && family == AF_INET && !dial(l, AF_INET6)) r = 0;
	if (r) {
		send_err(l->stream, r, "cannot connect");
		link_close(l);
	} else if (!l->family) send_number(l->stream, 0);
}

void link_dial(uint32_t stream, struct fields *f) {
	uint32_t port = take_u32(f);
	struct link *l = f->bad || !port || port > 65535 ? 0 : link_new(stream);
	if (!l) {
		send_err(stream, f->bad || !port || port > 65535 ? EINVAL : EMFILE, "cannot connect");
		return;
	}
	l->port = port;
	dialled(l, dial(l, AF_INET), AF_INET);
}

// connected sees how a connection that was begun came out.
static void connected(struct link *l) {
	int err = 0, len = sizeof err, family = l->family;
	sys6(__NR_getsockopt, l->fd, SOL_SOCKET, SO_ERROR, (long)&err, (long)&len, 0);
	l->family = 0;
	if (err) {
		sys1(__NR_close, l->fd);
		l->fd = -1;
	}
	dialled(l, -err, family);
}

// link_watch adds a directory to the watch on a stream, which it opens. The answer
// is the kernel's number of it.
void link_watch(uint32_t stream, struct fields *f) {
	char buf[PATH_LEN];
	char *name = take_str(f);
	uint32_t mask = take_u32(f);
	const char *path = f->bad ? 0 : inside(name, buf);
	struct link *l = link_of(stream);
	long r = path ? 0 : -ENAMETOOLONG;
	if (!r && !l && (l = link_new(stream))) {
		l->watch = 1;
		l->fd = (int)(r = sys1(__NR_inotify_init1, O_NONBLOCK | O_CLOEXEC));
	}
	if (!r && !l) r = -EMFILE;
	if (r >= 0) r = sys3(__NR_inotify_add_watch, l->fd, path, mask);
	if (r < 0) send_err(stream, r, "cannot watch the directory");
	if (r >= 0) send_number(stream, (uint32_t)r);
	if (!l) send_empty(T_END, stream); // there is nothing to hang up
}

// over ends a connection in which both sides have said all.
static void over(struct link *l) {
	if (!l->heard_all || !l->in_closed) return;
	send_empty(T_END, l->stream);
	link_close(l);
}

static void close_input(struct link *l) {
	sys2(__NR_shutdown, l->fd, SHUT_WR);
	l->in_closed = 1;
	over(l);
}

int link_stdin(uint32_t stream, const uint8_t *b, uint32_t n) {
	struct link *l = link_of(stream);
	if (!l) return 0;
	uint8_t *buf = inputs[l - links];
	if (l->in_at) { // make room at the end
		for (uint32_t i = 0; i < l->in_len; i++) buf[i] = buf[l->in_at + i];
		l->in_at = 0;
	}
	if (n > WINDOW - l->in_len) n = WINDOW - l->in_len; // beyond the window: the host broke its word
	memcpy(buf + l->in_len, b, n);
	l->in_len += n;
	return 1;
}

int link_stdin_eof(uint32_t stream) {
	struct link *l = link_of(stream);
	if (!l) return 0;
	l->said_all = 1;
	if (!l->in_len && !l->in_closed && !l->family) close_input(l);
	return 1;
}

static int has_room(const struct link *l) { return l->credit > OUTPUT_COST + (l->watch ? WATCH_READ : 0); }

// lose gives up a watch's descriptor; once there is room, its last word is that of a
// queue that ran over.
static void lose(struct link *l) {
	uint32_t room;
	if (l->fd >= 0) sys1(__NR_close, l->fd);
	l->fd = -1;
	l->lost = !has_room(l);
	if (l->lost) return;
	struct inotify_event last = {.wd = -1, .mask = IN_Q_OVERFLOW};
	frame_begin(T_STDOUT, l->stream);
	memcpy(frame_raw(&room), &last, sizeof last);
	frame_raw_len(sizeof last);
	frame_send();
	l->credit -= sizeof last + OUTPUT_COST;
}

int link_window(uint32_t stream, uint32_t n) {
	enum { MOST = 1 << 30 };
	struct link *l = link_of(stream);
	if (!l) return 0;
	l->credit = n > MOST - l->credit ? MOST : l->credit + n;
	if (l->lost) lose(l);
	return 1;
}

void link_hang_up(uint32_t stream) {
	struct link *l = link_of(stream);
	if (!l) return; // it has ended, and the host will read so
	link_close(l);
	send_empty(T_END, stream);
}

void link_forget(void) {
	for (int i = 0; i < MAX_LINKS; i++)
		if (links[i].used) link_close(&links[i]);
}

// hear passes on what the peer or the kernel says. An empty frame is a peer's end.
static void hear(struct link *l) {
	uint32_t room;
	if (!has_room(l)) {
		lose(l);
		return;
	}
	frame_begin(T_STDOUT, l->stream);
	uint8_t *b = frame_raw(&room);
	if (room > l->credit - OUTPUT_COST) room = l->credit - OUTPUT_COST;
	long n = sys3(__NR_read, l->fd, b, room);
	if (n == -EAGAIN || n == -EINTR) return;
	if (n < 0) {
		send_err(l->stream, n, "the connection broke off");
		link_close(l);
		return;
	}
	frame_raw_len((uint32_t)n);
	frame_send();
	l->credit -= (uint32_t)n + OUTPUT_COST;
	l->heard_all = !n;
	over(l);
}

// say passes on what the host said. Who takes no more may still have something
// to say: it is heard to its end.
static void say(struct link *l) {
	long n = sys3(__NR_write, l->fd, inputs[l - links] + l->in_at, l->in_len);
	if (n == -EAGAIN || n == -EINTR) return;
	if (n < 0) {
		n = l->in_len;
		l->in_closed = 1;
	}
	l->in_at += (uint32_t)n;
	l->in_len -= (uint32_t)n;
	send_window(l->stream, (uint32_t)n);
	if (l->in_closed) over(l);
	else if (!l->in_len && l->said_all) close_input(l);
}

static short wanted(const struct link *l) {
	if (l->family) return POLLOUT;
	short events = 0;
	if (l->watch || (!l->heard_all && has_room(l))) events |= POLLIN;
	if (l->in_len) events |= POLLOUT;
	return events;
}

int link_poll_set(struct pollfd *set) {
	int n = 0;
	for (int i = 0; i < MAX_LINKS; i++) {
		struct link *l = &links[i];
		if (!l->used) continue;
		short events = wanted(l);
		set[n++] = (struct pollfd){events ? l->fd : -1, events, 0}; // -1 as well of a watch that was lost
	}
	return n;
}

void link_poll_done(const struct pollfd *set, int n) {
	int at = 0;
	for (int i = 0; i < MAX_LINKS && at < n; i++) {
		struct link *l = &links[i];
		if (!l->used) continue;
		const struct pollfd *s = &set[at++];
		if (!s->revents) continue;
		if (l->family) {
			connected(l);
			continue;
		}
		if (s->events & POLLOUT) say(l);
		if (l->used && s->events & POLLIN) hear(l);
	}
}
