/*
 * From an address to the innermost of many nested intervals: functions and the subroutines
 * inlined into them, or symbols.  Flattened once, so that a question is one binary search.
 */
#ifndef SYMBOL_INTERVAL_MAP_H
#define SYMBOL_INTERVAL_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/vec.h"

struct interval {
	uint64_t start; /* vaddr */
	uint64_t end; /* vaddr, exclusive */
	uint32_t rank; /* of those that start together the higher rank lies inside */
	uint32_t owner; /* the caller's number for it */
};

#define INTERVAL_NOBODY UINT32_MAX

/* From START to the next segment's START all addresses belong to OWNER, or to nobody. */
struct interval_segment {
	uint64_t start;
	uint32_t owner;
};

struct interval_map {
	VEC(struct interval_segment) segments; /* sorted; the last belongs to nobody */
};

/* Make the map from COUNT intervals.  Where they cross instead of nesting, the one that starts
 * later wins.  MAP is zeroed or freed before. */
void interval_map_build(struct interval_map *map, const struct interval *intervals, size_t count);
void interval_map_free(struct interval_map *map);

/* The owner of the innermost interval around VADDR; false: none. */
bool interval_map_find(const struct interval_map *map, uint64_t vaddr, uint32_t *owner);

#endif
