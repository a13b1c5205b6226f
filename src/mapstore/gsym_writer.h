/*
 * From a symbol map to a GSYM file, version 1, as llvm-gsymutil and blazesym read it
 * (llvm/DebugInfo/GSYM: Header.h, FileWriter.h, GsymCreator.h).
 *
 * GSYM has no columns, no lines of declarations, and one name for each function: here it is the
 * one to show, where that is not made from the linkage name, else the linkage name.
 */
#ifndef MAPSTORE_GSYM_WRITER_H
#define MAPSTORE_GSYM_WRITER_H

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "mapstore/map_reader.h"

/* The whole file; *DATA is the caller's to free().  -ENODATA: the map names nothing.  -EOVERFLOW:
 * it would be larger than the format, or anybody, can take. */
int gsym_write(struct map_reader *map, uint8_t **data, size_t *size) MUST_CHECK;

#endif
