/*
 * The functions of a unit: one walk over its DIEs gives a map from address to the innermost
 * function or inlined subroutine, and where names belong (the namespaces and classes around).
 */
#ifndef SYMBOL_DWARF_TREE_H
#define SYMBOL_DWARF_TREE_H

#include "symbol/dwarf_file.h"
#include "symbol/dwarf_wanted.h"
#include "symbol/interval_map.h"

/* A function, or one place where it is inlined. */
struct dwarf_function {
	/* The DIE that it is made from, or its own: an offset in .debug_info; with this bit, in
	 * that of the file that dwz made. */
#define DWARF_ORIGIN_IN_ALT (UINT64_C(1) << 63)
	uint64_t origin;
	uint32_t caller; /* the function it is inlined into: its index plus one; 0: none */
	uint32_t call_file; /* as the line table counts; UINT32_MAX: unknown */
	uint32_t call_line; /* 0: unknown, as the following */
	uint32_t call_column;
};

/* A DIE that has others inside and gives them a part of their name, or none ("{ }"). */
struct dwarf_scope {
	uint64_t start; /* offset of the DIE */
	uint64_t end; /* and of the first behind its children */
	uint32_t parent; /* its index plus one; 0: the unit */
	bool is_skipped; /* what is inside is not in the list */
};

struct dwarf_tree {
	VEC(struct dwarf_function) functions;
	VEC(struct dwarf_scope) scopes; /* in the order of the file: outer before inner */
	struct interval_map map; /* owners are indices of FUNCTIONS */
};

/* TREE is zeroed before.  Its map is right where WANTED says. */
void dwarf_tree_read(
	struct dwarf_tree *tree, struct dwarf_unit *u, const struct dwarf_wanted *wanted);
void dwarf_tree_free(struct dwarf_tree *tree);

/* The scope around the DIE at OFFSET, by its own offset.  False: it lies in its unit, or OFFSET
 * is no DIE's. */
bool dwarf_tree_parent(
	const struct dwarf_tree *tree, struct dwarf_unit *u, uint64_t offset, uint64_t *parent);

#endif
