/*
 * Memory at several moments, to be run with the agent and without.
 *
 *     footprint LIBRARY-OF-DEEP-STACKS SAMPLES THREADS
 *
 * Lines: the moment, resident KiB (shared memory included), proportional KiB.
 *
 *   start     nothing has been sampled
 *   samples   SAMPLES samples have been, of 2048 different stacks of 20 to 51 frames
 *   thread    one more thread is there, and has been sampled ten times
 *   threads   THREADS more are there, and so have they
 *
 * Samples are made at once: a tick of the agent's timer is sent to the own thread, as the kernel
 * sends it (/proc/self/timers tells which signal with which value).  Without an agent there are no
 * timers, and nothing is sent; the stacks are the same.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "deep_stack.h"

#define SAMPLES_OF_THREAD 10

static deep_call_function *deep_call;
static pthread_barrier_t all_sampled, all_done;
static siginfo_t tick = { .si_code = SI_TIMER };
static int tick_signal; /* 0: there is no agent */

static void find_tick(void)
{
	FILE *file = fopen("/proc/self/timers", "r");
	char line[200], kind[8] = "";
	int number = 0;
	void *value = NULL;

	while (file && fgets(line, sizeof(line), file)) {
		sscanf(line, "signal: %d/%p", &number, &value);
		if (sscanf(line, "notify: signal/%3s", kind) == 1 && strcmp(kind, "tid") == 0) {
			tick_signal = number;
			tick.si_signo = number;
			tick.si_value.sival_ptr = value;
		}
	}
	if (file)
		fclose(file);
}

static void sample_self(void *ignored)
{
	(void)ignored;
	if (tick_signal &&
		syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), tick_signal, &tick) < 0) {
		perror("rt_tgsigqueueinfo");
		exit(1);
	}
}

static void print_memory(const char *moment)
{
	FILE *file = fopen("/proc/self/smaps_rollup", "r");
	unsigned long resident = 0, proportional = 0;
	char line[200];

	while (file && fgets(line, sizeof(line), file)) {
		sscanf(line, "Rss: %lu", &resident);
		sscanf(line, "Pss: %lu", &proportional);
	}
	if (file)
		fclose(file);
	printf("%s %lu %lu\n", moment, resident, proportional);
}

static void *live(void *ignored)
{
	for (int i = 0; i < SAMPLES_OF_THREAD; i++)
		deep_call(0, 33, sample_self, ignored);
	pthread_barrier_wait(&all_sampled);
	pthread_barrier_wait(&all_done);
	return NULL;
}

static void measure_threads(const char *moment, unsigned count)
{
	pthread_t threads[count];

	pthread_barrier_init(&all_sampled, NULL, count + 1);
	pthread_barrier_init(&all_done, NULL, count + 1);
	for (unsigned i = 0; i < count; i++)
		if (pthread_create(&threads[i], NULL, live, NULL) != 0)
			exit(1);
	pthread_barrier_wait(&all_sampled);
	print_memory(moment);
	pthread_barrier_wait(&all_done);
	for (unsigned i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
}

int main(int argc, char **argv)
{
	unsigned long samples;

	if (argc != 4)
		return 2;
	samples = strtoul(argv[2], NULL, 10);
	find_tick();
	deep_call = deep_open(argv[1]);
	print_memory("start");
	print_memory("start"); /* with what stdio needs */
	for (unsigned long i = 0; i < samples; i++)
		deep_call((unsigned)i, 15 + i / DEEP_FUNCTIONS % 32, sample_self, NULL);
	print_memory("samples");
	measure_threads("thread", 1);
	measure_threads("threads", (unsigned)strtoul(argv[3], NULL, 10));
	return 0;
}
