/*
 * A FunctionInfo of a GSYM file, version 1: one run of code with its line table and its tree of
 * inlined calls (llvm/DebugInfo/GSYM: FunctionInfo.h, LineTable.h, InlineInfo.h).
 */
#ifndef MAPSTORE_GSYM_FUNCTION_H
#define MAPSTORE_GSYM_FUNCTION_H

#include <stddef.h>
#include <stdint.h>

#include "base/table.h"
#include "base/vec.h"
#include "mapstore/output.h"

struct gsym_place { /* a frame: the function, and where in it */
	uint32_t name; /* offset in the string table */
	uint32_t file; /* as the file table counts; 0: unknown */
	uint32_t line;
};

struct gsym_function { /* all zero: empty */
	uint64_t vaddr, end;
	uint32_t name;
	uint32_t unknown_file; /* stands for 0 where GSYM needs a file: it drops frames without */
	VEC(struct gsym_row) rows;
	VEC(struct gsym_node) nodes; /* the first is the function itself; callers before callees */
	struct table by_call;
};

void gsym_function_start(struct gsym_function *f, uint64_t vaddr, uint32_t name);
/* The next stretch of its code, behind all before: COUNT places, innermost first, the last of which
 * is in the function itself. */
void gsym_function_add(struct gsym_function *f, uint64_t vaddr, uint64_t end,
	const struct gsym_place *places, size_t count);
/* Append it to OUT, which is aligned to 4 bytes before. */
void gsym_function_write(const struct gsym_function *f, struct output *out);
void gsym_function_free(struct gsym_function *f);

#endif
