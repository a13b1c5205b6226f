#define _GNU_SOURCE
#include "mapstore/map_writer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/hash.h"
#include "base/table.h"
#include "base/vec.h"
#include "mapstore/output.h"

struct string {
	char *text;
	uint32_t size;
	uint32_t number; /* in the file, once they are sorted */
};

struct function {
	uint32_t linkage_name, name, start_line;
};

struct range {
	uint64_t vaddr, end;
	uint32_t location;
};

struct map_writer {
	VEC(struct string) strings;
	VEC(struct function) functions;
	VEC(struct map_location) locations;
	VEC(struct range) ranges;
	struct table by_text, by_function, by_location;
};

struct map_writer *map_writer_new(void)
{
	return xcalloc(1, sizeof(struct map_writer));
}

void map_writer_free(struct map_writer *w)
{
	if (!w)
		return;
	for (size_t i = 0; i < w->strings.count; i++)
		free(w->strings.items[i].text);
	VEC_FREE(&w->strings);
	VEC_FREE(&w->functions);
	VEC_FREE(&w->locations);
	VEC_FREE(&w->ranges);
	table_free(&w->by_text);
	table_free(&w->by_function);
	table_free(&w->by_location);
	free(w);
}

static bool same_text(const void *context, size_t index, const void *key)
{
	const struct map_writer *w = context;

	return strcmp(w->strings.items[index].text, key) == 0;
}

uint32_t map_writer_string(struct map_writer *w, const char *text)
{
	const size_t size = text ? strnlen(text, MAP_STRING_SIZE_MAX) : 0;
	uint64_t hash;
	size_t index;

	if (size == 0 || size == MAP_STRING_SIZE_MAX)
		return 0;
	hash = hash_bytes(text, size);
	if (!table_find(&w->by_text, hash, same_text, w, text, &index)) {
		index = w->strings.count;
		*VEC_PUSH(&w->strings) = (struct string){ xstrdup(text), (uint32_t)size, 0 };
		table_insert(&w->by_text, hash, index);
	}
	return (uint32_t)index + 1;
}

static bool same_function(const void *context, size_t index, const void *key)
{
	const struct map_writer *w = context;

	return memcmp(&w->functions.items[index], key, sizeof(struct function)) == 0;
}

uint32_t map_writer_function(
	struct map_writer *w, uint32_t linkage_name, uint32_t name, uint32_t start_line)
{
	const struct function f = { linkage_name, name, start_line };
	const uint64_t hash = hash_bytes(&f, sizeof(f));
	size_t index;

	if (!table_find(&w->by_function, hash, same_function, w, &f, &index)) {
		index = w->functions.count;
		*VEC_PUSH(&w->functions) = f;
		table_insert(&w->by_function, hash, index);
	}
	return (uint32_t)index + 1;
}

static bool same_location(const void *context, size_t index, const void *key)
{
	const struct map_writer *w = context;

	return memcmp(&w->locations.items[index], key, sizeof(struct map_location)) == 0;
}

uint32_t map_writer_location(struct map_writer *w, const struct map_location *location)
{
	const uint64_t hash = hash_bytes(location, sizeof(*location));
	size_t index;

	if (!table_find(&w->by_location, hash, same_location, w, location, &index)) {
		index = w->locations.count;
		*VEC_PUSH(&w->locations) = *location;
		table_insert(&w->by_location, hash, index);
	}
	return (uint32_t)index + 1;
}

void map_writer_range(struct map_writer *w, uint64_t vaddr, uint64_t end, uint32_t location)
{
	struct range *last = w->ranges.count ? &w->ranges.items[w->ranges.count - 1] : NULL;

	if (end <= vaddr || location == 0)
		return;
	if (last && last->end == vaddr && last->location == location)
		last->end = end;
	else
		*VEC_PUSH(&w->ranges) = (struct range){ vaddr, end, location };
}

/* --- putting it into bytes --- */

/* A section in the making: the index is known in size before the blocks are. */
struct table_writer {
	struct output *out;
	size_t start; /* of the section */
	size_t entry_size; /* of the index */
};

static struct table_writer begin_table(
	struct output *out, size_t count, size_t per_block, size_t entry_size)
{
	struct table_writer t = { out, out->bytes.count, entry_size };
	const size_t index_size = (count + per_block - 1) / per_block * entry_size;

	out->bytes.items = vec_grow(
		out->bytes.items, &out->bytes.capacity, out->bytes.count, index_size, 1);
	out->bytes.count += index_size;
	return t;
}

