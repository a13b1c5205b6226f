/* From all that is known of a library to its symbol map. */
#ifndef SYMBOL_MAP_BUILDER_H
#define SYMBOL_MAP_BUILDER_H

#include <stddef.h>
#include <stdint.h>

#include "base/build_id.h"
#include "base/compiler.h"

struct map_build {
	uint8_t *data; /* the map, the caller's to free() */
	size_t size;
	struct build_id build_id;
	bool has_lines;
};

/* The map of the file at PATH, with its debug file as far as one is found; DEBUG_FOLDERS: see
 * symbolizer.h.  -ENOEXEC: no ELF file; -ENODATA: nothing in it has a name; -ENOMSG: it has no
 * build-ID to be found by; or another -errno. */
int map_build(const char *path, const char *const *debug_folders, struct map_build *ret) MUST_CHECK;

#endif
