/* What a function is called, by its DIE and those that it was made from. */
#ifndef SYMBOL_DWARF_NAME_H
#define SYMBOL_DWARF_NAME_H

#include "symbol/demangle.h"
#include "symbol/dwarf_cache.h"
#include "symbol/text_pool.h"

struct dwarf_namer {
	struct text_pool *texts; /* keeps the names */
	struct demangler *demangler; /* as in source.h */
};

/* The name of the function whose DIE lies at ORIGIN (see struct dwarf_function) of F.  Each is
 * worked out once.  Valid until the next call for the same file. */
const struct dwarf_name *dwarf_name_of(struct dwarf_file *f, struct dwarf_cache *cache,
	const struct dwarf_namer *namer, uint64_t origin);

#endif
