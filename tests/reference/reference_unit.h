/*
 * One DWARF unit, indexed at first use: a map from address to the innermost function or
 * inlined subroutine, and libdw's line rows, which are sorted.
 */
#ifndef REFERENCE_UNIT_H
#define REFERENCE_UNIT_H

#include <elfutils/libdw.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/vec.h"
#include "reference/reference_die.h"
#include "symbol/interval_map.h"
#include "symbol/source.h"

/* A function, or one place where it is inlined. */
struct debug_function {
	void *die_address; /* in libdw's memory: enough to make the DIE again */
	uint32_t caller; /* the function it is inlined into: its index plus one; 0: none */
	bool described; /* the rest is filled in when the function is first met */
	const char *linkage_name;
	const char *name;
	const char *call_file;
	uint32_t call_line;
	uint32_t call_column;
	uint32_t start_line;
};

struct debug_unit {
	Dwarf_Die root; /* with the lines; of the skeleton where DWARF is split */
	bool indexed;
	Dwarf_CU *function_cu; /* with the functions: the split unit's, or ROOT's own */
	VEC(struct debug_function) functions;
	struct interval_map map;
	Dwarf_Lines *lines;
	size_t line_count;
	Dwarf_Files *call_files; /* what call_file counts in */
	size_t call_file_count;
};

/* What naming needs beyond the unit; both borrowed. */
struct debug_names {
	struct text_pool *texts;
	struct die_scopes *scopes;
};

/* Visit the address ranges of DIE that are code; those at 0 belong to functions that the
 * linker has discarded. */
typedef void debug_range_visitor(void *context, uint64_t start, uint64_t end);
void debug_visit_ranges(Dwarf_Die *die, debug_range_visitor *visit, void *context);

/* Append the frames at VADDR to OUT, or, when only the line is known, one without a name.
 * False: the unit does not know VADDR. */
bool debug_unit_resolve(struct debug_unit *unit, const struct debug_names *names,
	uint64_t vaddr, struct source_frames *out);

void debug_unit_free(struct debug_unit *unit);

#endif
