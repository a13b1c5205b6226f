/* A symbol map with other bytes in its sections, for tests: damage to what is packed is noticed
 * when it is unpacked, and would not get to the readers of records. */
#ifndef UNIT_MAP_REPACK_H
#define UNIT_MAP_REPACK_H

#include <string.h>
#include <zlib.h>

#include "mapstore/map_format.h"
#include "mapstore/pages.h"

/* As somebody who knows the format would. */
static inline void map_set_checksums(uint8_t *map, size_t size)
{
	struct map_header *h = (void *)map;

	h->file_size = size;
	h->body_crc = (uint32_t)crc32_z(0, map + sizeof(*h), size - sizeof(*h));
	h->header_crc = 0;
	h->header_crc = (uint32_t)crc32_z(0, map, sizeof(*h));
}

/* Changes SIZE bytes in place; how many are left. */
typedef size_t map_change(void *context, uint8_t *bytes, size_t size);

/* MAP, which can be opened, with each section unpacked, changed and packed again: the caller's to
 * free(); NULL: a section is damaged. */
static inline uint8_t *map_repack(
	const uint8_t *map, map_change *change, void *context, size_t *size)
{
	struct map_header h;
	struct output out = { .bytes = { NULL, 0, 0 } };
	bool ok = true;

	memcpy(&h, map, sizeof(h));
	output_bytes(&out, &h, sizeof(h));
	for (int i = 0; i < MAP_SECTION_COUNT && ok; i++) {
		struct map_section *s = &h.sections[i];
		struct output section = { .bytes = { NULL, 0, 0 } };
		struct pages pages;
		struct bytes at;

		ok = pages_open(&pages, bytes_over(map + s->offset, s->packed_size), s->size);
		at = ok ? pages_at(&pages, 0, s->size) : (struct bytes){ .broken = true };
		ok = bytes_ok(&at);
		output_bytes(&section, at.at, bytes_left(&at));
		pages_close(&pages);
		s->size = section.bytes.count =
			change(context, section.bytes.items, section.bytes.count);
		s->offset = out.bytes.count;
		pages_write(&out, &section);
		s->packed_size = out.bytes.count - s->offset;
		output_free(&section);
	}
	memcpy(out.bytes.items, &h, sizeof(h));
	map_set_checksums(out.bytes.items, out.bytes.count);
	*size = out.bytes.count;
	if (ok)
		return out.bytes.items;
	output_free(&out);
	return NULL;
}

#endif
