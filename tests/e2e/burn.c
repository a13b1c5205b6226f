/*
 * Burns a stated amount of CPU time and tells how much it was:
 *
 *     burn THREADS NANOSECONDS REPORT
 *
 * Each of THREADS threads (at most 16 at once) burns NANOSECONDS by its own clock; 0 threads: the
 * main thread does.  The file REPORT gets the CPU time of the whole process by getrusage, in ns.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#define AT_ONCE 16

static uint64_t burn_ns;

static uint64_t thread_cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

__attribute__((noipa)) static void *burn(void *argument)
{
	volatile uint64_t value = 1;

	while (thread_cpu_ns() < burn_ns)
		for (int i = 0; i < 2000; i++)
			value = value * 6364136223846793005u + 1;
	return argument;
}

static uint64_t process_cpu_ns(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000000 +
		(uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000;
}

int main(int argc, char **argv)
{
	pthread_t threads[AT_ONCE];
	FILE *report;
	int left;

	if (argc != 4)
		return 2;
	left = atoi(argv[1]);
	burn_ns = strtoull(argv[2], NULL, 10);
	if (left == 0)
		burn(NULL);
	while (left > 0) {
		int started = 0;

		for (; started < AT_ONCE && left > 0; started++, left--)
			if (pthread_create(&threads[started], NULL, burn, NULL) != 0)
				return 2;
		while (started > 0)
			pthread_join(threads[--started], NULL);
	}
	report = fopen(argv[3], "w");
	if (!report)
		return 2;
	fprintf(report, "%llu\n", (unsigned long long)process_cpu_ns());
	return fclose(report) == 0 ? 0 : 2;
}