/* The offset of block number BLOCK, which begins here, becomes the last field of its entry. */
static void begin_block(struct table_writer *t, size_t block)
{
	const uint32_t offset = (uint32_t)(t->out->bytes.count - t->start);

	memcpy(t->out->bytes.items + t->start + (block + 1) * t->entry_size - sizeof(offset),
		&offset, sizeof(offset));
}

static void end_table(struct table_writer *t, struct map_section *section, size_t count)
{
	*section = (struct map_section){ .offset = sizeof(struct map_header) + t->start,
		.size = t->out->bytes.count - t->start,
		.count = count };
}

static int by_text(const void *left, const void *right)
{
	const struct string *const *a = left, *const *b = right;

	return strcmp((*a)->text, (*b)->text);
}

static size_t common_prefix(const char *a, const char *b)
{
	size_t size = 0;

	while (a[size] && a[size] == b[size])
		size++;
	return size;
}

/* Sorted, so that each is like the one before; gives every string its number. */
static void put_strings(struct map_writer *w, struct output *out, struct map_section *section)
{
	const size_t count = w->strings.count;
	struct string **order = xcalloc(count + 1, sizeof(struct string *));
	struct table_writer t = begin_table(out, count, MAP_RECORDS_PER_BLOCK, 4);

	for (size_t i = 0; i < count; i++)
		order[i] = &w->strings.items[i];
	qsort(order, count, sizeof(*order), by_text);
	for (size_t i = 0; i < count; i++) {
		size_t shared = 0;

		order[i]->number = (uint32_t)i + 1;
		if (i % MAP_RECORDS_PER_BLOCK == 0)
			begin_block(&t, i / MAP_RECORDS_PER_BLOCK);
		else
			shared = common_prefix(order[i - 1]->text, order[i]->text);
		output_uleb128(out, shared);
		output_uleb128(out, order[i]->size - shared);
		output_bytes(out, order[i]->text + shared, order[i]->size - shared);
	}
	end_table(&t, section, count);
	free(order);
}

static uint32_t number_of(const struct map_writer *w, uint32_t string)
{
	return string ? w->strings.items[string - 1].number : 0;
}

static void put_functions(
	const struct map_writer *w, struct output *out, struct map_section *section)
{
	struct table_writer t =
		begin_table(out, w->functions.count, MAP_RECORDS_PER_BLOCK, 4);

	for (size_t i = 0; i < w->functions.count; i++) {
		const struct function *f = &w->functions.items[i];

		if (i % MAP_RECORDS_PER_BLOCK == 0)
			begin_block(&t, i / MAP_RECORDS_PER_BLOCK);
		output_uleb128(out, number_of(w, f->linkage_name));
		output_uleb128(out, number_of(w, f->name));
		output_uleb128(out, f->start_line);
	}
	end_table(&t, section, w->functions.count);
}

static void put_location(struct output *out, const struct map_location *l,
	const struct map_location *before, uint32_t number)
{
	const uint8_t flags = (l->function == before->function ? MAP_SAME_FUNCTION : 0) |
		(l->file == before->file ? MAP_SAME_FILE : 0) |
		(l->line == before->line ? MAP_SAME_LINE : 0) |
		(l->column == before->column ? MAP_SAME_COLUMN : 0) |
		(l->caller == 0 ? MAP_NO_CALLER : 0);

	output_bytes(out, &flags, 1);
	if (!(flags & MAP_SAME_FUNCTION))
		output_sleb128(out, (int64_t)l->function - before->function);
	if (!(flags & MAP_SAME_FILE))
		output_sleb128(out, (int64_t)l->file - before->file);
	if (!(flags & MAP_SAME_LINE))
		output_sleb128(out, (int64_t)l->line - before->line);
	if (!(flags & MAP_SAME_COLUMN))
		output_uleb128(out, l->column);
	if (l->caller)
		output_uleb128(out, number - l->caller);
}

static void put_locations(
	const struct map_writer *w, struct output *out, struct map_section *section)
{
	struct table_writer t =
		begin_table(out, w->locations.count, MAP_RECORDS_PER_BLOCK, 4);
	struct map_location before = { .function = 0 };

	for (size_t i = 0; i < w->locations.count; i++) {
		struct map_location l = w->locations.items[i];

		l.file = number_of(w, l.file);
		if (i % MAP_RECORDS_PER_BLOCK == 0) {
			begin_block(&t, i / MAP_RECORDS_PER_BLOCK);
			before = (struct map_location){ .function = 0 };
		}
		put_location(out, &l, &before, (uint32_t)i + 1);
		before = l;
	}
	end_table(&t, section, w->locations.count);
}

