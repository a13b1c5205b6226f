/*
 * The Go plugin's work in C.  The loop of ../../work.h once more: cgo sees
 * its own folder only.
 */
#include "kernel.h"

#define WORK_UNIT_STEPS 100000

uint64_t c_kernel(uint64_t value)
{
	for (uint64_t i = 0; i < 2 * WORK_UNIT_STEPS; i++)
		value = (value ^ i) * 0x100000001b3;
	return value;
}
