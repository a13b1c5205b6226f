/*
 * The seam between the symbolizer and what it knows names from.  A source is a row in the
 * symbolizer's table; the rows are asked in order until one knows the address.  "True" means
 * it does, "false" means not here, ask the next: a source never fails.
 */
#ifndef SYMBOL_SOURCE_H
#define SYMBOL_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/vec.h"
#include "symbol/binary.h"
#include "symbol/symbolizer.h"
#include "symbol/text_pool.h"
#include "symbol/trail.h"

struct unit_queue;

/* What a source may read.  All of it outlives the source's state. */
struct source_input {
	const char *path; /* the module's, "" for none; its file may be another build */
	const struct build_id *build_id; /* size 0: unknown */
	/* The module's own file and then its debug file, as far as they were found: all of
	 * the module's build. */
	const struct binary *files[2];
	size_t file_count;
	const char *const *debug_folders, *const *stores; /* of the options */
	struct text_pool *texts; /* keeps every string that a source gives out */
	struct demangler *demangler; /* when nobody needs linkage names; else NULL */
	struct trail *trail; /* where sources looked for more files; NULL: nobody asks */
	struct unit_queue *queue; /* where units are read ahead; NULL: nowhere */
};

struct source_frame {
	/* The linker's name, to be demangled; NULL: there is none. */
	const char *linkage_name;
	/* The name to show as it is; NULL: demangle LINKAGE_NAME.  When both are NULL only the
	 * line is known, and the next sources are asked for the name. */
	const char *name;
	const char *file; /* NULL: unknown */
	uint32_t line; /* 0: unknown, as the following */
	uint32_t column;
	uint32_t start_line;
};

struct source_frames {
	VEC(struct source_frame) frames; /* innermost first */
};

typedef void source_boundary_visitor(void *context, uint64_t vaddr);

struct source {
	const char *name; /* for people */
	/* The module's verdict when no source before this one has anything. */
	enum symbol_verdict verdict;
	bool resolves; /* its names are names; false: they only say where a function starts */
	/* The source's state for a module, or NULL: nothing here. */
	void *(*open)(const struct source_input *input);
	/* Append what lies at VADDR to OUT, which is empty before, and true; or false and
	 * OUT stays empty. */
	bool (*resolve)(void *state, uint64_t vaddr, struct source_frames *out);
	/* Which batch VADDR belongs to: addresses of one are cheap to ask for together.  NULL: it
	 * does not matter. */
	uint64_t (*batch)(void *state, uint64_t vaddr);
	/* The COUNT sorted VADDRS of one BATCH will be asked for, after what was expected before.
	 * NULL: where BATCH is. */
	void (*expect)(void *state, uint64_t batch, const uint64_t *vaddrs, size_t count);
	/* The segments of the module's file, as far as the source knows.  NULL: it does not. */
	size_t (*segments)(void *state, const struct binary_segment **segments);
	/* Visit every address where the answer may become another one.  NULL: map_dwarf.c knows
	 * them, or its names do not go into maps. */
	void (*visit_boundaries)(void *state, source_boundary_visitor *visit, void *context);
	/* Do several functions share the code at VADDR?  NULL: it does not know. */
	bool (*is_folded)(void *state, uint64_t vaddr);
	void (*close)(void *state);
};

extern const struct source source_map; /* a symbol map with lines */
extern const struct source source_symbol_map; /* one that was made from symbols alone */
extern const struct source source_dwarf;
extern const struct source source_go; /* pclntab */
extern const struct source source_symtab; /* .symtab */
extern const struct source source_minidebug; /* .gnu_debugdata */
extern const struct source source_dynsym; /* .dynsym */
extern const struct source source_plt;
extern const struct source source_init; /* _init and _fini */
extern const struct source source_fde;

#endif
