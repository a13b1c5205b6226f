/*
 * The work that the samples do: a loop that takes as long wherever it stands,
 * so that how often a function runs it is that function's share of the CPU.
 */
#ifndef SAMPLES_WORK_H
#define SAMPLES_WORK_H

#include <stdint.h>
#include <stdlib.h>
#include <time.h>

/* A function that keeps its name, its frame and its calls: not inlined, and
 * not cloned to name.constprop.0 either. */
#ifdef __has_attribute
#if __has_attribute(noipa)
#define KEPT __attribute__((noipa))
#endif
#endif
#ifndef KEPT
#define KEPT __attribute__((noinline))
#endif

#define WORK_UNIT_STEPS 100000	/* one unit of work: 0.1 to 0.2 ms */

/* Run STEP_COUNT steps over the value X and yield the new value.  Each step
 * needs the one before it (an xor, then a multiplication), so the time is the
 * processor's latency and neither alignment nor register allocation changes
 * it.  A macro, because an inline function would be a frame of its own in the
 * profile and take the caller's share. */
#define WORK_STEPS(x, step_count)					\
	({								\
		uint64_t work_value_ = (x);				\
		const uint64_t work_end_ = (step_count);		\
									\
		for (uint64_t work_i_ = 0; work_i_ < work_end_; work_i_++) \
			work_value_ = (work_value_ ^ work_i_) * 0x100000001b3; \
		work_value_;						\
	})
#define WORK(x) WORK_STEPS(x, WORK_UNIT_STEPS)

/* Work a random time, up to 64 units. */
static KEPT uint64_t work_jitter(uint64_t seed)
{
	return WORK_STEPS(seed, (seed * 0x9e3779b97f4a7c15u >> 40) % (64 * WORK_UNIT_STEPS));
}

/*
 * The CPU time of the calling thread, in seconds.
 *
 * With WORK_JITTER set, work a random time first, and look at the clock every 16th time only.
 * The kernel looks at CPU timers when it ticks, and work as even as ours may run in step
 * with its ticks: every sample would find the same function.  On a busy machine a system call
 * is where a thread is stopped, and a tick is when it goes on, which has the same effect.
 */
static inline double work_thread_cpu_seconds(void)
{
	static __thread double seconds;
	static __thread unsigned calls;
	struct timespec now = { 0, 0 };

	if (getenv("WORK_JITTER")) {
		work_jitter((uint64_t)(seconds * 1e9) + calls);
		if (calls++ % 16)
			return seconds;
	}
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	seconds = (double)now.tv_sec + (double)now.tv_nsec / 1e9;
	return seconds;
}

#endif
