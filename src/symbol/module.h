/* The inside of a module, for map_builder.c, which goes through all that is known of it. */
#ifndef SYMBOL_MODULE_H
#define SYMBOL_MODULE_H

#include "symbol/source.h"
#include "symbol/symbolizer.h"

/* The frames at VADDR as the sources have them, not demangled; one without a name where only the
 * line is known.  BY_DWARF: what DWARF says, which is then not asked: a line, at most; else NULL.
 * False: nothing is known. */
bool module_ask(struct symbolizer *s, struct symbol_module *m, uint64_t vaddr,
	const struct source_frame *by_dwarf, const struct source_frames **found);

/* The addresses where the sources' answers change, but for those of DWARF. */
void module_visit_boundaries(
	struct symbol_module *m, source_boundary_visitor *visit, void *context);

/* Did the linker make one of several functions at VADDR?  It changes at the boundaries alone. */
bool module_is_folded(struct symbol_module *m, uint64_t vaddr);

/* The state of one source; NULL: it has nothing. */
void *module_state(struct symbol_module *m, const struct source *source);

/* The module's own file, or else its debug file; NULL: neither is there. */
const struct binary *module_file(const struct symbol_module *m);

#endif
