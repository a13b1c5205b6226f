/*
 * What a thread, a fork and an exec take, from their start to the moment their end is known:
 *
 *     process_costs COUNT
 *
 * Three medians in us: fork() to _exit() and waitpid(); pthread_create() to pthread_join(), of a
 * thread that does nothing; fork(), exec of itself, which ends at once, and waitpid().
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clocks.h"

static void *do_nothing(void *argument)
{
	return argument;
}

static void run_thread(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, do_nothing, NULL) == 0)
		pthread_join(thread, NULL);
}

static void run_fork(void)
{
	const pid_t child = fork();

	if (child == 0)
		_exit(0);
	waitpid(child, NULL, 0);
}

static void run_exec(void)
{
	const pid_t child = fork();

	if (child == 0) {
		execl("/proc/self/exe", "process_costs", (char *)NULL);
		_exit(127);
	}
	waitpid(child, NULL, 0);
}

static double median_us(void (*run)(void), size_t count)
{
	double *took = calloc(count, sizeof(*took)), median;

	for (size_t i = 0; i < count; i++) {
		const uint64_t start = clock_ns(CLOCK_MONOTONIC);

		run();
		took[i] = (double)(clock_ns(CLOCK_MONOTONIC) - start) / 1e3;
	}
	median = median_of(took, count);
	free(took);
	return median;
}

int main(int argc, char **argv)
{
	const size_t count = argc > 1 ? (size_t)atol(argv[1]) : 0;

	if (count)
		printf("%.2f %.2f %.2f\n", median_us(run_fork, count), median_us(run_thread, count),
			median_us(run_exec, count / 4 + 1));
	return 0;
}
