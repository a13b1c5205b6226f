/* Symbol maps in a store (base/store.h): STORE/ab/cdef....psym. */
#ifndef MAPSTORE_MAP_STORE_H
#define MAPSTORE_MAP_STORE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/build_id.h"
#include "base/compiler.h"

/* Put a map into STORE, whose folders are made where they are missing: a temporary file, fsync,
 * rename, so that readers and other writers see all of it or nothing.  A map with lines is not
 * replaced by one without (*KEPT tells).  0: *PATH is where it lies, the caller's to free();
 * -errno: nothing has changed. */
int map_store_put(const char *store, const struct build_id *id, const void *data, size_t size,
	bool *kept, char **path) MUST_CHECK;

/* Write a map, in any form, to PATH as file_replace() does, but readable to others as umask says:
 * they may look names up in it, as in the library. */
int map_store_write(const char *path, const void *data, size_t size) MUST_CHECK;

#endif
