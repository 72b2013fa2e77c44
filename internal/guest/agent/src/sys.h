// Raw Linux system calls for x86-64: the agent links no C library, so that it is
// a few pages large, starts in well under a millisecond inside a sandbox, and
// can be read whole.
#ifndef BRIG_SYS_H
#define BRIG_SYS_H

#include <stddef.h>
#include <stdint.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/ipc.h>
#include <linux/poll.h>
#include <linux/prctl.h>
#include <linux/resource.h>
#include <linux/sched.h>
#include <linux/signal.h>
#include <linux/stat.h>
#include <asm/stat.h>
#include <asm/statfs.h>
#include <asm/unistd.h>

static inline long sys6(long n, long a, long b, long c, long d, long e, long f) {
	long r;
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	__asm__ volatile("syscall" : "=a"(r) : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9) : "rcx", "r11", "memory");
	return r;
}
#define sys0(n) sys6(n, 0, 0, 0, 0, 0, 0)
#define sys1(n, a) sys6(n, (long)(a), 0, 0, 0, 0, 0)
#define sys2(n, a, b) sys6(n, (long)(a), (long)(b), 0, 0, 0, 0)
#define sys3(n, a, b, c) sys6(n, (long)(a), (long)(b), (long)(c), 0, 0, 0)
#define sys4(n, a, b, c, d) sys6(n, (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)

// spawn runs fn(arg) in a child that shares our memory and stops us until it
// has exec'd or exited, on the stack that ends at top. It returns the pid.
long spawn(unsigned long flags, void *top, void (*fn)(void *), void *arg);

void *memcpy(void *d, const void *s, size_t n);
void *memset(void *d, int c, size_t n);
size_t str_len(const char *s);
int str_eq(const char *a, const char *b);
int str_prefix(const char *s, const char *prefix);

#endif
