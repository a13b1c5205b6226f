/*
 * Finding the separate debug file of a binary: by build-ID below the debug folders, else by
 * its .gnu_debuglink.  What is found is known to be of the same build.
 */
#ifndef SYMBOL_DEBUG_FILE_H
#define SYMBOL_DEBUG_FILE_H

#include "base/build_id.h"
#include "symbol/binary.h"
#include "symbol/trail.h"

/* FOLDERS are laid out as /usr/lib/debug is, NULL-terminated (NULL: none), and are asked
 * before it.  The result is the caller's to binary_close(); NULL: not found.  Where it was not
 * found, and why not, goes to TRAIL (NULL: nowhere). */
struct binary *debug_file_by_build_id(
	const char *const *folders, const struct build_id *build_id, struct trail *trail);

/* The file at PATH, if it is of the build BUILD_ID. */
struct binary *debug_file_open_build(const char *path, const struct build_id *build_id,
	enum symbol_place place, struct trail *trail);
/* The same for PATH that counts from the folder of the file FROM unless it is absolute. */
struct binary *debug_file_by_path(const char *from, const char *path,
	const struct build_id *build_id, struct trail *trail);

/* What dwz has moved out of B to a file that others share: the file that B's .gnu_debugaltlink
 * names, counted from the folder of B, or is found by the build-ID in it.  *PATH (may be NULL) is
 * what it names, or NULL when B has no such link. */
struct binary *debug_file_by_alt_link(const char *const *folders, const struct binary *b,
	const char **path, struct trail *trail);

/* The name in B's .gnu_debuglink; NULL: it has none. */
const char *debug_file_link(const struct binary *b);

/* The file that B's .gnu_debuglink names, beside PATH (where B was loaded from; B may be a kept
 * copy), in .debug/ there, and below the debug folders.  Taken when its build-ID is B's or,
 * where one of them has none, when its CRC is the link's. */
struct binary *debug_file_by_link(const char *const *folders, const struct binary *b,
	const char *path, struct trail *trail);

#endif
