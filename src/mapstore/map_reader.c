#define _GNU_SOURCE
#include "mapstore/map_reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/bytes.h"
#include "base/xalloc.h"

struct section {
	struct bytes bytes;
	uint64_t count;
	uint64_t block_count;
};

struct function {
	const char *linkage_name, *name;
	uint32_t start_line;
	bool is_read;
};

struct map_reader {
	const struct map_header *header;
	struct section sections[MAP_SECTION_COUNT];
	/* What was asked for before, by number; an entry costs less than the bytes it stands for
	 * could, as the counts are checked. */
	char **strings;
	struct function *functions;
	uint64_t text_left; /* bytes of strings, against hostile maps: each can be long */
};

static uint32_t crc_of_header(const struct map_header *header)
{
	struct map_header h = *header;

	h.header_crc = 0;
	return (uint32_t)crc32_z(0, (const uint8_t *)&h, sizeof(h));
}

static size_t per_block(int section)
{
	return section == MAP_RANGES ? MAP_RANGES_PER_BLOCK : MAP_RECORDS_PER_BLOCK;
}

/* No record of a section takes fewer bytes. */
static bool open_section(
	struct map_reader *r, int number, const uint8_t *data, size_t size)
{
	const struct map_section *s = &r->header->sections[number];
	const size_t entry_size = number == MAP_RANGES ? sizeof(struct map_range_block) : 4;
	struct section *opened = &r->sections[number];

	if (s->offset < sizeof(*r->header) || s->offset > size || s->size > size - s->offset ||
		s->count > s->size)
		return false;
	opened->bytes = bytes_over(data + s->offset, s->size);
	opened->count = s->count;
	opened->block_count = (s->count + per_block(number) - 1) / per_block(number);
	return opened->block_count <= s->size / entry_size;
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
	for (int i = 0; i < MAP_SECTION_COUNT && error == 0; i++)
		if (!open_section(r, i, data, size))
			error = -EBADMSG;
	if (error) {
		map_reader_free(r);
		return error;
	}
	r->text_left = 64 * (uint64_t)size + MAP_STRING_SIZE_MAX;
	r->strings = xcalloc(r->sections[MAP_STRINGS].count + 1, sizeof(*r->strings));
	r->functions = xcalloc(r->sections[MAP_FUNCTIONS].count + 1, sizeof(*r->functions));
	*ret = r;
	return 0;
}

void map_reader_free(struct map_reader *r)
{
	if (!r)
		return;
	for (uint64_t i = 0; r->strings && i <= r->sections[MAP_STRINGS].count; i++)
		free(r->strings[i]);
	free(r->strings);
	free(r->functions);
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

/* A cursor at the block that holds record INDEX; *SKIP records come before it there. */
static struct bytes block_at(const struct section *s, uint64_t index, uint64_t *skip)
{
	struct bytes at = s->bytes, block = s->bytes;

	*skip = index % MAP_RECORDS_PER_BLOCK;
	bytes_skip(&at, index / MAP_RECORDS_PER_BLOCK * 4);
	bytes_skip(&block, bytes_u32(&at));
	return block;
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
	static char text[MAP_STRING_SIZE_MAX];
	const struct section *s = &r->sections[MAP_STRINGS];
	struct bytes at;
	uint64_t skip;
	size_t size = 0;

	if (number == 0 || number > s->count)
		return NULL;
	if (r->strings[number])
		return r->strings[number];
	at = block_at(s, number - 1, &skip);
	do {
		if (!read_string(&at, text, &size))
			return NULL;
	} while (skip-- > 0);
	if (size > r->text_left)
		return NULL;
	r->text_left -= size;
	r->strings[number] = xstrndup(text, size);
	return r->strings[number];
}

static const struct function *find_function(struct map_reader *r, uint32_t number)
{
	const struct section *s = &r->sections[MAP_FUNCTIONS];
	struct function *f;
	uint64_t linkage_name, name, start_line, skip;
	struct bytes at;

	if (number == 0 || number > s->count)
		return NULL;
	f = &r->functions[number];
	if (f->is_read)
		return f;
	at = block_at(s, number - 1, &skip);
	do {
		linkage_name = bytes_uleb128(&at);
		name = bytes_uleb128(&at);
		start_line = bytes_uleb128(&at);
	} while (skip-- > 0);
	f->is_read = true;
	if (!bytes_ok(&at) || linkage_name > UINT32_MAX || name > UINT32_MAX)
		return f;
	f->linkage_name = map_reader_string(r, (uint32_t)linkage_name);
	f->name = map_reader_string(r, (uint32_t)name);
	f->start_line = start_line <= INT32_MAX ? (uint32_t)start_line : 0;
	return f;
}

struct location {
	uint32_t function, file, line, column, caller;
};

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
	distance = flags & MAP_NO_CALLER ? 0 : bytes_uleb128(at);
	/* A caller comes before what it calls: so chains end. */
	l->caller = distance > 0 && distance < number ? number - (uint32_t)distance : 0;
}

