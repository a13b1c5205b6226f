/*
 * The functions that the libraries in memory define, in the order in which ld.so searches them.
 *
 * They are looked up without dlsym, which may allocate and waits for the loader's lock: what asks
 * may be anywhere, also before any constructor.
 */
#ifndef AGENT_DL_SYMBOLS_H
#define AGENT_DL_SYMBOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct link_map;

struct dl_definition {
	const struct link_map *library; /* NULL: none, or in musl */
	void *function; /* NULL: none */
};

/* This library, and the first of all, the program.  NULL in musl. */
const struct link_map *dl_symbols_own_library(void);
const struct link_map *dl_symbols_first_library(void);
/* Its file's name without the folder, or "the program". */
const char *dl_symbols_base_name(const struct link_map *library);

/* What LIBRARY defines as NAME; NULL: nothing. */
void *dl_symbols_find_in(const struct link_map *library, const char *name);
/* The first that defines NAME, of LIBRARY and those behind it. */
struct dl_definition dl_symbols_find_from(const struct link_map *library, const char *name);
/* The first behind this library that defines NAME. */
struct dl_definition dl_symbols_find_behind(const char *name);
/* The same.  When this library was itself opened by dlopen, all others are before it: the last. */
struct dl_definition dl_symbols_find_next(const char *name);
/* What LIBRARY, a file's name without its folder, defines as NAME; not in musl. */
void *dl_symbols_find_by_file(const char *library, const char *name);
/* Does LIBRARY take one of the COUNT functions in NAMES from others? */
bool dl_symbols_imports(const struct link_map *library, const char *const *names, size_t count);

struct dl_range {
	uint64_t start, end; /* pc */
};

/* Where the libraries lie that define NAME, this one left out: at most COUNT_MAX; how many.  Waits
 * for the loader's lock. */
size_t dl_symbols_find_ranges(const char *name, struct dl_range *ranges, size_t count_max);

#define DL_SYMBOLS_WITHDRAWN_MAX 32
/* From now on nobody finds the COUNT functions in NAMES in this library: what is searched for them
 * later finds what it would find without us.  Who has found them before keeps them.  Once only. */
void dl_symbols_withdraw(const char *const *names, size_t count);

#endif
