/*
 * A library with all that it needs, as ld.so would load it: each name once, the first that
 * asked for it decides which file.  Nothing is loaded; files are read.
 */
#ifndef SYMBOL_LIBRARY_CLOSURE_H
#define SYMBOL_LIBRARY_CLOSURE_H

#include <stddef.h>

#include "base/table.h"
#include "base/vec.h"
#include "symbol/dynamic.h"
#include "symbol/loader_search.h"

struct closure_library {
	char *path;
	char *name; /* what it was asked for as; of the first ones their path */
	struct binary *binary;
	struct dynamic dynamic;
	struct loader_origin origin; /* PARENT: who asked */
};

struct closure_missing {
	const char *name;
	const struct closure_library *needed_by;
};

struct closure {
	VEC(struct closure_library *) libraries;
	VEC(struct closure_missing) missing;
	const char *library_path; /* as LD_LIBRARY_PATH; NULL: none.  Borrowed */
	struct table exports; /* of closure_defines(), made when it is first asked */
	VEC(const char *) export_names;
};

/* An all-zero closure is empty.  Add PATH (a program's first, then its plugin's) with all that
 * it needs and is not there yet.  NULL: it cannot be read. */
const struct closure_library *closure_add(struct closure *c, const char *path);
void closure_free(struct closure *c);

/* The library known as NAME (asked for so, or by its soname); NULL: none. */
const struct closure_library *closure_find(const struct closure *c, const char *name);

/* Does any of them define NAME?  Nothing may be added afterwards. */
bool closure_defines(struct closure *c, const char *name);

#endif
