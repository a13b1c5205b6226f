#define _GNU_SOURCE
#include "mapstore/map_reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/bytes.h"
#include "base/xalloc.h"
#include "mapstore/pages.h"


struct section {
	struct pages pages;
	uint64_t count;
	uint64_t block_count;
};

struct location {
	uint32_t function, file, line, column, caller;
	bool is_folded;
};

/* Blocks of locations, unpacked: callers are asked for again and again. */
#define KNOWN_BLOCKS 1024

struct location_block {
	uint32_t count; /* of the locations that are not damaged */
	struct location locations[MAP_RECORDS_PER_BLOCK];
};

struct map_reader {
	const struct map_header *header;
	struct section sections[MAP_SECTION_COUNT];
	uint64_t string_work;
	char *text; /* the last string: room for MAP_STRING_SIZE_MAX bytes */
	/* By number, each block at one place, where it is if the number is there. */
	uint64_t known_numbers[KNOWN_BLOCKS]; /* plus one */
	struct location_block *known;
};

static uint32_t crc_of_header(const struct map_header *header)
{
	struct map_header h = *header;

	h.header_crc = 0;
	return (uint32_t)crc32_z(0, (const uint8_t *)&h, sizeof(h));
}

/* How a section is cut into blocks. */
static const struct {
	size_t records, entry_size;
	size_t size_max; /* bytes of a block: what its numbers can take at most */
	/* Bytes of the section that stay unpacked.  Who asks in the order of addresses goes once
	 * through the first two, and all over the others. */
	size_t unpacked_max;
} blocks[] = {
	[MAP_RANGES] = { MAP_RANGES_PER_BLOCK, sizeof(struct map_range_block),
		MAP_RANGES_PER_BLOCK * 2 * 10, 2u << 20 },
	[MAP_LOCATIONS] = { MAP_RECORDS_PER_BLOCK, 4, MAP_RECORDS_PER_BLOCK * (1 + 5 * 10),
		2u << 20 },
	[MAP_FUNCTIONS] = { MAP_RECORDS_PER_BLOCK, 4, MAP_RECORDS_PER_BLOCK * 3 * 10, 8u << 20 },
	[MAP_STRINGS] = { MAP_RECORDS_PER_BLOCK, 4,
		MAP_RECORDS_PER_BLOCK * (2 * 10 + MAP_STRING_SIZE_MAX), 32u << 20 },
};

/* No record of a section takes fewer bytes than one. */
static bool open_section(struct map_reader *r, int number, const uint8_t *data, size_t size)
{
	const struct map_section *s = &r->header->sections[number];
	struct section *opened = &r->sections[number];

	if (s->offset < sizeof(*r->header) || s->offset > size ||
		s->packed_size > size - s->offset || s->count > s->size)
		return false;
	opened->count = s->count;
	opened->block_count = (s->count + blocks[number].records - 1) / blocks[number].records;
	return opened->block_count <= s->size / blocks[number].entry_size &&
		pages_open(&opened->pages, bytes_over(data + s->offset, s->packed_size), s->size);
}

static int check_header(const struct map_header *h, size_t size)
{
	if (size < sizeof(*h) || memcmp(h->magic, MAP_MAGIC, sizeof(h->magic)) != 0)
		return -ENOEXEC;
	if (h->version != MAP_VERSION)
		return -EPROTO;
	if (h->header_size != sizeof(*h) || h->file_size != size ||
		h->build_id_size > sizeof(h->build_id) ||
		h->segment_count > MAP_SEGMENTS_MAX || crc_of_header(h) != h->header_crc ||
		crc32_z(0, (const uint8_t *)h + sizeof(*h), size - sizeof(*h)) != h->body_crc)
		return -EBADMSG;
	return 0;
}

int map_reader_open(const void *data, size_t size, struct map_reader **ret)
{
	struct map_reader *r;
	int error = check_header(data, size);

	if (error)
		return error;
	r = xcalloc(1, sizeof(*r));
	r->header = data;
	r->text = xmalloc(MAP_STRING_SIZE_MAX);
	r->known = xreallocarray(NULL, KNOWN_BLOCKS, sizeof(*r->known));
	for (int i = 0; i < MAP_SECTION_COUNT && error == 0; i++)
		if (!open_section(r, i, data, size))
			error = -EBADMSG;
	if (error) {
		map_reader_free(r);
		return error;
	}
	*ret = r;
	return 0;
}

void map_reader_free(struct map_reader *r)
{
	if (!r)
		return;
	for (int i = 0; i < MAP_SECTION_COUNT; i++)
		pages_close(&r->sections[i].pages);
	free(r->text);
	free(r->known);
	free(r);
}

const struct map_header *map_reader_header(const struct map_reader *r)
{
	return r->header;
}

