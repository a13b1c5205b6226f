/*
 * A plugin of which there are several builds.  NAME is a part of every name in it:
 *
 *     plugin_run > NAME_encode > NAME_work > NAME_step (inlined)	9 of 10 units
 *     plugin_run > NAME_keep > malloc					64 KiB, freed at dlclose
 *
 * LOUD: a constructor and a destructor that work as well (NAME_begin, NAME_end), 200 units each.
 * INNER: plugin_run also opens the plugin of that name, which it finds by its own RUNPATH,
 * and has it do the work.
 * THREAD: the work is done by a thread of the plugin's own (NAME_thread), which goes on while the
 * plugin is closed; the plugin holds a reference to itself.
 */
#define _GNU_SOURCE
#include "plugin.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

#include "work.h"

#define PASTE(a, b) a##b
#define JOIN(a, b) PASTE(a, b)
#define OWN(part) JOIN(NAME, part)
#define TEXT(x) #x
#define TEXT_OF(x) TEXT(x)

#define KEPT_SIZE 65536
#define KEPT_MAX 64

const char plugin_name[] = TEXT_OF(NAME);
static void *kept[KEPT_MAX];
static unsigned kept_count;

static inline __attribute__((always_inline)) uint64_t OWN(_step)(uint64_t value)
{
	return WORK(value);
}

static KEPT uint64_t OWN(_work)(uint64_t value, uint64_t unit_count)
{
	for (uint64_t i = 0; i < unit_count; i++)
		value = OWN(_step)(value + i);
	return value;
}

static KEPT __attribute__((unused)) uint64_t OWN(_encode)(uint64_t unit_count)
{
	return OWN(_work)(unit_count, unit_count) + 1;
}

static KEPT void OWN(_keep)(void)
{
	void *block = kept_count < KEPT_MAX ? malloc(KEPT_SIZE) : NULL;

	if (block)
		kept[kept_count++] = memset(block, 1, KEPT_SIZE);
}

static __attribute__((destructor)) void OWN(_end)(void)
{
#ifdef LOUD
	OWN(_work)(3, 200);
#endif
	while (kept_count)
		free(kept[--kept_count]);
}

#ifdef LOUD
static __attribute__((constructor)) void OWN(_begin)(void)
{
	OWN(_work)(2, 200);
}
#endif

#ifdef INNER
static KEPT uint64_t OWN(_load)(uint64_t unit_count)
{
	void *inner = dlopen(INNER, RTLD_NOW | RTLD_LOCAL);
	uint64_t (*run)(uint64_t) = NULL;

	if (inner)
		run = (uint64_t (*)(uint64_t))dlsym(inner, "plugin_run");
	return run ? run(unit_count) : 0;
}
#endif

#ifdef THREAD
static KEPT void *OWN(_thread)(void *argument)
{
	for (;;)
		*(volatile uint64_t *)argument = OWN(_encode)(100);
	return NULL;
}

static KEPT uint64_t OWN(_start)(void)
{
	static uint64_t result;
	pthread_t thread;
	Dl_info self;

	if (dladdr(plugin_name, &self) && dlopen(self.dli_fname, RTLD_NOW | RTLD_NOLOAD))
		pthread_create(&thread, NULL, OWN(_thread), &result);
	return 0;
}
#endif

uint64_t plugin_run(uint64_t unit_count)
{
	uint64_t value = 0;

	OWN(_keep)();
#if defined(INNER)
	value += OWN(_load)(unit_count);
#elif defined(THREAD)
	static int has_started;

	value += has_started++ ? unit_count : OWN(_start)();
#else
	value += OWN(_encode)(unit_count);
#endif
	return value;
}
