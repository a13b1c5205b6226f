/*
 * Threads that live one after the other, each for BURN-US of CPU time on a deep stack: with a
 * period of twice that, every other one is sampled, and none twice.
 *
 *     short_threads LIBRARY-OF-DEEP-STACKS THREADS BURN-US
 */
#define _GNU_SOURCE
#include <pthread.h>

#include "clocks.h"
#include "deep_stack.h"

#define DEPTH 33 /* and the leaf, the thread's routine and clone: 36 */

static deep_call_function *deep_call;
static uint64_t burn_ns;

static void burn(void *ignored)
{
	static volatile unsigned sink;

	(void)ignored;
	while (clock_ns(CLOCK_THREAD_CPUTIME_ID) < burn_ns)
		for (unsigned i = 0; i < 20000; i++)
			sink += i;
}

static void *live(void *ignored)
{
	deep_call(0, DEPTH, burn, ignored);
	return NULL;
}

int main(int argc, char **argv)
{
	unsigned long threads;
	pthread_t thread;

	if (argc != 4)
		return 2;
	deep_call = deep_open(argv[1]);
	threads = strtoul(argv[2], NULL, 10);
	burn_ns = strtoul(argv[3], NULL, 10) * 1000;
	while (threads--) {
		if (pthread_create(&thread, NULL, live, NULL) != 0)
			return 1;
		pthread_join(thread, NULL);
	}
	return 0;
}
