/*
 * A package of split DWARF (.dwp): what dwp or llvm-dwp has gathered from many .dwo files, with an
 * index of units.  DWARF 5 section 7.3.5, and GNU's older form, version 2
 * (gcc.gnu.org/wiki/DebugFissionDWP).
 */
#ifndef SYMBOL_DWARF_PACKAGE_H
#define SYMBOL_DWARF_PACKAGE_H

#include "symbol/dwarf_file.h"

struct dwarf_package;

/* The package at PATH.  0: *RET is the caller's to dwarf_package_close(); -errno: as of
 * binary_open_relocatable(), and -ENODATA: no index of units, or damaged. */
int dwarf_package_open(const char *path, struct dwarf_package **ret);
void dwarf_package_close(struct dwarf_package *p); /* takes NULL */

/* The debug information of the unit with this number alone.  The caller's to dwarf_file_close()
 * before the package.  NULL: it is not in it. */
struct dwarf_file *dwarf_package_find(const struct dwarf_package *p, uint64_t split_id);

#endif
