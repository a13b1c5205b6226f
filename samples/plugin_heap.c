/*
 * A plugin that allocates.  The first run in the process keeps 64 MiB, which
 * nothing gives back, not even dlclose; every round churns.
 *
 *     plugin_run > heap_build > heap_keep_large	48 MiB in use, blocks of 64 KiB
 *                             > heap_keep_small	16 MiB in use, blocks of 1 KiB
 *     plugin_run > heap_churn	1 MiB allocated and freed, in blocks of 16 KiB,
 *				and one unit of work, a round
 */
#include <pthread.h>
#include <stdlib.h>

#include "plugin.h"
#include "work.h"

#define KIB 1024

const char plugin_name[] = "heap";

static pthread_once_t heap_once = PTHREAD_ONCE_INIT;
static void *kept;	/* a list: a block begins with the address of the next */

static KEPT void *heap_keep_large(void *list)
{
	for (int i = 0; i < 48 * KIB / 64; i++) {
		void **block = malloc(64 * KIB);

		if (!block)
			break;
		*block = list;
		list = block;
	}
	return list;
}

static KEPT void *heap_keep_small(void *list)
{
	for (int i = 0; i < 16 * KIB; i++) {
		void **block = malloc(KIB);

		if (!block)
			break;
		*block = list;
		list = block;
	}
	return list;
}

static KEPT void heap_build(void)
{
	kept = heap_keep_large(NULL);
	kept = heap_keep_small(kept);
}

static KEPT uint64_t heap_churn(uint64_t value)
{
	for (int i = 0; i < 64; i++) {
		volatile char *block = malloc(16 * KIB);

		if (!block)
			break;
		block[0] = (char)value;
		value = value * 31 + (unsigned char)block[0];
		free((void *)block);
	}
	return WORK(value);
}

uint64_t plugin_run(uint64_t round_count)
{
	uint64_t sum = 0;

	pthread_once(&heap_once, heap_build);
	for (uint64_t i = 0; i < round_count; i++)
		sum += heap_churn(i);
	return sum;
}
