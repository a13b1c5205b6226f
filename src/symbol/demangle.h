/*
 * Linkage names made readable: C++ and Rust (both manglings), without Rust's hash and, in the
 * simple form, without parameters and return type; without the suffixes of GCC's and Clang's
 * clones (.cold, .isra.0).
 */
#ifndef SYMBOL_DEMANGLE_H
#define SYMBOL_DEMANGLE_H

#include "symbol/text_pool.h"

/* C++ names of more bytes are refused by libiberty, which would need too much stack. */
#define DEMANGLE_SIZE_MAX 1024

enum demangle_style {
	DEMANGLE_SIMPLE,
	DEMANGLE_FULL, /* with parameters */
	DEMANGLE_NONE, /* as the linker knows it */
};

struct demangler;

/* POOL is borrowed and keeps the results. */
struct demangler *demangler_new(struct text_pool *pool, enum demangle_style style);
void demangler_free(struct demangler *d);

/* LINKAGE_NAME, from the same pool or where else it stays, as people write it; itself when it is
 * not mangled.  "@plt" at its end is kept.  Each name, by its address, is worked out once.  Bounded
 * in time and stack for hostile names. */
const char *demangle(struct demangler *d, const char *linkage_name);
/* The same for a text that does not stay; it is worked out each time. */
const char *demangle_once(struct demangler *d, const char *linkage_name);

#endif
