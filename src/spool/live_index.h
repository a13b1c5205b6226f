/*
 * Where in the spool a live allocation is, by its address: a hash table in memory of our own,
 * so that free() leads to the one slot it is about.
 *
 * Its words only advise.  A word holds a slot's number and some bits of a hash of the address;
 * what counts is the slot's own address.  So words may be left over for a moment, or be there
 * twice, and a bigger table can be made while others go on with this one.
 *
 * Signal-safe, any thread.
 */
#ifndef SPOOL_LIVE_INDEX_H
#define SPOOL_LIVE_INDEX_H

#include <stdbool.h>
#include <stdint.h>

#include "spool/spool_format.h"

#define LIVE_SLOTS_MAX (1 << 21)

struct live_table;

struct live_index {
	const struct spool_live *slots;
	uint32_t slots_used; /* those behind never had an address */
	struct live_table *current;
	struct live_table *filling; /* the next one; NULL: none is being made */
	uint32_t is_making;
};

/* An index of SLOTS, none of which has an address yet; they are looked at, not changed.  False:
 * no memory. */
bool live_index_start(struct live_index *x, const struct spool_live *slots);
/* Nobody uses it any more. */
void live_index_free(struct live_index *x);

/* From now on the first COUNT slots may have addresses; their memory is there. */
void live_index_use(struct live_index *x, uint32_t count);

/* SLOT, which is the caller's, has ADDRESS from now on.  False: no room. */
bool live_index_add(struct live_index *x, uint64_t address, uint32_t slot);

/* Where a slot was found. */
struct live_place {
	struct live_table *table;
	uint32_t *at, word;
	uint32_t buckets_passed;
};

/* Which slot has ADDRESS?  False: none. */
bool live_index_find(
	const struct live_index *x, uint64_t address, uint32_t *slot, struct live_place *place);
/* It is the caller's by now, and has no address any more. */
void live_index_remove(struct live_index *x, uint64_t address, const struct live_place *place);

/* Has one perhaps?  Hardly ever yes without reason. */
bool live_index_may_have(const struct live_index *x, uint64_t address);

/* One of these is about to be called. */
void live_index_prefetch(const struct live_index *x, uint64_t address);

#endif
