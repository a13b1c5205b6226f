/*
 * Which addresses may be those of sampled allocations: a bitset by hashed address that free() asks
 * before anything else.  It has no false "no", and few false "yes": a bit is set before its
 * address is handed out; bits of what was freed stay until, now and then, the set is
 * made anew from the live allocations, in whatever size fits their number.
 */
#ifndef AGENT_LIVE_FILTER_H
#define AGENT_LIVE_FILTER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "spool/spool_writer.h"

struct live_filter {
	uint32_t mask; /* bits less one */
	uint32_t bits_set; /* about; only adders look */
	uint32_t words[];
};

extern const struct live_filter *live_filter_current HIDDEN; /* always there */

static inline uint32_t live_filter_hash(const void *address)
{
	return (uint32_t)((uint64_t)address * 0xffffffff9e3779b1u >> 32);
}

/* May ADDRESS be a sampled one?  Signal-safe, any thread. */
static inline bool live_filter_has(const void *address)
{
	const struct live_filter *f =
		__atomic_load_n(&live_filter_current, __ATOMIC_RELAXED);
	const uint32_t bit = live_filter_hash(address) & f->mask;

	return f->words[bit / 32] >> (bit % 32) & 1;
}

/* From now on there may be some: those in SPOOL.  Where EVERY allocation is one, it is no use to
 * ask: the answer is always yes. */
void live_filter_start(struct spool_writer *spool, bool every);
/* There are none any more. */
void live_filter_stop(void);
/* fork() has made a process with one thread. */
void live_filter_restart_in_child(void);

/* ADDRESS is among SPOOL's live ones already.  Signal-safe, any thread. */
void live_filter_add(struct spool_writer *spool, uint64_t address);

#endif
