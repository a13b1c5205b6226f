/*
 * Sections as they were before compression: SHF_COMPRESSED with zlib or zstd (gABI, "Section
 * Compression"), GNU's older .zdebug_*, and xz for .gnu_debugdata.
 *
 * The size that a section claims is believed only as far as its algorithm could reach it, so
 * that a small file cannot ask for all memory.
 */
#ifndef SYMBOL_SECTION_H
#define SYMBOL_SECTION_H

#include <stdbool.h>

#include "base/bytes.h"
#include "symbol/binary.h"

struct section {
	struct bytes bytes;
	void *heap; /* what BYTES lie in; NULL: in the file */
};

/* The section NAME of B.  True: *RET is the caller's to section_free(), and lives no longer
 * than B.  False: not there, damaged, or compressed in a way that is not known. */
bool section_load(const struct binary *b, const char *name, struct section *ret);
void section_free(struct section *s);

/* The bytes of an xz stream, at most LIMIT of them; the caller's to free().  NULL: damaged,
 * or more than that. */
void *section_unpack_xz(struct bytes packed, size_t limit, size_t *size);

#endif
