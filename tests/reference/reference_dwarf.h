/* A DWARF source on libdw: slow, by other people's reader, and so what ours is compared with. */
#ifndef REFERENCE_DWARF_H
#define REFERENCE_DWARF_H

#include "symbol/source.h"

extern const struct source reference_dwarf;

#endif
