#include "wire.h"

static uint8_t out[9 + MAX_DATA + 256];
static uint32_t out_len;

void die(int code) {
	for (;;) sys1(__NR_exit_group, code);
}

uint8_t *take(struct fields *f, uint32_t *n) {
	*n = 0;
	if (f->bad || f->end - f->p < 4) {
		f->bad = 1;
		return f->p;
	}
	uint32_t len;
	memcpy(&len, f->p, 4);
	if (len > (uint64_t)(f->end - f->p - 4)) {
		f->bad = 1;
		return f->p;
	}
	uint8_t *at = f->p + 4;
	f->p = at + len;
	*n = len;
	return at;
}

uint32_t take_u32(struct fields *f) {
	uint32_t n, v = 0;
	uint8_t *p = take(f, &n);
	if (n != 4) {
		f->bad = 1;
		return 0;
	}
	memcpy(&v, p, 4);
	return v;
}

uint64_t take_u64(struct fields *f) {
	uint32_t n;
	uint64_t v = 0;
	uint8_t *p = take(f, &n);
	if (n != 8) {
		f->bad = 1;
		return 0;
	}
	memcpy(&v, p, 8);
	return v;
}

char *take_str(struct fields *f) {
	uint32_t n;
	uint8_t *p = take(f, &n);
	if (f->bad) return "";
	char *s = (char *)p - 4;
	for (uint32_t i = 0; i < n; i++) {
		s[i] = (char)p[i];
		if (!s[i]) f->bad = 1;
	}
	s[n] = 0;
	return s;
}

void frame_begin(uint8_t type, uint32_t stream) {
	out[4] = type;
	memcpy(out + 5, &stream, 4);
	out_len = 9;
}

void frame_bytes(const void *p, uint32_t n) {
	if (out_len + 4 + n > sizeof out) die(71);
	memcpy(out + out_len, &n, 4);
	memcpy(out + out_len + 4, p, n);
	out_len += 4 + n;
}

void frame_u32(uint32_t v) { frame_bytes(&v, 4); }
void frame_u64(uint64_t v) { frame_bytes(&v, 8); }

uint8_t *frame_raw(uint32_t *room) {
	*room = MAX_DATA;
	return out + out_len;
}

void frame_raw_len(uint32_t n) { out_len += n; }

void frame_send(void) {
	uint32_t n = out_len - 4;
	memcpy(out, &n, 4);
	write_all(CHANNEL, out, out_len);
}

void send_empty(uint8_t type, uint32_t stream) {
	frame_begin(type, stream);
	frame_send();
}

void send_err(uint32_t stream, long err, const char *text) {
	frame_begin(T_ERR, stream);
	frame_u32((uint32_t)(err < 0 ? -err : err));
	frame_bytes(text, (uint32_t)str_len(text));
	frame_send();
}

void write_all(int fd, const void *p, size_t n) {
	const uint8_t *b = p;
	while (n) {
		long w = sys3(__NR_write, fd, b, n);
		if (w == -EINTR) continue;
		if (w <= 0) die(70);
		b += w;
		n -= (size_t)w;
	}
}
