/*
 * Asking a symbol map: map_format.h.  Its bytes may be anybody's: the checksum is checked once, and
 * every read is bounded all the same, since whoever can write a map can write its checksum.
 */
#ifndef MAPSTORE_MAP_READER_H
#define MAPSTORE_MAP_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/build_id.h"
#include "base/compiler.h"
#include "mapstore/map_format.h"

struct map_reader;

/* DATA is borrowed, and 8-byte aligned.  0: *RET is the caller's to map_reader_free().
 * -ENOEXEC: no map; -EPROTO: of another version; -EBADMSG: damaged, or cut short.  What the
 * others below unpack stays in memory up to a limit. */
int map_reader_open(const void *data, size_t size, struct map_reader **ret) MUST_CHECK;
void map_reader_free(struct map_reader *r);

const struct map_header *map_reader_header(const struct map_reader *r);
void map_reader_build_id(const struct map_reader *r, struct build_id *id);

/* A place; numbers are the map's, 0 is none. */
struct map_frame {
	uint32_t function;
	uint32_t file; /* string, as the names of functions */
	uint32_t line, column;
	bool is_folded; /* the innermost: the linker made one of several functions here */
};

struct map_function {
	uint32_t linkage_name;
	uint32_t name; /* to show; 0: it is made from the linkage name */
	uint32_t start_line;
};

/* False: there is no such function. */
bool map_reader_function(struct map_reader *r, uint32_t number, struct map_function *f);
/* String NUMBER, valid until the next is asked for; NULL: there is none. */
const char *map_reader_string(struct map_reader *r, uint32_t number);
/* How many bytes were read for strings: hostile maps let each take long. */
uint64_t map_reader_string_work(const struct map_reader *r);

/* What is at VADDR, innermost first, at most MAP_DEPTH_MAX: how many frames; 0: nothing. */
size_t map_reader_find(
	struct map_reader *r, uint64_t vaddr, struct map_frame frames[static MAP_DEPTH_MAX]);

/* Every range in its order, with its frames. */
typedef void map_range_visitor(void *context, uint64_t vaddr, uint64_t end,
	const struct map_frame *frames, size_t count);
void map_reader_visit(struct map_reader *r, map_range_visitor *visit, void *context);

#endif