void map_reader_build_id(const struct map_reader *r, struct build_id *id)
{
	const uint8_t size = r->header->build_id_size;

	id->size = size <= BUILD_ID_SIZE_MAX ? size : 0;
	memcpy(id->bytes, r->header->build_id, id->size);
}

/* What has too much unpacked drops it, from section FIRST on: what is in use must not be among
 * them. */
static void trim(struct map_reader *r, int first)
{
	for (int i = first; i < MAP_SECTION_COUNT; i++)
		if (r->sections[i].pages.unpacked_size > blocks[i].unpacked_max)
			pages_forget(&r->sections[i].pages);
}

/* The last field of an index entry: where block number BLOCK starts. */
static uint32_t block_offset(struct section *s, int number, uint64_t block)
{
	const size_t entry_size = blocks[number].entry_size;
	struct bytes at = pages_at(&s->pages, (block + 1) * entry_size - 4, 4);

	return bytes_u32(&at);
}

/* A cursor over block number BLOCK. */
static struct bytes block_at(struct map_reader *r, int number, uint64_t block)
{
	struct section *s = &r->sections[number];
	const uint64_t start = block_offset(s, number, block);
	const uint64_t end = block + 1 < s->block_count ? block_offset(s, number, block + 1)
							: s->pages.size;
	const uint64_t size = end > start ? end - start : 0;

	return pages_at(&s->pages, start,
		size < blocks[number].size_max ? size : blocks[number].size_max);
}

/* A cursor at the block that holds record INDEX, of a section with MAP_RECORDS_PER_BLOCK; *SKIP
 * records come before it there. */
static struct bytes record_block(
	struct map_reader *r, int number, uint64_t index, uint64_t *skip)
{
	*skip = index % MAP_RECORDS_PER_BLOCK;
	return block_at(r, number, index / MAP_RECORDS_PER_BLOCK);
}

/* Front-coded: each string is made from the one before. */
static bool read_string(struct bytes *at, char *text, size_t *size)
{
	const uint64_t shared = bytes_uleb128(at), more = bytes_uleb128(at);
	const void *bytes;

	if (shared > *size || more >= MAP_STRING_SIZE_MAX - shared)
		return false;
	bytes = bytes_take(at, more);
	if (!bytes)
		return false;
	memcpy(text + shared, bytes, more);
	*size = shared + more;
	return true;
}

const char *map_reader_string(struct map_reader *r, uint32_t number)
{
	struct bytes at;
	uint64_t skip;
	size_t size = 0;

	if (number == 0 || number > r->sections[MAP_STRINGS].count)
		return NULL;
	trim(r, MAP_LOCATIONS); /* a visit of ranges may be under way */
	at = record_block(r, MAP_STRINGS, number - 1, &skip);
	do {
		if (!read_string(&at, r->text, &size))
			return NULL;
		r->string_work += size;
	} while (skip-- > 0);
	r->text[size] = '\0';
	return r->text;
}

uint64_t map_reader_string_work(const struct map_reader *r)
{
	return r->string_work;
}

static uint32_t read_number(struct bytes *at)
{
	const uint64_t number = bytes_uleb128(at);

	return number <= INT32_MAX ? (uint32_t)number : 0;
}

bool map_reader_function(struct map_reader *r, uint32_t number, struct map_function *f)
{
	struct map_function read = { .name = 0 };
	uint64_t skip;
	struct bytes at;

	if (number == 0 || number > r->sections[MAP_FUNCTIONS].count)
		return false;
	trim(r, MAP_LOCATIONS);
	at = record_block(r, MAP_FUNCTIONS, number - 1, &skip);
	do {
		read.linkage_name = read_number(&at);
		read.name = read_number(&at);
		read.start_line = read_number(&at);
	} while (skip-- > 0);
	if (bytes_ok(&at))
		*f = read;
	return bytes_ok(&at);
}

static void read_location(struct bytes *at, struct location *l, uint32_t number)
{
	const uint8_t flags = bytes_u8(at);
	uint64_t distance;

	if (!(flags & MAP_SAME_FUNCTION))
		l->function += (uint32_t)bytes_sleb128(at);
	if (!(flags & MAP_SAME_FILE))
		l->file += (uint32_t)bytes_sleb128(at);
	if (!(flags & MAP_SAME_LINE))
		l->line += (uint32_t)bytes_sleb128(at);
	if (!(flags & MAP_SAME_COLUMN))
		l->column = (uint32_t)bytes_uleb128(at);
	l->is_folded = flags & MAP_FOLDED;
	distance = flags & MAP_NO_CALLER ? 0 : bytes_uleb128(at);
	/* A caller comes before what it calls: so chains end. */
	l->caller = distance > 0 && distance < number ? number - (uint32_t)distance : 0;
}

