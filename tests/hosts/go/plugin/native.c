/*
 * The plugin's C half, built without frame pointers: whoever follows them alone loses
 * the callers here.
 */
#include "native.h"

#include <stdlib.h>
#include <string.h>

#define WORK_STEPS 50000

extern uint64_t goCallback(uint64_t value);

static __attribute__((noinline, noclone)) uint64_t c_leaf(uint64_t value)
{
	for (uint64_t i = 0; i < WORK_STEPS; i++)
		value = (value ^ i) * 0x100000001b3;
	return value;
}

/* The addition behind each call keeps it from being a jump. */
static __attribute__((noinline, noclone)) uint64_t c_middle(uint64_t value)
{
	return c_leaf(value) + 1;
}

uint64_t c_work(uint64_t value)
{
	return c_middle(value) + 2;
}

__attribute__((noinline)) uint64_t c_inner(uint64_t value)
{
	return c_leaf(value) + 3;
}

static __attribute__((noinline, noclone)) uint64_t c_outer(uint64_t value)
{
	return goCallback(value) + 4;
}

uint64_t c_calls_go(uint64_t value)
{
	return c_outer(value) + 5;
}

void *c_allocate(uint64_t size)
{
	void *block = malloc(size);

	if (block)
		memset(block, 1, size);
	return block;
}

void c_release(void *block)
{
	free(block);
}
