#include "sys.h"

void *memcpy(void *d, const void *s, size_t n) {
	void *r = d;
	__asm__ volatile("rep movsb" : "+D"(d), "+S"(s), "+c"(n) : : "memory");
	return r;
}

void *memset(void *d, int c, size_t n) {
	void *r = d;
	__asm__ volatile("rep stosb" : "+D"(d), "+c"(n) : "a"(c) : "memory");
	return r;
}

size_t str_len(const char *s) {
	size_t n = 0;
	while (s[n]) n++;
	return n;
}

int str_eq(const char *a, const char *b) {
	while (*a && *a == *b) a++, b++;
	return *a == *b;
}

int str_prefix(const char *s, const char *prefix) {
	while (*prefix && *s == *prefix) s++, prefix++;
	return !*prefix;
}

// The child must not return into our frames: it gets fn and arg on its own
// stack and never comes back.
__asm__(
	".globl spawn\n"
	"spawn:\n"
	"	mov %rsi, %r8\n"         // top of the child's stack
	"	sub $16, %r8\n"
	"	mov %rdx, 0(%r8)\n"      // fn
	"	mov %rcx, 8(%r8)\n"      // arg
	"	mov %r8, %rsi\n"
	"	xor %edx, %edx\n"
	"	xor %r10d, %r10d\n"
	"	xor %r8d, %r8d\n"
	"	mov $56, %eax\n"         // clone
	"	syscall\n"
	"	test %rax, %rax\n"
	"	jz 1f\n"
	"	ret\n"
	"1:	xor %ebp, %ebp\n"
	"	pop %rax\n"
	"	pop %rdi\n"
	"	call *%rax\n"
	"	mov $60, %eax\n"         // exit, should fn return
	"	mov $127, %edi\n"
	"	syscall\n"
	"	hlt\n");

__asm__(
	".globl _start\n"
	"_start:\n"
	"	xor %ebp, %ebp\n"
	"	mov (%rsp), %rdi\n"
	"	lea 8(%rsp), %rsi\n"
	"	and $-16, %rsp\n"
	"	call agent_main\n"
	"	mov %eax, %edi\n"
	"	mov $231, %eax\n"        // exit_group
	"	syscall\n"
	"	hlt\n");
