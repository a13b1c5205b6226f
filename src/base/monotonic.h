/* The clock every time in a spool is of: CLOCK_MONOTONIC in nanoseconds.  Signal-safe. */
#ifndef BASE_MONOTONIC_H
#define BASE_MONOTONIC_H

#include <stdint.h>
#include <time.h>

/* clock_gettime; the agent puts libc's own here, since another library's may do anything. */
extern int (*monotonic_clock)(clockid_t clock, struct timespec *now);

static inline uint64_t clock_now_ns(clockid_t clock)
{
	struct timespec now;

	monotonic_clock(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static inline uint64_t monotonic_ns(void)
{
	return clock_now_ns(CLOCK_MONOTONIC);
}

#endif
