/*
 * pthread_create and thrd_create: the new thread gets its timer before the host's code runs in
 * it.  pthread_setname_np: names of threads are read again when one was given.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <threads.h>

#include "agent/agent.h"
#include "agent/real.h"
#include "agent/threads.h"
#include "base/compiler.h"

/* What a new thread is told.  Lent, not allocated: the host's malloc is none of our business.
 * When all are taken the thread starts without our help, and the scan finds it. */
struct start {
	uint32_t taken;
	uint16_t name;
	bool host_blocks_signal;
	uint64_t stack_size;
	void *(*routine)(void *);
	void *argument;
};

#define STARTS_MAX 1024
static struct start starts[STARTS_MAX];

static struct start *take_start(void)
{
	static uint32_t next;

	for (int i = 0; i < STARTS_MAX; i++) {
		struct start *s =
			&starts[__atomic_fetch_add(&next, 1, __ATOMIC_RELAXED) % STARTS_MAX];

		if (__atomic_exchange_n(&s->taken, 1, __ATOMIC_ACQUIRE) == 0)
			return s;
	}
	return NULL;
}

static void give_back(struct start *s)
{
	__atomic_store_n(&s->taken, 0, __ATOMIC_RELEASE);
}

/* Ends in a jump to the host's routine, so no frame of ours is on the thread's stack. */
static void *begin_thread(void *argument)
{
	struct start *lent = argument;
	const struct start s = *lent;

	give_back(lent);
	thread_self.host_blocks_signal = s.host_blocks_signal;
	agent_thread_begins(threads_created_stack(s.stack_size), s.name, (void *)s.routine);
	return s.routine(s.argument);
}

static struct start *prepare(void *(*routine)(void *), void *argument, uint64_t stack_size)
{
	struct start *s = agent_is_recording() ? take_start() : NULL;

	if (!s)
		return NULL;
	s->routine = routine;
	s->argument = argument;
	s->stack_size = stack_size;
	s->name = thread_self.name;
	s->host_blocks_signal = thread_self.host_blocks_signal;
	return s;
}

/* NULL attributes, like empty ones, mean the default, which the host may change at any time. */
static size_t stack_size_of(const pthread_attr_t *attr)
{
	pthread_attr_t empty;
	size_t size = 0;

	if (attr) {
		pthread_attr_getstacksize(attr, &size);
	} else if (pthread_attr_init(&empty) == 0) {
		pthread_attr_getstacksize(&empty, &size);
		pthread_attr_destroy(&empty);
	}
	return size;
}

EXPORT int pthread_create(pthread_t *restrict thread, const pthread_attr_t *restrict attr,
	void *(*routine)(void *), void *restrict argument)
{
	struct start *s;
	int r;

	real_start();
	s = prepare(routine, argument, stack_size_of(attr));
	if (!s)
		return real.pthread_create(thread, attr, routine, argument);
	r = real.pthread_create(thread, attr, begin_thread, s);
	if (r != 0)
		give_back(s);
	return r;
}

EXPORT int thrd_create(thrd_t *thread, thrd_start_t routine, void *argument)
{
	struct start *s;
	int r;

	real_start();
	/* int or void *: both come back in rax, untouched. */
	s = prepare((void *(*)(void *))(void *)routine, argument, stack_size_of(NULL));
	if (!s)
		return real.thrd_create(thread, routine, argument);
	r = real.thrd_create(thread, (thrd_start_t)(void *)begin_thread, s);
	if (r != thrd_success)
		give_back(s);
	return r;
}

EXPORT int pthread_setname_np(pthread_t thread, const char *name)
{
	int r;

	real_start();
	r = real.pthread_setname_np(thread, name);
	threads_renamed();
	return r;
}
