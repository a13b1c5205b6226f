/*
 * Go's pclntab: the functions, files, lines and inlined calls that the runtime itself needs, and
 * which strip and -ldflags=-s leave in the file.  Layouts of Go 1.2, 1.16, 1.18 and 1.20, the last
 * of which is still current in 1.26: runtime/symtab.go, runtime/symtabinl.go, and "Go 1.2 Runtime
 * Symbol Information" (golang.org/s/go12symtab).
 *
 * Bytes are hostile: a table is taken only when its functions come in order and lie inside it.
 */
#ifndef SYMBOL_GO_TABLE_H
#define SYMBOL_GO_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

/* Inlined calls at one address. */
#define GO_FRAMES_MAX 128

enum go_version { GO_1_2, GO_1_16, GO_1_18, GO_1_20 };

struct go_table {
	enum go_version version;
	uint8_t quantum; /* bytes of the smallest instruction */
	uint64_t function_count;
	uint64_t text_start; /* vaddr that functions count from; 0 up to Go 1.16 */
	struct bytes functions; /* pairs of address and offset; offsets count from here */
	struct bytes names, units, files, values; /* funcnametab, cutab, filetab, pctab */
	struct bytes inlining; /* what funcdata counts from; empty: not found */
};

/* Does a table start here?  *VERSION tells which. */
bool go_table_signature(struct bytes at, enum go_version *version);

/* The table at the start of BYTES, which may go on behind it.  TEXT_START: see go_table, for
 * where the header does not tell; 0: it does.  False: there is none, or it is damaged. */
bool go_table_open(struct go_table *t, struct bytes bytes, uint64_t text_start);

struct go_frame {
	const char *function; /* in the table */
	const char *file; /* NULL: unknown */
	uint32_t line; /* 0: unknown, as START_LINE */
	uint32_t start_line;
};

/* Visit every address where the answer may become another one. */
void go_table_visit_boundaries(const struct go_table *t,
	void (*visit)(void *context, uint64_t vaddr), void *context);

/* What is at VADDR, innermost first: how many frames; 0: no Go function. */
size_t go_table_find(
	const struct go_table *t, uint64_t vaddr, struct go_frame frames[static GO_FRAMES_MAX]);

#endif
