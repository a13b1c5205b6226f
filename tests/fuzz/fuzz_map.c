/* Any bytes as a symbol map, with the checksums that a knowing hand would set: it is asked and
 * exported. */
#include <stdlib.h>
#include <string.h>

#include "mapstore/gsym_writer.h"
#include "mapstore/map_reader.h"
#include "unit/map_repack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(
	uint8_t *data, size_t size, size_t max_size, unsigned int seed);

static size_t mutate(void *context, uint8_t *bytes, size_t size)
{
	return size ? LLVMFuzzerMutate(bytes, size, size) : 0;
}

/* As it is, or what is packed in it. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
	struct map_reader *map;
	uint8_t *changed = NULL;
	size_t changed_size;

	if (seed % 4 == 0 || map_reader_open(data, size, &map) < 0)
		return LLVMFuzzerMutate(data, size, max_size);
	map_reader_free(map);
	changed = map_repack(data, mutate, NULL, &changed_size);
	if (!changed || changed_size > max_size) {
		free(changed);
		return LLVMFuzzerMutate(data, size, max_size);
	}
	memcpy(data, changed, changed_size);
	free(changed);
	return changed_size;
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
	if (size >= sizeof(struct map_header))
		map_set_checksums(copy, size);
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
