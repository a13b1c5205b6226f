/* Making a symbol map in memory: map_format.h.  For the tool: exits for want of memory. */
#ifndef MAPSTORE_MAP_WRITER_H
#define MAPSTORE_MAP_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/build_id.h"
#include "base/compiler.h"
#include "mapstore/map_format.h"

struct map_writer;

struct map_writer *map_writer_new(void);
void map_writer_free(struct map_writer *w);

/* Numbers for texts, functions and locations; equal ones have equal numbers, but for locations that
 * many others lie between.  0 is none: NULL gives it, and may be given for each NAME, FILE and
 * CALLER. */
uint32_t map_writer_string(struct map_writer *w, const char *text);
uint32_t map_writer_function(
	struct map_writer *w, uint32_t linkage_name, uint32_t name, uint32_t start_line);

struct map_location {
	uint32_t function; /* 0: unknown */
	uint32_t file;
	uint32_t line;
	uint32_t column;
	uint32_t caller; /* the location that this one is inlined into; 0: it is called */
	uint32_t is_folded; /* 0 or 1: set by map_writer_fold() alone */
};

uint32_t map_writer_location(struct map_writer *w, const struct map_location *location);

/* LOCATION (0: nothing) from VADDR to END.  In any order, but they do not overlap. */
void map_writer_range(
	struct map_writer *w, uint64_t vaddr, uint64_t end, uint32_t location);

/* From VADDR to END the linker made one of several functions.  Likewise; before or after the ranges
 * that it marks. */
void map_writer_fold(struct map_writer *w, uint64_t vaddr, uint64_t end);

struct map_source {
	struct build_id build_id;
	const char *name; /* of the file */
	uint64_t size_bytes;
	uint16_t machine;
	bool has_lines;
	uint32_t segment_count;
	struct map_segment segments[MAP_SEGMENTS_MAX];
};

/* The whole file; *DATA is the caller's to free().  -EOVERFLOW: addresses are further apart, or
 * there is more of something, than 32 bits count.  -ENODATA: there are no ranges. */
int map_writer_finish(struct map_writer *w, const struct map_source *source, uint8_t **data,
	size_t *size) MUST_CHECK;

#endif
