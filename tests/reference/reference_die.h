/*
 * Questions about single DIEs (DWARF's tree nodes), safe on hostile DWARF: chains of origins
 * are followed 8 steps, strings never run out of their section.
 */
#ifndef REFERENCE_DIE_H
#define REFERENCE_DIE_H

#include <elfutils/libdw.h>
#include <stdbool.h>
#include <stdint.h>

#include "symbol/text_pool.h"

/* The tree is walked no deeper than this; compilers stay far below. */
#define DIE_DEPTH_MAX 512

/* Remembers the namespaces and classes of the units that names were asked of. */
struct die_scopes;

struct die_scopes *die_scopes_new(void);
void die_scopes_free(struct die_scopes *scopes);

/* Attribute CODE of DIE itself, a string in the file, or NULL. */
const char *die_string(Dwarf_Die *die, unsigned int code);
/* Attribute CODE of DIE itself; 0: there is none or it is no number that fits. */
uint32_t die_number(Dwarf_Die *die, unsigned int code);
/* The DIE and then those it was made from, the declaration last: the first NUMBER there is. */
uint32_t die_inherited_number(Dwarf_Die *die, unsigned int code);

/* The linker's name of a function, in the file; NULL: DWARF does not tell. */
const char *die_linkage_name(Dwarf_Die *die);

/* "ns::(anonymous namespace)::Class::name", for a function without linkage name, from TEXTS;
 * NULL: it has no name at all. */
const char *die_qualified_name(
	struct die_scopes *scopes, struct text_pool *texts, Dwarf_Die *die);

/* One step through the tree that can only go forward in the file, so that every walk ends.
 * False: no child, or no sibling. */
bool die_first_child(Dwarf_Die *die, Dwarf_Die *child);
bool die_next_sibling(Dwarf_Die *die);

#endif
