/* The work of every plugin here: hosted_kernel is what must be hot in its host's profile. */
#ifndef HOSTS_KERNEL_H
#define HOSTS_KERNEL_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static __attribute__((noinline, noclone)) uint64_t hosted_kernel(uint64_t value)
{
	for (uint64_t i = 0; i < 200000; i++)
		value = (value ^ i) * 0x100000001b3;
	return value;
}

/* ROUNDS of it, with a block of memory each. */
static __attribute__((noinline, noclone)) uint64_t hosted_work(uint64_t rounds)
{
	uint64_t sum = 0;

	for (uint64_t i = 0; i < rounds; i++) {
		char *block = malloc(4096);

		if (block) {
			memset(block, (int)i, 4096);
			sum += hosted_kernel(i + (unsigned char)block[i % 4096]);
		}
		free(block);
	}
	return sum;
}

#endif
