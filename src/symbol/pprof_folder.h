/*
 * Binaries as pprof keeps and looks for them, in $HOME/pprof/binaries or $PPROF_BINARY_PATH: by
 * build-ID, by build-ID and name, or by name alone (github.com/google/pprof, doc/README.md,
 * "Symbolization").  Unlike pprof we take none without the right build-ID.
 */
#ifndef SYMBOL_PPROF_FOLDER_H
#define SYMBOL_PPROF_FOLDER_H

#include "symbol/binary.h"
#include "symbol/trail.h"

/* The file of the build, which had the path PATH, in the first of FOLDERS (NULL-terminated; NULL:
 * none) that has it.  The caller's to binary_close(); NULL: in none, and TRAIL tells why. */
struct binary *pprof_folder_open(const char *const *folders, const char *path,
	const struct build_id *build_id, struct trail *trail);

#endif
