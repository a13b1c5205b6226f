/*
 * Units that were read whole.  A batch that asks in the order of units needs one at a time, so
 * a bound in bytes is all there is to forgetting them.
 */
#ifndef SYMBOL_DWARF_CACHE_H
#define SYMBOL_DWARF_CACHE_H

#include "symbol/dwarf_lines.h"
#include "symbol/dwarf_tree.h"

struct dwarf_loaded {
	struct dwarf_unit *unit; /* with the lines; a skeleton's functions are its split unit's */
	struct dwarf_tree tree;
	struct dwarf_lines lines;
	struct dwarf_lines split_files; /* what calls in a split unit count in */
};

struct dwarf_cache {
	VEC(struct dwarf_loaded *) units;
	struct table by_unit;
	size_t size_bytes; /* roughly */
};

/* U whole.  Valid until dwarf_cache_trim(). */
struct dwarf_loaded *dwarf_cache_get(struct dwarf_cache *cache, struct dwarf_unit *u);
/* Forget all when there is more than the bound. */
void dwarf_cache_trim(struct dwarf_cache *cache);
void dwarf_cache_free(struct dwarf_cache *cache);

/* The unit that holds the functions of LOADED, and the files that its calls count in. */
static inline struct dwarf_unit *dwarf_function_unit(const struct dwarf_loaded *loaded)
{
	return loaded->unit->split ? loaded->unit->split : loaded->unit;
}
static inline struct dwarf_lines *dwarf_call_files(struct dwarf_loaded *loaded)
{
	return loaded->split_files.files.count > 0 ? &loaded->split_files : &loaded->lines;
}

#endif
