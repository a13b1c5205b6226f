/*
 * A lock for short changes, which nobody waits for without end: who does not get it does without.
 */
#ifndef AGENT_SPIN_LOCK_H
#define AGENT_SPIN_LOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/syscalls.h"

struct spin_lock {
	uint32_t taken;
};

#define SPIN_TRIES 1000 /* some microseconds */
#define SPIN_YIELDS 1000

/* Signal-safe. */
static inline bool spin_try(struct spin_lock *lock)
{
	for (int i = 0; i < SPIN_TRIES; i++) {
		if (__atomic_exchange_n(&lock->taken, 1, __ATOMIC_ACQUIRE) == 0)
			return true;
		__builtin_ia32_pause();
	}
	return false;
}

static inline void spin_unlock(struct spin_lock *lock)
{
	__atomic_store_n(&lock->taken, 0, __ATOMIC_RELEASE);
}

/* Outside of handlers: the holder may be off its processor. */
static inline bool spin_lock_patiently(struct spin_lock *lock)
{
	for (int i = 0; i < SPIN_YIELDS; i++) {
		if (spin_try(lock))
			return true;
		raw_syscall1(SYS_sched_yield, 0);
	}
	return false;
}

#endif