static int by_vaddr(const void *left, const void *right)
{
	const struct range *a = left, *b = right;

	return a->vaddr < b->vaddr ? -1 : a->vaddr > b->vaddr;
}

/* A record for each change: what was known ends where nothing follows at once. */
struct change {
	uint64_t vaddr;
	uint32_t location;
};

struct changes {
	VEC(struct change) list;
};

static void find_changes(struct map_writer *w, struct changes *changes)
{
	uint64_t end = 0;

	qsort(w->ranges.items, w->ranges.count, sizeof(*w->ranges.items), by_vaddr);
	for (size_t i = 0; i < w->ranges.count; i++) {
		const struct range *r = &w->ranges.items[i];
		const size_t count = changes->list.count;

		if (count > 0 && end < r->vaddr)
			*VEC_PUSH(&changes->list) = (struct change){ end, 0 };
		if (count == 0 || end < r->vaddr ||
			changes->list.items[count - 1].location != r->location)
			*VEC_PUSH(&changes->list) = (struct change){ r->vaddr, r->location };
		end = r->end;
	}
	*VEC_PUSH(&changes->list) = (struct change){ end, 0 };
}

static void put_ranges(const struct changes *changes, struct output *out, uint64_t base,
	struct map_section *section)
{
	const size_t count = changes->list.count;
	struct table_writer t = begin_table(
		out, count, MAP_RANGES_PER_BLOCK, sizeof(struct map_range_block));
	struct change before = { .vaddr = 0 };

	for (size_t i = 0; i < count; i++) {
		const struct change c = changes->list.items[i];

		if (i % MAP_RANGES_PER_BLOCK == 0) {
			const uint32_t address = (uint32_t)(c.vaddr - base);

			begin_block(&t, i / MAP_RANGES_PER_BLOCK);
			memcpy(out->bytes.items + t.start + i / MAP_RANGES_PER_BLOCK * t.entry_size,
				&address, sizeof(address));
			before = (struct change){ .vaddr = c.vaddr };
		}
		output_uleb128(out, c.vaddr - before.vaddr);
		output_sleb128(out, (int64_t)c.location - before.location);
		before = c;
	}
	end_table(&t, section, count);
}

static void finish_header(
	struct map_header *h, const struct map_source *source, const struct output *body)
{
	memcpy(h->magic, MAP_MAGIC, sizeof(h->magic));
	h->version = MAP_VERSION;
	h->header_size = sizeof(*h);
	h->file_size = sizeof(*h) + body->bytes.count;
	h->body_crc = (uint32_t)crc32_z(0, body->bytes.items, body->bytes.count);
	h->source_size = source->size_bytes;
	h->machine = source->machine;
	h->segment_count = source->segment_count;
	memcpy(h->segments, source->segments, sizeof(h->segments));
	h->has_lines = source->has_lines;
	h->build_id_size = source->build_id.size;
	memcpy(h->build_id, source->build_id.bytes, source->build_id.size);
	h->header_crc = (uint32_t)crc32_z(0, (const uint8_t *)h, sizeof(*h));
}

int map_writer_finish(
	struct map_writer *w, const struct map_source *source, uint8_t **data, size_t *size)
{
	const uint32_t name = map_writer_string(w, source->name);
	struct changes changes = { { NULL, 0, 0 } };
	struct output body = { { NULL, 0, 0 } };
	struct map_header h;
	int r = 0;

	if (w->ranges.count == 0)
		return -ENODATA;
	memset(&h, 0, sizeof(h));
	find_changes(w, &changes);
	h.base = changes.list.items[0].vaddr;
	if (changes.list.items[changes.list.count - 1].vaddr - h.base > UINT32_MAX ||
		w->locations.count > INT32_MAX || w->strings.count > INT32_MAX)
		r = -EFBIG;
	if (r == 0) {
		put_strings(w, &body, &h.sections[MAP_STRINGS]);
		put_functions(w, &body, &h.sections[MAP_FUNCTIONS]);
		put_locations(w, &body, &h.sections[MAP_LOCATIONS]);
		put_ranges(&changes, &body, h.base, &h.sections[MAP_RANGES]);
		h.source_name = number_of(w, name);
		if (body.bytes.count > UINT32_MAX)
			r = -EFBIG;
	}
	if (r == 0) {
		finish_header(&h, source, &body);
		*size = h.file_size;
		*data = xmalloc(*size);
		memcpy(*data, &h, sizeof(h));
		memcpy(*data + sizeof(h), body.bytes.items, body.bytes.count);
	}
	VEC_FREE(&body.bytes);
	VEC_FREE(&changes.list);
	return r;
}
