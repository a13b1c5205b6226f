/* What source_dwarf.c keeps of a module, for map_dwarf.c to go through as a whole. */
#ifndef SYMBOL_DWARF_STATE_H
#define SYMBOL_DWARF_STATE_H

#include "symbol/dwarf_cache.h"
#include "symbol/dwarf_name.h"
#include "symbol/dwarf_split.h"
#include "symbol/unit_index.h"

struct dwarf_state {
	struct dwarf_file *file;
	struct dwarf_file *alt; /* what dwz has moved out of several files; NULL: nothing */
	struct binary *alt_binary;
	struct dwarf_split *split;
	struct dwarf_cache cache;
	struct dwarf_namer namer;
	struct unit_index index;
};

#endif