static void read_locations(struct map_reader *r, uint64_t number, struct location_block *block)
{
	const uint64_t first = number * MAP_RECORDS_PER_BLOCK;
	const uint64_t left = r->sections[MAP_LOCATIONS].count - first;
	struct bytes at = block_at(r, MAP_LOCATIONS, number);
	struct location l = { .function = 0 };

	block->count = 0;
	while (block->count < MAP_RECORDS_PER_BLOCK && block->count < left) {
		read_location(&at, &l, (uint32_t)(first + block->count + 1));
		if (!bytes_ok(&at))
			return;
		block->locations[block->count++] = l;
	}
}

/* NULL: there is none, or it is damaged. */
static const struct location *find_location(struct map_reader *r, uint32_t number)
{
	const uint64_t index = (uint64_t)number - 1;
	const uint64_t block_number = index / MAP_RECORDS_PER_BLOCK;
	const size_t place = block_number % KNOWN_BLOCKS;
	struct location_block *block = &r->known[place];

	if (number == 0 || number > r->sections[MAP_LOCATIONS].count)
		return NULL;
	if (r->known_numbers[place] != block_number + 1) {
		read_locations(r, block_number, block);
		r->known_numbers[place] = block_number + 1;
	}
	return index % MAP_RECORDS_PER_BLOCK < block->count
		? &block->locations[index % MAP_RECORDS_PER_BLOCK]
		: NULL;
}

static size_t read_chain(
	struct map_reader *r, uint32_t number, struct map_frame frames[static MAP_DEPTH_MAX])
{
	const struct section *sections = r->sections;
	const struct location *l;
	size_t count = 0;

	while (count < MAP_DEPTH_MAX && (l = find_location(r, number)) != NULL) {
		frames[count++] = (struct map_frame){
			.function =
				l->function <= sections[MAP_FUNCTIONS].count ? l->function : 0,
			.file = l->file <= sections[MAP_STRINGS].count ? l->file : 0,
			.line = l->line <= INT32_MAX ? l->line : 0,
			.column = l->column <= INT32_MAX ? l->column : 0,
			.is_folded = l->is_folded,
		};
		number = l->caller;
	}
	return count;
}

static uint32_t block_address(struct section *s, uint64_t block)
{
	struct bytes at =
		pages_at(&s->pages, block * sizeof(struct map_range_block), sizeof(uint32_t));

	return bytes_u32(&at);
}

/* The block that ADDRESS belongs to; false: it lies before all. */
static bool find_block(struct section *s, uint32_t address, uint64_t *index)
{
	uint64_t low = 0, high = s->block_count;

	while (low < high) {
		const uint64_t middle = low + (high - low) / 2;

		if (block_address(s, middle) <= address)
			low = middle + 1;
		else
			high = middle;
	}
	*index = low - 1;
	return low > 0;
}

struct range_cursor {
	struct bytes at;
	uint64_t left; /* records, this block's */
	uint64_t address;
	uint32_t location;
};

static void open_block(struct map_reader *r, uint64_t block, struct range_cursor *c)
{
	struct section *s = &r->sections[MAP_RANGES];
	const uint64_t first = block * MAP_RANGES_PER_BLOCK;

	*c = (struct range_cursor){ .at = block_at(r, MAP_RANGES, block),
		.address = block_address(s, block) };
	c->left = s->count - first < MAP_RANGES_PER_BLOCK ? s->count - first
							  : MAP_RANGES_PER_BLOCK;
}

static bool next_range(struct range_cursor *c)
{
	if (c->left == 0)
		return false;
	c->left--;
	c->address += bytes_uleb128(&c->at);
	c->location += (uint32_t)bytes_sleb128(&c->at);
	return bytes_ok(&c->at);
}

size_t map_reader_find(
	struct map_reader *r, uint64_t vaddr, struct map_frame frames[static MAP_DEPTH_MAX])
{
	const uint64_t address = vaddr - r->header->base;
	struct range_cursor c;
	uint32_t location = 0;
	uint64_t index;

	trim(r, MAP_RANGES);
	if (vaddr < r->header->base || address > UINT32_MAX ||
		!find_block(&r->sections[MAP_RANGES], (uint32_t)address, &index))
		return 0;
	open_block(r, index, &c);
	while (next_range(&c) && c.address <= address)
		location = c.location;
	return bytes_ok(&c.at) ? read_chain(r, location, frames) : 0;
}

void map_reader_visit(struct map_reader *r, map_range_visitor *visit, void *context)
{
	static struct map_frame frames[MAP_DEPTH_MAX];
	const uint64_t block_count = r->sections[MAP_RANGES].block_count;
	uint64_t vaddr = 0;
	uint32_t location = 0;
	struct range_cursor c;

	for (uint64_t i = 0; i < block_count; i++) {
		trim(r, MAP_RANGES);
		open_block(r, i, &c);
		while (next_range(&c)) {
			const uint64_t next = r->header->base + c.address;

			if (location && next > vaddr)
				visit(context, vaddr, next, frames,
					read_chain(r, location, frames));
			vaddr = next;
			location = c.location;
		}
	}
}
