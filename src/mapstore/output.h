/* Bytes of a file in the making, little-endian.  For the tool: exits for want of memory. */
#ifndef MAPSTORE_OUTPUT_H
#define MAPSTORE_OUTPUT_H

#include <stddef.h>
#include <stdint.h>

#include "base/vec.h"

struct output { /* all zero: empty */
	VEC(uint8_t) bytes;
};

void output_free(struct output *out);

void output_bytes(struct output *out, const void *data, size_t size);
void output_u8(struct output *out, uint8_t value);
void output_u32(struct output *out, uint32_t value);
/* DWARF 5 section 7.6. */
void output_uleb128(struct output *out, uint64_t value);
void output_sleb128(struct output *out, int64_t value);
/* Zeros up to a multiple of ALIGNMENT. */
void output_align(struct output *out, size_t alignment);
/* Write over the four bytes at OFFSET, which are there. */
void output_set_u32(struct output *out, size_t offset, uint32_t value);

#endif
