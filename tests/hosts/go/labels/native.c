/* The C half of the program with labels. */
#include "native.h"

#include <stdlib.h>
#include <string.h>

#define WORK_STEPS 50000

extern uint64_t goRedCallback(uint64_t value);

#ifdef THREAD_LOCALS
/* Go's own thread-local word is then one of many. */
__thread uint64_t first_locals[20] = { 1, 2, 3 }, more_locals[100];
#define TOUCH_THREAD_LOCALS() (first_locals[3] += ++more_locals[5])
#else
#define TOUCH_THREAD_LOCALS() ((void)0)
#endif

uint64_t c_red(uint64_t value)
{
	TOUCH_THREAD_LOCALS();
	for (uint64_t i = 0; i < WORK_STEPS; i++)
		value = (value ^ i) * 0x100000001b3;
	return value + 1;
}

uint64_t c_blue(uint64_t value)
{
	for (uint64_t i = 0; i < WORK_STEPS; i++)
		value = (value ^ i) * 0x100000001b3;
	return value + 2;
}

uint64_t c_red_calls_go(uint64_t value)
{
	return goRedCallback(value) + 3;
}

void *c_red_keep(uint64_t value)
{
	void *block = malloc(65536);

	if (block)
		memset(block, (int)value, 65536);
	return block;
}

void *c_take(uint64_t value)
{
	return malloc(value % 4096);
}

void c_release(void *block)
{
	free(block);
}
