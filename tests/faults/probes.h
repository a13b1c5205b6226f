/*
 * Small programs, each in one situation that breaks profilers; a folder's table of them is run by
 *
 *     probes_THEME NAME
 *
 * which prints what came of it, the same with and without the agent.
 */
#ifndef FAULTS_PROBES_H
#define FAULTS_PROBES_H

#include <stdio.h>
#include <string.h>
#include <time.h>

struct probe {
	const char *name;
	int (*run)(void); /* the exit status */
};

/* CPU time of this thread, under a name that the profile is asked for; looked at the clock a few
 * times only: the kernel's ticks must meet the loop, not system calls. */
__attribute__((noipa)) static void probe_burn(double seconds)
{
	struct timespec t;
	volatile unsigned long value = 1;
	double now, end = 0;

	do {
		for (long i = 0; i < 400000; i++)
			value = value * 6364136223846793005u + 1;
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
		now = (double)t.tv_sec + (double)t.tv_nsec / 1e9;
		end = end == 0 ? now + seconds : end;
	} while (now < end);
}

static inline int probe_main(
	int argc, char **argv, const struct probe *probes, size_t probe_count)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (size_t i = 0; argc == 2 && i < probe_count; i++)
		if (strcmp(argv[1], probes[i].name) == 0)
			return probes[i].run();
	for (size_t i = 0; i < probe_count; i++)
		fprintf(stderr, "%s\n", probes[i].name);
	return 2;
}

#endif
