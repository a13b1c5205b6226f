#include "base/content_id.h"

#include <string.h>

#include "base/hash.h"

/* The ELF header says where the sections are, which strip changes: how much of PART it takes. */
static size_t header_in(const Elf64_Phdr *segment, uint64_t at, size_t part)
{
	return segment->p_offset == 0 && at == 0 && part >= sizeof(Elf64_Ehdr) ?
		sizeof(Elf64_Ehdr) :
		0;
}

static bool add_segment(
	const Elf64_Phdr *segment, content_read *read, void *context, uint64_t *hash)
{
	const uint64_t size = segment->p_filesz;
	const uint64_t pages = size / CONTENT_PAGE_SIZE + (size % CONTENT_PAGE_SIZE != 0);
	const uint64_t taken = pages < CONTENT_PAGES_MAX ? pages : CONTENT_PAGES_MAX;

	*hash = hash_add(*hash, segment->p_vaddr);
	*hash = hash_add(*hash, size);
	for (uint64_t i = 0; i < taken; i++) {
		const uint64_t page = pages == taken ? i : i * (pages / CONTENT_PAGES_MAX);
		const uint64_t at = page * CONTENT_PAGE_SIZE;
		const size_t part = size - at < CONTENT_PAGE_SIZE ? (size_t)(size - at) :
								    CONTENT_PAGE_SIZE;
		const size_t skipped = header_in(segment, at, part);
		const uint8_t *bytes = read(context, segment, at, part);

		if (!bytes)
			return false;
		*hash = hash_add(*hash, hash_bytes(bytes + skipped, part - skipped));
	}
	return true;
}

uint64_t content_id_of(
	const Elf64_Phdr *headers, size_t header_count, content_read *read, void *context)
{
	uint64_t hash = 0;
	bool any = false;

	for (size_t i = 0; i < header_count; i++) {
		const Elf64_Phdr *h = &headers[i];

		if (h->p_type != PT_LOAD || !(h->p_flags & PF_R) || (h->p_flags & PF_W) ||
			h->p_filesz == 0)
			continue;
		if (!add_segment(h, read, context, &hash))
			return 0;
		any = true;
	}
	return any ? hash_mix(hash) : 0;
}

void content_id_to_key(uint64_t content_id, struct build_id *key)
{
	key->size = content_id ? sizeof(content_id) : 0;
	for (size_t i = 0; i < key->size; i++)
		key->bytes[i] = (uint8_t)(content_id >> (56 - 8 * i));
}
