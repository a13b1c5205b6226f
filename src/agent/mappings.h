/*
 * What the program maps past the allocator: a record for each mapping, on demand (the setting
 * mmap), kept up when parts of it go.  Page granular.  Not signal-safe, but neither allocates nor
 * locks.
 */
#ifndef AGENT_MAPPINGS_H
#define AGENT_MAPPINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "spool/spool_format.h"

extern bool mappings_are_recorded; /* set once, at the start */

/* What is mapped and unmapped from now on is recorded, in the spool of alloc_sampler_start().  Not
 * in a handler. */
void mappings_start(void);

/* Is CALLER code of an allocator, whose mappings are what malloc then gives away? */
bool mappings_are_of_allocator(const void *caller);

/* The bytes from START on were mapped just now, in place of what was there. */
void mappings_made(uint64_t start, uint64_t size);

#define MAPPINGS_GONE_MAX 4 /* of more, the others are forgotten although they stay */

/* They are about to be unmapped; and were not, after all.  A mapping of which a part was to go
 * stays in two or three. */
struct mappings_gone {
	struct spool_live parts[MAPPINGS_GONE_MAX];
	uint32_t count;
};
void mappings_go(uint64_t start, uint64_t size, struct mappings_gone *gone);
void mappings_stay(const struct mappings_gone *gone);

#endif
