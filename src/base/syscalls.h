/*
 * System calls without libc: they leave errno alone, are no cancellation points and cannot be
 * interposed.  For the agent, whose handlers may call nothing else.  x86-64 (AMD64 psABI, A.2).
 * The result is the kernel's own: -errno on failure.  Signal-safe.
 */
#ifndef BASE_SYSCALLS_H
#define BASE_SYSCALLS_H

#include <sys/syscall.h>

static inline long raw_syscall6(long number, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "0"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}

static inline long raw_syscall4(long number, long a, long b, long c, long d)
{
	return raw_syscall6(number, a, b, c, d, 0, 0);
}

static inline long raw_syscall3(long number, long a, long b, long c)
{
	return raw_syscall6(number, a, b, c, 0, 0, 0);
}

static inline long raw_syscall1(long number, long a)
{
	return raw_syscall6(number, a, 0, 0, 0, 0, 0);
}

#endif
