/*
 * A block is given to another thread while the call that frees it is still under way.
 *
 * With -DALLOCATOR the library that does so, preloaded behind the agent: of blocks of SIZE bytes
 * free and realloc only return once another thread has got the block from malloc, and says so.
 * Without it the program: prints which block went from whom to whom.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#define SIZE 4321

struct place { /* where a block is handed over */
	_Atomic(void *) offered;
	atomic_int is_taken;
	_Atomic(void *) special; /* the block that will be */
};

#ifdef ALLOCATOR

struct place handover_place;

static void *next(const char *name)
{
	return dlsym(RTLD_NEXT, name);
}

void *malloc(size_t size)
{
	static void *(*real)(size_t);
	void *block;

	if (!real)
		real = (void *(*)(size_t))next("malloc");
	if (size == SIZE && (block = atomic_exchange(&handover_place.offered, NULL)))
		return block;
	block = real(size);
	if (size == SIZE)
		handover_place.special = block;
	return block;
}

static int hand_over(void *block)
{
	if (!block || block != handover_place.special)
		return 0;
	handover_place.special = NULL;
	handover_place.offered = block;
	while (!handover_place.is_taken)
		sched_yield();
	handover_place.is_taken = 0;
	return 1;
}

void free(void *block)
{
	static void (*real)(void *);

	if (!real)
		real = (void (*)(void *))next("free");
	if (!hand_over(block))
		real(block);
}

void *realloc(void *block, size_t size)
{
	static void *(*real)(void *, size_t);

	if (!real)
		real = (void *(*)(void *, size_t))next("realloc");
	if (block && block == handover_place.special) {
		void *grown = malloc(size);

		hand_over(block);
		return grown;
	}
	return real(block, size);
}

#else

#include <pthread.h>
#include <stdio.h>

static struct place *place;

__attribute__((noipa)) static void *take(void)
{
	void *volatile block;

	while (!place->offered)
		sched_yield();
	block = malloc(SIZE);
	place->is_taken = 1;
	return block;
}

static void *taker(void *argument)
{
	(void)argument;
	return take();
}

__attribute__((noipa)) static void *begin(pthread_t *thread)
{
	void *volatile block = malloc(SIZE);

	if (pthread_create(thread, NULL, taker, NULL))
		exit(1);
	return block;
}

int main(void)
{
	pthread_t thread;
	void *block, *taken, *grown;

	place = dlsym(RTLD_DEFAULT, "handover_place");
	if (!place)
		return 2;
	block = begin(&thread);
	free(block);
	pthread_join(thread, &taken);
	printf("free: %s\n", taken == block ? "taken" : "not taken");
	block = begin(&thread);
	grown = realloc(block, 3 * SIZE);
	pthread_join(thread, &taken);
	printf("realloc: %s\n", taken == block ? "taken" : "not taken");
	free(grown);
	return 0;
}

#endif
