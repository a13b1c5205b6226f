/*
 * Debug files and libraries by build-ID from debuginfod servers (elfutils, debuginfod(8)), through
 * libdebuginfod when it is installed, and from the folder where it keeps what was fetched before.
 */
#ifndef SYMBOL_DEBUGINFOD_H
#define SYMBOL_DEBUGINFOD_H

#include "symbol/binary.h"
#include "symbol/symbolizer.h"
#include "symbol/trail.h"

enum debuginfod_kind {
	DEBUGINFOD_DEBUG_FILE,
	DEBUGINFOD_EXECUTABLE, /* the library or program itself */
};

/* From the cache: $DEBUGINFOD_CACHE_PATH, or what debuginfod_find_debuginfo(3) takes for it.  No
 * network.  The caller's to binary_close(); NULL: not here, and TRAIL tells why. */
struct binary *debuginfod_open_cached(
	enum debuginfod_kind kind, const struct build_id *build_id, struct trail *trail);

/* From the servers in $DEBUGINFOD_URLS, into the cache.  NULL likewise; nothing is done and said
 * when no URL is set.  A server that cannot be reached is not asked again by this process. */
struct binary *debuginfod_fetch(enum debuginfod_kind kind, const struct build_id *build_id,
	const struct symbol_fetching *fetching, struct trail *trail);

#endif
