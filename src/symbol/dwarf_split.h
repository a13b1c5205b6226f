/*
 * Split DWARF: the functions are in a package beside the library, FILE.dwp, or in .dwo files beside
 * the objects (DWARF 5 section 7.3.2).
 */
#ifndef SYMBOL_DWARF_SPLIT_H
#define SYMBOL_DWARF_SPLIT_H

#include "symbol/dwarf_file.h"
#include "symbol/trail.h"

struct dwarf_split;

/* LINKED has the skeletons, for a module that was at MODULE_PATH ("": nowhere); both are borrowed.
 * Where units are not found goes to TRAIL (NULL: nowhere). */
struct dwarf_split *dwarf_split_new(
	const struct binary *linked, const char *module_path, struct trail *trail);
void dwarf_split_free(struct dwarf_split *s);

/* Find the unit with the functions of the skeleton U, when it is one and was not looked for
 * before.  Only a unit with U's own number is taken. */
void dwarf_split_open(struct dwarf_split *s, struct dwarf_unit *u);

#endif
