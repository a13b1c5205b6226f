/*
 * The agent's half of the spool, for what stacks have allocated.  May be called by any thread,
 * also from a handler that interrupted another call: nothing here locks, allocates or touches
 * errno.
 */
#ifndef SPOOL_HEAP_WRITER_H
#define SPOOL_HEAP_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/hash.h"
#include "spool/heap_weight.h"
#include "spool/spool_writer.h"

#define SPOOL_HEAP_STACKS_LEVEL0 1024 /* slots of the first level; a power of two */

/* The first slot of LEVEL; as many slots have the levels before it together. */
static inline uint32_t spool_level_start(uint32_t level)
{
	return SPOOL_HEAP_STACKS_LEVEL0 * (((uint32_t)1 << 2 * level) - 1) / 3;
}

/* How many levels COUNT slots are. */
static inline uint32_t spool_levels_of(uint32_t count)
{
	uint32_t levels = 0;

	while (spool_level_start(levels + 1) <= count)
		levels++;
	return levels;
}

/* The hash of COUNT frames, leaf first, whose callers have CALLERS_HASH (0: none).  So it is made
 * from the root up, and of stacks with the same callers only the leaves are hashed. */
static inline uint64_t spool_hash_frames(
	uint64_t callers_hash, const spool_frame *frames, size_t count)
{
	while (count > 0)
		callers_hash = hash_add(callers_hash, frames[--count]);
	return callers_hash;
}

/* What counts in one slot: blocks of SIZE_CLASS (see heap_size_class()) allocated with the frames
 * of that hash by a thread of that name. */
struct spool_heap_site {
	uint64_t frames_hash;
	uint16_t thread_name;
	uint16_t size_class;
	enum spool_heap_kind kind;
};

/* The slot of SITE, if it has one.  It counts there where SITE's frames found no room. */
bool spool_find_heap_stack(struct spool_writer *w, const struct spool_heap_site *site,
	uint32_t *slot) MUST_CHECK;
/* The same, made when new: with FRAMES, leaf first.  Where there is no room, the slot behind the
 * table, and that is counted.  False: no memory; counted. */
bool spool_intern_heap_stack(struct spool_writer *w, const struct spool_heap_site *site,
	const spool_frame *frames, size_t frame_count, uint32_t *slot) MUST_CHECK;
void spool_add_allocation(struct spool_writer *w, uint32_t stack, struct heap_weight weight);

/* Part of spool_inherit(). */
bool spool_inherit_heap(struct spool_writer *w, const struct spool_writer *from) MUST_CHECK;

#endif
