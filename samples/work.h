/*
 * The work that the samples do: a loop that takes as long wherever it stands,
 * so that how often a function runs it is that function's share of the CPU.
 */
#ifndef SAMPLES_WORK_H
#define SAMPLES_WORK_H

#include <stdint.h>
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

/* The CPU time of the calling thread, in seconds. */
static inline double work_thread_cpu_seconds(void)
{
	struct timespec now = { 0, 0 };

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

#endif
