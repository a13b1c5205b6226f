/* Any bytes as a symbol map, with the checksums that a knowing hand would set: it is asked and
 * exported. */
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "mapstore/gsym_writer.h"
#include "mapstore/map_reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void set_checksums(uint8_t *map, size_t size)
{
	struct map_header *h = (void *)map;

	if (size < sizeof(*h))
		return;
	h->file_size = size;
	h->body_crc = (uint32_t)crc32_z(0, map + sizeof(*h), size - sizeof(*h));
	h->header_crc = 0;
	h->header_crc = (uint32_t)crc32_z(0, map, sizeof(*h));
}

static void visit(void *context, uint64_t vaddr, uint64_t end, const struct map_frame *frames,
	size_t count)
{
	if (vaddr >= end || count > MAP_DEPTH_MAX)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct map_frame frames[MAP_DEPTH_MAX];
	uint8_t *copy = malloc(size ? size : 1);
	struct map_reader *map;
	uint8_t *gsym;
	size_t gsym_size;

	memcpy(copy, data, size);
	set_checksums(copy, size);
	if (map_reader_open(copy, size, &map) == 0) {
		const uint64_t base = map_reader_header(map)->base;

		map_reader_string(map, map_reader_header(map)->source_name);
		for (uint64_t at = 0; at < 0x1000; at += 0x3f)
			map_reader_find(map, base + at, frames);
		map_reader_visit(map, visit, NULL);
		if (gsym_write(map, &gsym, &gsym_size) == 0)
			free(gsym);
		map_reader_free(map);
	}
	free(copy);
	return 0;
}
