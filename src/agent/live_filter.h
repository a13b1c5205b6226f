/*
 * Which addresses may be those of sampled allocations: counters by hashed address, of which free()
 * asks one before anything else.  It has no false "no" and few false "yes".  It grows with the
 * number of live samples; what it was is left, for somebody may still be reading it.
 */
#ifndef AGENT_LIVE_FILTER_H
#define AGENT_LIVE_FILTER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "spool/spool_writer.h"

struct live_filter {
	uint32_t mask; /* counters less one */
	uint32_t used; /* of the counters, about */
	uint8_t counters[]; /* of live samples; COUNT_MAX (live_filter.c) stays */
};

extern struct live_filter *live_filter_current HIDDEN; /* always there */

static inline uint32_t live_filter_hash(uint64_t address)
{
	return (uint32_t)(address * 0xffffffff9e3779b1u >> 32);
}

/* May ADDRESS be a sampled one?  Signal-safe, any thread. */
static inline bool live_filter_has(const void *address)
{
	const struct live_filter *f = __atomic_load_n(&live_filter_current, __ATOMIC_RELAXED);

	/* GCC takes two instructions to compare an atomic byte, which is one in any case. */
	return f->counters[live_filter_hash((uint64_t)address) & f->mask] != 0;
}

/* From now on there may be some: those in SPOOL.  Where EVERY allocation is one, it is no use to
 * ask: the answer is always yes. */
void live_filter_start(struct spool_writer *spool, bool every);
/* There are none any more. */
void live_filter_stop(void);
/* fork() has made a process with one thread. */
void live_filter_restart_in_child(void);

/* Signal-safe, any thread. */

/* ADDRESS is among SPOOL's live ones already. */
void live_filter_add(struct spool_writer *spool, uint64_t address);
/* ADDRESS is not among the live ones any more; it was when F was live_filter_current. */
void live_filter_remove(struct live_filter *f, uint64_t address);

#endif
