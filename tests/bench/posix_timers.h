/*
 * The timers of this very process, whoever made them: raw system calls, since glibc's timer_t
 * of a timer it did not make cannot be had.
 */
#ifndef BENCH_POSIX_TIMERS_H
#define BENCH_POSIX_TIMERS_H

#include <stdbool.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define POSIX_TIMERS_MAX 64 /* numbers run from 0 */

struct stopped_timers {
	struct itimerspec timers[POSIX_TIMERS_MAX];
	struct itimerval profiling;
};

/* Stop every timer that runs; *S remembers what was left of its period. */
static inline void timers_stop(struct stopped_timers *s)
{
	const struct itimerspec never = { 0 };
	const struct itimerval never_profiling = { 0 };

	for (int i = 0; i < POSIX_TIMERS_MAX; i++)
		if (syscall(SYS_timer_settime, i, 0, &never, &s->timers[i]) < 0)
			s->timers[i] = never;
	setitimer(ITIMER_PROF, &never_profiling, &s->profiling);
}

static inline void timers_continue(const struct stopped_timers *s)
{
	for (int i = 0; i < POSIX_TIMERS_MAX; i++)
		if (s->timers[i].it_interval.tv_sec || s->timers[i].it_interval.tv_nsec)
			syscall(SYS_timer_settime, i, 0, &s->timers[i], NULL);
	if (s->profiling.it_interval.tv_sec || s->profiling.it_interval.tv_usec)
		setitimer(ITIMER_PROF, &s->profiling, NULL);
}

#endif
