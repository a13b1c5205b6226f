/*
 * Changes of shared words that need no bus lock while the process has one thread: then a single
 * instruction is atomic enough, for only a handler of that thread may come in between.  Whether
 * it has one is glibc's to know (__libc_single_threaded, from 2.32), whose own malloc goes by
 * it.  Threads that came past this glibc, from one in another namespace (dlmopen) or by a bare
 * clone(), are nothing to it: who finds one says so.  Signal-safe.
 */
#ifndef BASE_LONE_THREAD_H
#define BASE_LONE_THREAD_H

#include <stdbool.h>
#include <stdint.h>

extern char __libc_single_threaded __attribute__((weak));
extern bool lone_thread_is_doubted; /* set once there may be a thread that glibc does not know */

static inline bool lone_thread(void)
{
	return &__libc_single_threaded && __libc_single_threaded && !lone_thread_is_doubted;
}

/* *AT += MORE.  A release. */
static inline void lone_add(uint64_t *at, uint64_t more)
{
	if (lone_thread())
		__asm__ volatile("addq %1, %0" : "+m"(*at) : "er"(more) : "memory", "cc");
	else
		__atomic_fetch_add(at, more, __ATOMIC_RELEASE);
}

/* *AT becomes NEXT if it is *SEEN; else *SEEN becomes what it is, and it is false.  A full
 * fence between threads. */
#define DEFINE_LONE_SWAP(name, type)                                                           \
	static inline bool name(type *at, type *seen, type next)                               \
	{                                                                                      \
		bool is_swapped;                                                               \
                                                                                               \
		if (!lone_thread())                                                            \
			return __atomic_compare_exchange_n(                                    \
				at, seen, next, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);    \
		__asm__ volatile("cmpxchg %3, %1"                                              \
				 : "=@ccz"(is_swapped), "+m"(*at), "+a"(*seen)                 \
				 : "r"(next)                                                   \
				 : "memory");                                                  \
		return is_swapped;                                                             \
	}
DEFINE_LONE_SWAP(lone_swap, uint64_t)
DEFINE_LONE_SWAP(lone_swap32, uint32_t)
#undef DEFINE_LONE_SWAP

#endif
