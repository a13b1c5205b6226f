/*
 * What sampling costs a program: slices of the same work, with the profiler's timers stopped
 * and running.
 *
 *     overhead LIBRARY-OF-DEEP-STACKS SLICE-MS BLOCKS [EMPTY-HZ]
 *
 * Preloaded with a profiler, or with EMPTY-HZ: with a handler that does nothing on a timer of the
 * thread's own CPU time, which is what no profiler of this kind can be cheaper than.
 *
 * Per block four slices, ABBA: without, with, with, without.  A line per block: thread CPU time
 * of the slices without and of those with, ns.  With EMPTY-HZ a last line: "delivery NS", of one
 * signal to an empty handler, without the system call that sent it.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <string.h>

#include "clocks.h"
#include "deep_stack.h"
#include "posix_timers.h"

#define DEPTH 31 /* and five of ours and libc's: 36 */
#define SIGNAL (SIGRTMIN + 10)
#define DELIVERIES 20000

/* Work that lives in the first cache, as hot loops do: what a handler evicts counts. */
static uint32_t memory[4096];
static uint64_t state = 1;

static void work(void *argument)
{
	unsigned steps = *(unsigned *)argument;

	while (steps--) {
		state = state * 6364136223846793005u + 1442695040888963407u;
		memory[state >> 52] += (uint32_t)(state >> 32);
	}
}

#define PARTS_PER_SLICE 32 /* stacks */

static uint64_t slice(deep_call_function *call, unsigned steps)
{
	static unsigned first;
	const uint64_t start = clock_ns(CLOCK_THREAD_CPUTIME_ID);

	for (int part = 0; part < PARTS_PER_SLICE; part++)
		call(first++, DEPTH, work, &steps);
	return clock_ns(CLOCK_THREAD_CPUTIME_ID) - start;
}

/* Steps in a part of a slice of NS. */
static unsigned calibrate(deep_call_function *call, uint64_t ns)
{
	const unsigned steps = 10000;
	uint64_t least = UINT64_MAX, took;

	for (int i = 0; i < 50; i++) {
		took = slice(call, steps);
		least = took < least ? took : least;
	}
	return (unsigned)((double)steps * (double)ns / (double)least);
}

static void nothing(int number, siginfo_t *info, void *context)
{
	(void)number, (void)info, (void)context;
}

static void start_empty(unsigned hz)
{
	struct sigaction action = { .sa_sigaction = nothing,
		.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK };
	struct itimerspec when = { { 0, 1000000000 / hz }, { 0, 1000000000 / hz } };
	struct sigevent event = { .sigev_signo = SIGNAL, .sigev_notify = SIGEV_THREAD_ID };
	int timer;

	sigfillset(&action.sa_mask);
	sigaction(SIGNAL, &action, NULL);
	event._sigev_un._tid = gettid();
	if (syscall(SYS_timer_create, CLOCK_THREAD_CPUTIME_ID, &event, &timer) < 0 ||
		syscall(SYS_timer_settime, timer, 0, &when, NULL) < 0)
		exit(1);
}

static double per_call(int signal)
{
	const uint64_t start = clock_ns(CLOCK_MONOTONIC);

	for (int i = 0; i < DELIVERIES; i++)
		syscall(SYS_tgkill, getpid(), gettid(), signal);
	return (double)(clock_ns(CLOCK_MONOTONIC) - start) / DELIVERIES;
}

static double delivery(void)
{
	double with = 1e9, without = 1e9, took;

	for (int i = 0; i < 7; i++) {
		took = per_call(SIGNAL);
		with = took < with ? took : with;
		took = per_call(0);
		without = took < without ? took : without;
	}
	return with - without;
}

int main(int argc, char **argv)
{
	deep_call_function *call;
	struct stopped_timers stopped;
	unsigned long blocks;
	unsigned steps;

	if (argc < 4)
		return 2;
	call = deep_open(argv[1]);
	blocks = strtoul(argv[3], NULL, 10);
	if (argc > 4)
		start_empty((unsigned)strtoul(argv[4], NULL, 10));
	timers_stop(&stopped);
	steps = calibrate(call, strtoul(argv[2], NULL, 10) * 1000000);
	for (unsigned long block = 0; block < blocks; block++) {
		uint64_t without = slice(call, steps), with;

		timers_continue(&stopped);
		with = slice(call, steps);
		with += slice(call, steps);
		timers_stop(&stopped);
		without += slice(call, steps);
		printf("%lu %lu\n", without, with);
	}
	if (argc > 4)
		printf("delivery %.0f\n", delivery());
	else
		timers_continue(&stopped); /* as they were for whoever stops them */
	return memory[0] == 1;
}
