/*
 * All that a file says of itself, for `plugprof doctor`: facts, no judgement.  The file is read
 * and never loaded or run.
 */
#ifndef SYMBOL_INSPECTION_H
#define SYMBOL_INSPECTION_H

#include "base/build_id.h"
#include "symbol/debug_facts.h"
#include "symbol/dynamic.h"
#include "symbol/elf_identity.h"
#include "symbol/go_build_info.h"
#include "symbol/symbolizer.h"

struct inspection {
	char *path;
	struct elf_identity identity;
	struct binary *binary; /* NULL: of another kind, or damaged; all below is empty */
	struct build_id build_id;
	struct dynamic dynamic;
	struct debug_facts debug;
	struct go_build_info go;
	enum symbol_verdict verdict; /* what names the symbolizer would give */
	char *reason; /* and why, in words */
};

/* OPTIONS says where else to look for names (NULL: nowhere).  On 0 *RET is the caller's to
 * inspection_free(); -errno: the file cannot be read; -ENOEXEC: it is no ELF file, and *KIND
 * says what it is. */
int inspection_open(const char *path, const struct symbolizer_options *options,
	struct inspection **ret, const char **kind);
void inspection_free(struct inspection *in);

/* Only the build-ID of the ELF file at PATH; false: it has none, or cannot be read. */
bool inspection_build_id(const char *path, struct build_id *id);

/* Does its .symtab define NAME, exported or not? */
bool inspection_has_symbol(const struct inspection *in, const char *name);

#endif
