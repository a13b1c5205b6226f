/*
 * What the program maps past the allocator: a record for each mapping, on demand (the setting
 * mmap), kept up when parts of it go.  Page granular.  Not signal-safe, but neither allocates nor
 * locks.
 */
#ifndef AGENT_MAPPINGS_H
#define AGENT_MAPPINGS_H

#include <stdbool.h>
#include <stdint.h>

extern bool mappings_are_recorded; /* set once, at the start */

/* The bytes from START on were mapped just now, in place of what was there. */
void mappings_made(uint64_t start, uint64_t size);

/* They are about to be unmapped; and were not, after all. */
struct mappings_gone {
	uint64_t start, size, time_ns;
	uint32_t stack;
	bool was_whole; /* one mapping, of just that size */
};
void mappings_go(uint64_t start, uint64_t size, struct mappings_gone *gone);
void mappings_stay(const struct mappings_gone *gone);

#endif
