/*
 * What one sampled allocation stands for.  Bytes are sampled as a Poisson process: with one point
 * in RATE bytes on average a block of SIZE is met with probability 1 - exp(-SIZE/RATE), so each
 * sample stands for the inverse of its own.  Agent and tool use the same numbers, so what is in use
 * never exceeds what was allocated.  Pure, signal-safe.
 */
#ifndef SPOOL_HEAP_WEIGHT_H
#define SPOOL_HEAP_WEIGHT_H

#include <stdint.h>

#define HEAP_OBJECT 65536 /* objects are counted in this part of one */

struct heap_weight {
	uint64_t objects; /* in 1/HEAP_OBJECT */
	uint64_t bytes;
};

/* 1 - exp(-x) for x >= 0, without libm, which the agent does not link: the series for a small x,
 * doubled by expm1(2x) = expm1(x) * (expm1(x) + 2). */
static inline double heap_probability(double x)
{
	int doublings = 0;
	double t;

	if (x > 40)
		return 1; /* to the last bit of a double */
	for (; x > 1.0 / 64; doublings++)
		x /= 2;
	t = -x * (1 - x / 2 * (1 - x / 3 * (1 - x / 4 * (1 - x / 5 * (1 - x / 6)))));
	while (doublings--)
		t *= t + 2;
	return -t;
}

static inline struct heap_weight heap_weight_of(uint64_t size, uint64_t rate)
{
	double p;

	if (rate <= 1)
		return (struct heap_weight){ HEAP_OBJECT, size };
	/* A block of 0 bytes is never met, but by one that a realloc was sampled for. */
	p = heap_probability((double)(size ? size : 1) / (double)rate);
	return (struct heap_weight){ .objects = (uint64_t)(HEAP_OBJECT / p + 0.5),
		.bytes = (uint64_t)((double)size / p + 0.5) };
}

/* The class of SIZE: it is at most 2^class, and the class is the smallest such. */
static inline uint32_t heap_size_class(uint64_t size)
{
	return size <= 1 ? 0 : 64 - (uint32_t)__builtin_clzll(size - 1);
}

#endif
