/*
 * malloc and free, and hardly anything else:
 *
 *     alloc_pairs pair|window THREADS PAIRS DEPTH
 *
 * pair frees each block at once; window replaces one of 4096 live blocks, at random.  Sizes go
 * from 16 to 512 bytes.  DEPTH calls lie between main and the allocations.  Prints the CPU time of
 * a pair in ns, after a twentieth of the work to warm up.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define THREADS_MAX 16
#define WINDOW 4096

static const uint16_t sizes[16] = { 16, 24, 32, 40, 48, 64, 80, 96, 112, 128, 160, 192, 256, 320,
	384, 512 };

static bool is_window;
static long pair_count, depth;

__attribute__((noipa)) static void run_pairs(long count)
{
	for (long i = 0; i < count; i++) {
		char *volatile block = malloc(sizes[i % 16]);

		*block = (char)i;
		free(block);
	}
}

__attribute__((noipa)) static void run_window(long count)
{
	static __thread void *blocks[WINDOW];
	uint64_t x = 88172645463325252u;

	for (long i = 0; i < count; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		free(blocks[x % WINDOW]);
		blocks[x % WINDOW] = malloc(sizes[x >> 20 & 15]);
		*(char *)blocks[x % WINDOW] = 1;
	}
	for (int i = 0; i < WINDOW; i++) {
		free(blocks[i]);
		blocks[i] = NULL;
	}
}

__attribute__((noipa)) static void run_below(long left, long count)
{
	if (left > 0)
		run_below(left - 1, count);
	else if (is_window)
		run_window(count);
	else
		run_pairs(count);
	__asm__ volatile(""); /* no tail call */
}

static uint64_t cpu_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void *run(void *result)
{
	uint64_t start;

	run_below(depth, pair_count / 20);
	start = cpu_ns(CLOCK_THREAD_CPUTIME_ID);
	run_below(depth, pair_count);
	*(double *)result =
		(double)(cpu_ns(CLOCK_THREAD_CPUTIME_ID) - start) / (double)pair_count;
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t threads[THREADS_MAX];
	double results[THREADS_MAX], sum = 0;
	int count = argc == 5 ? atoi(argv[2]) : 0;

	if (count < 1 || count > THREADS_MAX) {
		fprintf(stderr, "usage: alloc_pairs pair|window THREADS PAIRS DEPTH\n");
		return 2;
	}
	is_window = strcmp(argv[1], "window") == 0;
	pair_count = atol(argv[3]);
	depth = atol(argv[4]);
	for (int i = 1; i < count; i++)
		pthread_create(&threads[i], NULL, run, &results[i]);
	run(&results[0]);
	for (int i = 1; i < count; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < count; i++)
		sum += results[i];
	printf("%.3f\n", sum / count);
	return 0;
}
