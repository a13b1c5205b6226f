/*
 * A unit that was read: its functions and its lines, of all its addresses or of those that are
 * wanted.  Reading depends on nothing but the file, so several threads can read several units, once
 * dwarf_unit_prepare() was called for each.
 */
#ifndef SYMBOL_DWARF_LOADED_H
#define SYMBOL_DWARF_LOADED_H

#include "symbol/dwarf_lines.h"
#include "symbol/dwarf_tree.h"
#include "symbol/dwarf_wanted.h"

struct dwarf_loaded {
	struct dwarf_unit *unit; /* with the lines; a skeleton's functions are its split unit's */
	struct dwarf_wanted wanted;
	struct dwarf_tree tree;
	struct dwarf_lines lines;
	struct dwarf_lines split_files; /* what calls in a split unit count in */
};

/* U as far as WANTED, which is taken.  The caller's to dwarf_loaded_free(). */
struct dwarf_loaded *dwarf_loaded_read(struct dwarf_unit *u, struct dwarf_wanted wanted);
void dwarf_loaded_free(struct dwarf_loaded *loaded);

/* Can VADDR be asked for? */
static inline bool dwarf_loaded_covers(const struct dwarf_loaded *loaded, uint64_t vaddr)
{
	return loaded->wanted.count == 0 || dwarf_wanted_from(&loaded->wanted, vaddr) == vaddr;
}
/* Bytes of memory, roughly. */
size_t dwarf_loaded_size(const struct dwarf_loaded *loaded);

/* The unit that holds the functions of U. */
static inline struct dwarf_unit *dwarf_function_unit(struct dwarf_unit *u)
{
	return u->split ? u->split : u;
}
/* The files that calls in LOADED count in. */
static inline struct dwarf_lines *dwarf_call_files(struct dwarf_loaded *loaded)
{
	return loaded->split_files.files.count > 0 ? &loaded->split_files : &loaded->lines;
}

#endif
