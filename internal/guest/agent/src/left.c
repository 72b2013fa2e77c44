#include "program.h"

// The output pipes of programs that have ended while something which they started
// still holds them: a server, say, that a shell left in the background. What comes
// is thrown away; were they closed, its next line would kill it with SIGPIPE.
static int left[MAX_LEFT];
static int count;

static void forget(int i) {
	sys1(__NR_close, left[i]);
	count--;
	for (; i < count; i++) left[i] = left[i + 1];
}

void left_add(int *fd) {
	if (*fd < 0) return;
	if (count == MAX_LEFT) forget(0);
	left[count++] = *fd;
	*fd = -1;
}

int left_poll_set(struct pollfd *set) {
	for (int i = 0; i < count; i++) set[i] = (struct pollfd){left[i], POLLIN, 0};
	return count;
}

void left_poll_done(const struct pollfd *set, int n) {
	static uint8_t nowhere[64 << 10];
	for (int i = n - 1; i >= 0; i--) { // from the end: forget moves what is behind
		if (!set[i].revents || i >= count || left[i] != set[i].fd) continue;
		long r = sys3(__NR_read, left[i], nowhere, sizeof nowhere);
		if (r == 0 || (r < 0 && r != -EAGAIN && r != -EINTR)) forget(i);
	}
}
