/*
 * Units that were read.  A batch that asks in the order of units needs one at a time, so a bound
 * in bytes is all there is to forgetting them.
 */
#ifndef SYMBOL_DWARF_CACHE_H
#define SYMBOL_DWARF_CACHE_H

#include "symbol/dwarf_loaded.h"
#include "symbol/unit_queue.h"

struct dwarf_cache {
	struct unit_queue *queue; /* where units may have been read already; NULL: nowhere */
	VEC(struct dwarf_loaded *) units;
	struct dwarf_loaded *current; /* the last that was asked for by address; NULL: none */
	struct table by_unit;
	size_t size_bytes; /* roughly */
};

/* U as far as it was read for any address, or whole: its scopes.  Valid until
 * dwarf_cache_trim(). */
struct dwarf_loaded *dwarf_cache_get(struct dwarf_cache *cache, struct dwarf_unit *u);
/* U for VADDR.  Valid until the next is asked for by address. */
struct dwarf_loaded *dwarf_cache_get_for(
	struct dwarf_cache *cache, struct dwarf_unit *u, uint64_t vaddr);
/* Forget all but the current one when the others are more than the bound. */
void dwarf_cache_trim(struct dwarf_cache *cache);
void dwarf_cache_free(struct dwarf_cache *cache);

#endif
