/*
 * A section of a map: bytes in pages of 16 KiB, each packed by itself (Zstandard, RFC 8878), so
 * that any part can be read without the rest.  First the offset of each page's packed bytes, a
 * uint32 from the section's start, then those.
 */
#ifndef MAPSTORE_PAGES_H
#define MAPSTORE_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "mapstore/output.h"

#define MAP_PAGE_SIZE 16384
/* No whole page is packed smaller; zeros fill it up.  So what a file unpacks to is bounded by its
 * size. */
#define MAP_PAGE_PACKED_MIN 256

/* Append SECTION, packed, to OUT. */
void pages_write(struct output *out, const struct output *section);

struct pages { /* all zero: empty */
	struct bytes packed;
	uint64_t size; /* bytes when unpacked */
	uint8_t *data; /* room for all, filled page by page */
	uint8_t *states; /* by page */
	uint64_t unpacked_size; /* bytes of the pages that are there */
};

/* PACKED is borrowed.  False: SIZE bytes cannot be in it; or there is no room for them. */
bool pages_open(struct pages *p, struct bytes packed, uint64_t size);
void pages_close(struct pages *p);

/* A cursor over the SIZE bytes from OFFSET, or as many as there are; broken when they are damaged.
 * Valid until pages_forget().  One thread of the process reads pages. */
struct bytes pages_at(struct pages *p, uint64_t offset, uint64_t size);
/* Give the memory back; pages are unpacked again when they are asked for. */
void pages_forget(struct pages *p);

#endif
