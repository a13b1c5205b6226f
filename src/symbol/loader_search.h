/*
 * Where ld.so would find a library, found out by reading alone (ld.so(8)): RPATH of the library
 * and of those that loaded it, LD_LIBRARY_PATH, RUNPATH, /etc/ld.so.cache, the standard
 * folders. Sub-folders for special processors (glibc-hwcaps) are seen only as the cache has
 * them.
 */
#ifndef SYMBOL_LOADER_SEARCH_H
#define SYMBOL_LOADER_SEARCH_H

#include <stdbool.h>

#include "base/bytes.h"

/* One that needs a library: its path lists, and who needs it in turn. */
struct loader_origin {
	const char *path; /* of the file: what $ORIGIN stands for is its folder */
	const char *rpath; /* NULL: none */
	const char *runpath; /* NULL: none */
	const struct loader_origin *parent; /* NULL: the first */
};

/* The path of NAME for who is at ORIGIN, the caller's to free(); NULL: not found, or no file
 * that can be loaded is there.  LIBRARY_PATH is as LD_LIBRARY_PATH; NULL: none. */
char *loader_find(
	const struct loader_origin *origin, const char *library_path, const char *name);

/* LIST with its tokens ($ORIGIN, $LIB, $PLATFORM) replaced, the caller's to free(). */
char *loader_expand(const char *list, const char *origin_path);

/* Look NAME up in the bytes of an ld.so.cache (glibc's new format, alone or behind the old
 * one). The path lies in CACHE; NULL: not there. */
const char *loader_cache_find(struct bytes cache, const char *name);

#endif
