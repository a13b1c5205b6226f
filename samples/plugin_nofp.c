/*
 * A plugin that only unwind tables can unwind.  Twelve functions deep, without
 * frame pointers; every function does one unit of work a round and keeps six
 * values over its call, so that rbp holds a number that is no address.
 *
 *     plugin_run > nofp_01 > nofp_02 > ... > nofp_12
 *
 * nofp_05 has a stack frame of changing size, nofp_08 realigns its stack for a
 * local of 64 bytes, nofp_10 does both and takes arguments from the stack.
 */
#include <string.h>

#include "plugin.h"
#include "work.h"

const char plugin_name[] = "nofp";

/* The six values, also those that no function needs in its own call. */
#define SIX uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f
#define KEEP_SIX(r) ((r) + (a ^ (b << 1)) + (c ^ (d << 2)) + (e ^ (f << 3)))

#define PLAIN(name, callee)						\
	static KEPT uint64_t name(SIX)					\
	{								\
		uint64_t value = WORK(a ^ f);				\
									\
		value += callee(b, c, d, e, f, value);			\
		return KEEP_SIX(value);					\
	}

/* Tell the compiler that BYTES are read and written behind its back. */
static inline __attribute__((always_inline)) void touch(void *bytes)
{
	__asm__ volatile("" : : "r"(bytes) : "memory");
}

static KEPT uint64_t nofp_12(SIX)
{
	uint64_t value = WORK(a);

	return KEEP_SIX(value);
}

PLAIN(nofp_11, nofp_12)

/* Arguments seven and eight are on the stack: after the realignment the
 * compiler needs a second register to find them. */
static KEPT uint64_t nofp_10(SIX, uint64_t g, uint64_t size_bytes)
{
	_Alignas(64) uint64_t lanes[8] = { a, b, c, d, e, f, g, size_bytes };
	unsigned char bytes[size_bytes];
	uint64_t value;

	touch(lanes);
	memset(bytes, (int)g, size_bytes);
	touch(bytes);
	value = WORK(lanes[6]) + bytes[size_bytes - 1];
	value += nofp_11(b, c, d, e, f, value);
	return KEEP_SIX(value) + lanes[7] + g;
}

static KEPT uint64_t nofp_09(SIX)
{
	uint64_t value = WORK(a ^ f);

	value += nofp_10(b, c, d, e, f, value, a, 100 + (value & 1023));
	return KEEP_SIX(value);
}

static KEPT uint64_t nofp_08(SIX)
{
	_Alignas(64) uint64_t lanes[8] = { a, b, c, d, e, f };
	uint64_t value;

	touch(lanes);
	value = WORK(lanes[0]);
	value += nofp_09(b, c, d, e, f, value);
	return KEEP_SIX(value) + lanes[1];
}

PLAIN(nofp_07, nofp_08)
PLAIN(nofp_06, nofp_07)

static KEPT uint64_t nofp_05(SIX)
{
	const uint64_t size_bytes = 100 + (f & 1023);
	unsigned char bytes[size_bytes];
	uint64_t value;

	memset(bytes, (int)a, size_bytes);
	touch(bytes);
	value = WORK(a) + bytes[size_bytes - 1];
	value += nofp_06(b, c, d, e, f, value);
	return KEEP_SIX(value) + bytes[0];
}

PLAIN(nofp_04, nofp_05)
PLAIN(nofp_03, nofp_04)
PLAIN(nofp_02, nofp_03)
PLAIN(nofp_01, nofp_02)

uint64_t plugin_run(uint64_t round_count)
{
	uint64_t sum = 0;

	for (uint64_t i = 0; i < round_count; i++)
		sum += nofp_01(i, ~i, i * 3, i * 5, i * 7, sum);
	return sum;
}

#undef SIX
#undef KEEP_SIX
#undef PLAIN
