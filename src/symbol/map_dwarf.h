/* DWARF into a symbol map, unit by unit. */
#ifndef SYMBOL_MAP_DWARF_H
#define SYMBOL_MAP_DWARF_H

#include "mapstore/map_writer.h"
#include "symbol/dwarf_state.h"
#include "symbol/source.h"

/* A piece of code that DWARF does not name. */
struct map_gap {
	uint64_t start, end;
	bool is_known; /* LINE is all that DWARF says of it; else another unit may say more */
	struct source_frame line;
};

struct map_gaps {
	VEC(struct map_gap) list; /* in the order of the units */
};

/* All named code goes to W; in units, but outside of functions with a name: to GAPS. */
void map_dwarf(struct dwarf_state *d, struct map_writer *w, struct map_gaps *gaps);

#endif
