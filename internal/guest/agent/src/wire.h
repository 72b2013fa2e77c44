// Frames of internal/guest/protocol.go, from the guest's side.
#ifndef BRIG_WIRE_H
#define BRIG_WIRE_H

#include "sys.h"

enum {
	CHANNEL = 3,
	VERSION = 2,
	MAX_FRAME = 256 << 10,
	MAX_DATA = 64 << 10,
	WINDOW = 64 << 10,
	OUTPUT_WINDOW = 256 << 10,
	OUTPUT_COST = 64,

	T_START = 1, T_PUT, T_GET, T_LIST, T_EXEC, T_STDIN, T_STDIN_EOF, T_SIGNAL, T_RESET, T_PRIME,
	T_RESIZE, T_FREEZE, T_THAW, T_ATTACH, T_STAT, T_READ, T_MKDIR, T_REMOVE, T_RENAME, T_SYMLINK,
	T_DIAL, T_WATCH, T_HANG_UP,
	T_READY = 129, T_OK, T_ERR, T_ENTRY, T_DATA, T_END, T_STARTED, T_STDOUT, T_STDERR, T_EXIT, T_WINDOW,

	EXEC_WARM_START = 1, EXEC_WARM = 2, EXEC_ROOT = 4, EXEC_FORK = 8, EXEC_TERMINAL = 16, EXEC_KEEP = 32,
	EXEC_AS = 64,
};

// fields is a cursor over a payload; bad sticks.
struct fields {
	uint8_t *p, *end;
	int bad;
};

uint8_t *take(struct fields *f, uint32_t *n);
uint32_t take_u32(struct fields *f);
uint64_t take_u64(struct fields *f);
// take_str gives a string with a NUL behind it, made in place by moving it down
// over its own length prefix; a NUL inside makes the payload bad.
char *take_str(struct fields *f);

// A frame is built in one static buffer and sent with one write.
void frame_begin(uint8_t type, uint32_t stream);
void frame_bytes(const void *p, uint32_t n); // a field
void frame_u32(uint32_t v);
void frame_u64(uint64_t v);
void frame_send(void);
uint8_t *frame_raw(uint32_t *room); // where raw payload goes (DATA, STDOUT, …)
void frame_raw_len(uint32_t n);

void send_empty(uint8_t type, uint32_t stream);
void send_err(uint32_t stream, long err, const char *text);

// write_all writes to a blocking descriptor, or ends the agent: a channel that
// is gone means that the sandbox is.
void write_all(int fd, const void *p, size_t n);
void die(int code) __attribute__((noreturn));

#endif
