/*
 * Which addresses may be those of sampled allocations: a counter for each few bytes of memory, of
 * which free() asks one before anything else.  It has no false "no" and few false "yes".
 *
 * Blocks that lie together have counters that do: a line of cache serves 3 KiB of the host's
 * memory, so what the host uses little of takes little, and 52 MiB have counters of their own.
 * Behind these they are shared.
 */
#ifndef AGENT_LIVE_FILTER_H
#define AGENT_LIVE_FILTER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"

#define LIVE_FILTER_BITS 20

/* Of live samples; once at its greatest a counter stays. */
extern uint8_t live_filter_counters[1 << LIVE_FILTER_BITS] HIDDEN;

/* The factor makes of the lower half of an address a number whose upper bits are a place.  It is
 * odd, so that big blocks, which begin alike in their pages, have places that differ. */
static inline uint32_t live_filter_place(uint64_t address)
{
	return (uint32_t)address * 83 >> (32 - LIVE_FILTER_BITS);
}

/* May ADDRESS be a sampled one?  Signal-safe, any thread. */
static inline bool live_filter_has(const void *address)
{
	/* GCC takes two instructions to compare an atomic byte, which is one in any case. */
	return live_filter_counters[live_filter_place((uint64_t)address)] != 0;
}

/* Signal-safe, any thread. */

/* ADDRESS is among the live ones already, and nobody has it yet. */
void live_filter_add(uint64_t address);
/* The same where every allocation is a sample: from now on ADDRESS may be one for good, which is
 * cheaper than to count. */
void live_filter_keep(uint64_t address);
/* ADDRESS, which was added, is not among the live ones any more. */
void live_filter_remove(uint64_t address);

#endif
