/* From address to unit, by what the roots of all units say. */
#ifndef SYMBOL_UNIT_INDEX_H
#define SYMBOL_UNIT_INDEX_H

#include "symbol/dwarf_file.h"

struct unit_index {
	VEC(struct unit_range) ranges; /* sorted by start */
};

struct unit_range {
	uint64_t start; /* vaddr */
	uint64_t end; /* exclusive */
	uint64_t highest_end; /* of this and all ranges before it */
	struct dwarf_unit *unit;
};

void unit_index_build(struct unit_index *index, struct dwarf_file *f);
void unit_index_free(struct unit_index *index);

static inline bool unit_index_is_empty(const struct unit_index *index)
{
	return index->ranges.count == 0;
}

/* The units around an address, the one whose range starts last first: there are several where
 * the linker has folded equal functions, and in odd or hostile files. */
struct unit_search {
	uint64_t vaddr;
	size_t next; /* 0 before the first */
	uint32_t found;
};

/* NULL: there are no more. */
struct dwarf_unit *unit_index_next(const struct unit_index *index, struct unit_search *search);

#endif
