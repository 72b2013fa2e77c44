#include "agent.h"

struct config config;

const char *inside(const char *path, char *buf) {
	if (!config.root || !str_prefix(path, "/work") || (path[5] && path[5] != '/')) {
		size_t n = str_len(path);
		if (n >= PATH_LEN) return 0;
		memcpy(buf, path, n + 1);
		return buf;
	}
	size_t r = str_len(config.root), n = str_len(path);
	if (r + n >= PATH_LEN) return 0;
	memcpy(buf, config.root, r);
	memcpy(buf + r, path, n + 1);
	return buf;
}

// start makes this box, cold or restored, the host's own.
static void start(uint32_t stream, struct fields *f) {
	uint32_t n;
	uint8_t *seed = take(f, &n);
	uint64_t clock_ns = take_u64(f);
	char *hostname = take_str(f), *machine_id = take_str(f);
	if (f->bad || n != SEED_LEN) {
		send_err(stream, EBADMSG, "malformed START");
		return;
	}
	(void)clock_ns; // a restored box has the host's clock already; a VM will set it here
	memcpy(config.seed, seed, SEED_LEN);
	// Into the kernel's pool as well, where there is one of our own.
	long fd = sys4(__NR_openat, AT_FDCWD, "/dev/urandom", O_WRONLY | O_CLOEXEC, 0);
	if (fd >= 0) {
		sys3(__NR_write, fd, seed, SEED_LEN);
		sys1(__NR_close, fd);
	}
	long r = set_names(hostname, machine_id);
	if (r) {
		send_err(stream, r, "cannot set the hostname or the machine id");
		return;
	}
	file_forget();
	link_forget();
	exec_detach();
	exec_thaw();
	frame_begin(T_READY, stream);
	frame_u32(VERSION);
	frame_bytes("brig-agent", 10);
	frame_send();
}

static void dispatch(uint8_t type, uint32_t stream, uint8_t *payload, uint32_t n) {
	struct fields f = {payload, payload + n, 0};
	switch (type) {
	case T_START: start(stream, &f); break;
	case T_PUT: file_put(stream, &f); break;
	case T_DATA: file_data(stream, payload, n); break;
	case T_END: file_end(stream); break;
	case T_GET: file_get(stream, &f); break;
	case T_READ: file_read(stream, &f); break;
	case T_STAT: file_stat(stream, &f); break;
	case T_LIST: file_list(stream, &f); break;
	case T_MKDIR: file_mkdir(stream, &f); break;
	case T_REMOVE: file_remove(stream, &f); break;
	case T_RENAME: file_rename(stream, &f); break;
	case T_SYMLINK: file_symlink(stream, &f); break;
	case T_EXEC: exec_start(stream, payload, n); break;
	case T_ATTACH: exec_attach(stream, &f); break;
	case T_DIAL: link_dial(stream, &f); break;
	case T_WATCH: link_watch(stream, &f); break;
	case T_HANG_UP: link_hang_up(stream); break;
	case T_STDIN:
		if (!link_stdin(stream, payload, n)) exec_stdin(stream, payload, n);
		break;
	case T_STDIN_EOF:
		if (!link_stdin_eof(stream)) exec_stdin_eof(stream);
		break;
	case T_WINDOW: exec_window(stream, &f); break;
	case T_SIGNAL: exec_signal(stream, &f); break;
	case T_RESIZE: exec_resize(stream, &f); break;
	case T_RESET: reset_all(stream); break;
	case T_PRIME: exec_prime(stream); break;
	case T_FREEZE:
		exec_freeze();
		send_empty(T_OK, stream);
		break;
	case T_THAW:
		send_empty(T_OK, stream);
		exec_thaw();
		break;
	default: send_err(stream, ENOSYS, "unknown request");
	}
}

// take_input reads once and handles every whole frame. Four spare bytes stand
// before the buffer and behind it for take_str.
static void take_input(void) {
	static uint8_t in[4 + MAX_FRAME + 4];
	static uint32_t have;
	long n = sys3(__NR_read, CHANNEL, in + have, sizeof in - 4 - have);
	if (n == -EINTR || n == -EAGAIN) return;
	if (n <= 0) {
		exec_kill_all();
		die(0);
	}
	have += (uint32_t)n;
	uint32_t at = 0;
	while (have - at >= 4) {
		uint32_t len, stream;
		memcpy(&len, in + at, 4);
		if (len < 5 || len > MAX_FRAME) die(72);
		if (have - at - 4 < len) break;
		memcpy(&stream, in + at + 5, 4);
		dispatch(in[at + 4], stream, in + at + 9, len - 5);
		at += 4 + len;
	}
	for (uint32_t i = at; at && i < have; i++) in[i - at] = in[i];
	have -= at;
}

static int signals(void) {
	uint64_t all = ~0ull, children = 1ull << (SIGCHLD - 1);
	sys4(__NR_rt_sigprocmask, SIG_SETMASK, &all, 0, 8);
	return (int)sys4(__NR_signalfd4, -1, &children, 8, O_CLOEXEC | O_NONBLOCK);
}

int agent_main(int argc, char **argv) {
	static struct pollfd set[MAX_POLL];
	static uint8_t siginfo[128 * 16];
	for (int i = 1; i + 1 < argc; i++)
		if (str_eq(argv[i], "--root")) config.root = argv[i + 1];
	int sig = signals();
	sys1(__NR_umask, 0);
	if (sig < 0 || sys3(__NR_fcntl, CHANNEL, F_SETFD, FD_CLOEXEC) < 0) return 73;
	for (;;) {
		int frozen = exec_frozen();
		set[0] = (struct pollfd){CHANNEL, POLLIN, 0};
		set[1] = (struct pollfd){frozen ? -1 : sig, POLLIN, 0};
		int n = frozen ? 0 : exec_poll_set(set + 2), links = frozen ? 0 : link_poll_set(set + 2 + n);
		int left = frozen ? 0 : left_poll_set(set + 2 + n + links);
		long r = sys3(__NR_poll, set, 2 + n + links + left, !frozen && exec_running() ? 100 : -1);
		if (r == 0) exec_watch();
		if (r <= 0) continue;
		exec_poll_done(set + 2, n);
		link_poll_done(set + 2 + n, links);
		left_poll_done(set + 2 + n + links, left);
		if (set[0].revents) take_input();
		if (set[1].revents) {
			sys3(__NR_read, sig, siginfo, sizeof siginfo);
			if (!exec_frozen()) exec_reap();
		}
	}
}