static bool find_location(const struct map_reader *r, uint32_t number, struct location *l)
{
	const struct section *s = &r->sections[MAP_LOCATIONS];
	struct bytes at;
	uint64_t skip;

	if (number == 0 || number > s->count)
		return false;
	at = block_at(s, number - 1, &skip);
	*l = (struct location){ .function = 0 };
	do {
		read_location(&at, l, number);
	} while (skip-- > 0);
	return bytes_ok(&at);
}

static size_t read_chain(
	struct map_reader *r, uint32_t number, struct map_frame frames[static MAP_DEPTH_MAX])
{
	struct location l;
	size_t count = 0;

	while (count < MAP_DEPTH_MAX && find_location(r, number, &l)) {
		const struct function *f = find_function(r, l.function);

		frames[count++] = (struct map_frame){
			.linkage_name = f ? f->linkage_name : NULL,
			.name = f ? f->name : NULL,
			.start_line = f ? f->start_line : 0,
			.file = map_reader_string(r, l.file),
			.line = l.line <= INT32_MAX ? l.line : 0,
			.column = l.column <= INT32_MAX ? l.column : 0,
			.function = f ? l.function : 0,
			.file_number = l.file <= r->sections[MAP_STRINGS].count ? l.file : 0,
		};
		number = l.caller;
	}
	return count;
}

static struct map_range_block range_block(const struct section *s, uint64_t index)
{
	struct map_range_block block;

	memcpy(&block, s->bytes.at + index * sizeof(block), sizeof(block));
	return block;
}

/* The block that ADDRESS belongs to; false: it lies before all. */
static bool find_block(const struct section *s, uint32_t address, uint64_t *index)
{
	uint64_t low = 0, high = s->block_count;

	while (low < high) {
		const uint64_t middle = low + (high - low) / 2;

		if (range_block(s, middle).address <= address)
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

static void open_block(const struct section *s, uint64_t index, struct range_cursor *c)
{
	const struct map_range_block block = range_block(s, index);
	const uint64_t first = index * MAP_RANGES_PER_BLOCK;

	*c = (struct range_cursor){ .at = s->bytes, .address = block.address };
	c->left = s->count - first < MAP_RANGES_PER_BLOCK ? s->count - first
							  : MAP_RANGES_PER_BLOCK;
	bytes_skip(&c->at, block.offset);
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
	const struct section *s = &r->sections[MAP_RANGES];
	const uint64_t address = vaddr - r->header->base;
	struct range_cursor c;
	uint32_t location = 0;
	uint64_t index;

	if (vaddr < r->header->base || address > UINT32_MAX ||
		!find_block(s, (uint32_t)address, &index))
		return 0;
	open_block(s, index, &c);
	while (next_range(&c) && c.address <= address)
		location = c.location;
	return bytes_ok(&c.at) ? read_chain(r, location, frames) : 0;
}

void map_reader_visit(struct map_reader *r, map_range_visitor *visit, void *context)
{
	static struct map_frame frames[MAP_DEPTH_MAX];
	const struct section *s = &r->sections[MAP_RANGES];
	uint64_t vaddr = 0;
	uint32_t location = 0;
	struct range_cursor c;

	for (uint64_t i = 0; i < s->block_count; i++) {
		open_block(s, i, &c);
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
