/* Where kept files, symbol maps and debug files are looked for: lists of folders. */
#ifndef CLI_STORES_H
#define CLI_STORES_H

#include "base/vec.h"
#include "symbol/symbolizer.h"

struct folders {
	VEC(const char *) list; /* to a NULL */
	char *text; /* what they lie in */
};

/* The folders of a list with colons between them, as PATH is; NULL: none.  The caller's to
 * folders_free(). */
void folders_split(struct folders *f, const char *text);
void folders_free(struct folders *f);

struct symbol_folders {
	struct folders debug, stores, pprof;
};

/* All that is to be searched.  OPTIONS->debug_folders are those that the user named (borrowed;
 * NULL: none); behind them come
 *   - the folders of the configuration file,
 *   - as stores alone, and as far as they can be trusted: those of RECORDED (a list with colons
 *     out of a profile; NULL: none), and those that are set here (base/store.h),
 *   - $PPROF_BINARY_PATH or $HOME/pprof/binaries, laid out as pprof wants it,
 *   - debuginfod's servers, when $DEBUGINFOD_URLS is set.
 * OPTIONS points at them until symbol_folders_free(). */
void symbol_folders_find(
	struct symbol_folders *f, struct symbolizer_options *options, const char *recorded);
void symbol_folders_free(struct symbol_folders *f);

#endif
