/*
 * Everything at once: 16 threads that allocate, grow, hand over, free and end; plugins that come
 * and go; children of fork that do the same; a signal handler that allocates.
 *
 *     alloc_storm SECONDS PLUGIN [no-fork]
 *
 * Every block is filled and checked before it is freed.  Prints "calm" when nothing was wrong.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define THREADS 16
#define PLACES 512

struct block {
	size_t size;
	unsigned char fill[];
};

static struct block *places[PLACES]; /* everybody's */
static double end_s;
static const char *plugin;

static double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void check(const struct block *b)
{
	for (size_t i = 0; i < b->size; i++)
		if (b->fill[i] != (unsigned char)b->size)
			abort();
}

static struct block *filled(struct block *b, size_t size)
{
	if (!b)
		abort();
	b->size = size;
	memset(b->fill, (unsigned char)size, size);
	return b;
}

static void drop(struct block *b)
{
	if (!b)
		return;
	check(b);
	free(b);
}

static struct block *make(uint64_t *random)
{
	const size_t size = next_random(random) % 3000, whole = sizeof(struct block) + size;
	void *aligned = NULL;

	switch (next_random(random) % 4) {
	case 0:
		return filled(calloc(1, whole), size);
	case 1:
		if (posix_memalign(&aligned, 64, whole) != 0)
			abort();
		return filled(aligned, size);
	default:
		return filled(malloc(whole), size);
	}
}

static void *run(void *argument)
{
	uint64_t random = 88172645463325252u + (uintptr_t)argument * 7919;

	for (int i = 0; i < 2000; i++) {
		struct block *b = __atomic_exchange_n(
			&places[next_random(&random) % PLACES], NULL, __ATOMIC_ACQ_REL);
		const size_t size = next_random(&random) % 5000;

		if (b && next_random(&random) % 3 == 0) {
			check(b);
			b = filled(realloc(b, sizeof(*b) + size), size);
		} else {
			drop(b);
			b = make(&random);
		}
		drop(__atomic_exchange_n(
			&places[next_random(&random) % PLACES], b, __ATOMIC_ACQ_REL));
	}
	return NULL;
}

/* Threads come and go. */
static void *keep_running(void *argument)
{
	while (now_s() < end_s) {
		pthread_t thread;

		if (pthread_create(&thread, NULL, run, argument) == 0)
			pthread_join(thread, NULL);
	}
	return NULL;
}

static void *open_and_close(void *argument)
{
	while (now_s() < end_s) {
		void *handle = dlopen(plugin, RTLD_NOW | RTLD_LOCAL);
		uint64_t (*plugin_run)(uint64_t) =
			handle ? (uint64_t(*)(uint64_t))dlsym(handle, "plugin_run") : NULL;

		if (!plugin_run)
			abort();
		plugin_run(1);
		dlclose(handle);
	}
	return argument;
}

static void *fork_often(void *argument)
{
	while (now_s() < end_s) {
		pid_t child = fork();
		int status;

		if (child == 0) {
			run((void *)1234);
			_exit(0);
		}
		if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
			abort();
		usleep(20000);
	}
	return argument;
}

/* Not what a handler may do, but what programs do; this thread is the only one that is
 * interrupted, and does not allocate outside of its handler. */
static void on_alarm(int number)
{
	drop(filled(malloc(sizeof(struct block) + (size_t)number), (size_t)number));
}

int main(int argc, char **argv)
{
	pthread_t threads[THREADS + 3];
	sigset_t alarm_only;
	int count = 0;

	if (argc < 3)
		return 2;
	end_s = now_s() + atof(argv[1]);
	plugin = argv[2];
	sigemptyset(&alarm_only);
	sigaddset(&alarm_only, SIGALRM);
	sigprocmask(SIG_BLOCK, &alarm_only, NULL);
	signal(SIGALRM, on_alarm);
	for (uintptr_t i = 0; i < THREADS; i++)
		pthread_create(&threads[count++], NULL, keep_running, (void *)i);
	for (int i = 0; i < 2; i++)
		pthread_create(&threads[count++], NULL, open_and_close, NULL);
	if (argc == 3)
		pthread_create(&threads[count++], NULL, fork_often, NULL);
	sigprocmask(SIG_UNBLOCK, &alarm_only, NULL);
	while (now_s() < end_s) {
		raise(SIGALRM);
		usleep(1000);
	}
	while (count > 0)
		pthread_join(threads[--count], NULL);
	for (int i = 0; i < PLACES; i++)
		drop(places[i]);
	puts("calm");
	return 0;
}
