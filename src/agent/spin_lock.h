/*
 * A lock for short changes, which nobody waits for without end: who does not get it does without.
 * Outside of handlers signals are blocked while it is held, or a handler on the same thread would
 * find it taken for good.
 */
#ifndef AGENT_SPIN_LOCK_H
#define AGENT_SPIN_LOCK_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/syscalls.h"

struct spin_lock {
	uint32_t taken;
};

#define SPIN_TRIES 1000 /* some microseconds */
#define SPIN_YIELDS 10000

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

/* With signals blocked already. */
static inline bool spin_lock_patiently(struct spin_lock *lock)
{
	for (int i = 0; i < SPIN_YIELDS; i++) {
		if (spin_try(lock))
			return true;
		raw_syscall1(SYS_sched_yield, 0);
	}
	return false;
}

static inline void spin_restore_signals(const uint64_t *old_mask)
{
	raw_syscall4(SYS_rt_sigprocmask, SIG_SETMASK, (long)old_mask, 0, sizeof(*old_mask));
}

/* False: not held, signals as they were. */
static inline bool spin_lock_blocking_signals(struct spin_lock *lock, uint64_t *old_mask)
{
	const uint64_t all = ~(uint64_t)0;

	raw_syscall4(SYS_rt_sigprocmask, SIG_SETMASK, (long)&all, (long)old_mask, sizeof(all));
	if (spin_lock_patiently(lock))
		return true;
	spin_restore_signals(old_mask);
	return false;
}

static inline void spin_unlock_restoring_signals(struct spin_lock *lock, const uint64_t *old_mask)
{
	spin_unlock(lock);
	spin_restore_signals(old_mask);
}

#endif
