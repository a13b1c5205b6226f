#define _GNU_SOURCE
#include "mapstore/map_writer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/compiler.h"
#include "base/hash.h"
#include "base/table.h"
#include "base/vec.h"
#include "mapstore/output.h"
#include "mapstore/pages.h"

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

/* A record for each change: what was known ends where nothing follows at once. */
struct change {
	uint64_t vaddr;
	uint32_t location;
};

struct changes {
	VEC(struct change) list;
};

struct map_writer {
	VEC(struct string) strings;
	VEC(struct function) functions;
	VEC(struct map_location) locations;
	VEC(struct range) ranges, folded;
	struct changes changes;
	struct table by_text, by_function;
	uint32_t recent[4096]; /* locations, by hash; 0: none */
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
	VEC_FREE(&w->folded);
	VEC_FREE(&w->changes.list);
	table_free(&w->by_text);
	table_free(&w->by_function);
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

/* There are millions, and equal ones are near each other. */
uint32_t map_writer_location(struct map_writer *w, const struct map_location *location)
{
	const uint64_t hash = hash_bytes(location, sizeof(*location));
	uint32_t *recent = &w->recent[hash % ARRAY_SIZE(w->recent)];

	if (*recent == 0 ||
		memcmp(&w->locations.items[*recent - 1], location, sizeof(*location)) != 0) {
		*VEC_PUSH(&w->locations) = *location;
		*recent = (uint32_t)w->locations.count;
	}
	return *recent;
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

void map_writer_fold(struct map_writer *w, uint64_t vaddr, uint64_t end)
{
	if (vaddr < end)
		*VEC_PUSH(&w->folded) = (struct range){ vaddr, end, 0 };
}

/* --- putting it into bytes --- */

/* A section in the making: the index is known in size before the blocks are. */
struct table_writer {
	struct output *out;
	size_t entry_size; /* of the index */
};

static struct table_writer begin_table(
	struct output *out, size_t count, size_t per_block, size_t entry_size)
{
	struct table_writer t = { out, entry_size };

	for (size_t i = 0; i < (count + per_block - 1) / per_block * entry_size / 4; i++)
		output_u32(out, 0);
	return t;
}

/* The offset of block number BLOCK, which begins here, becomes the last field of its entry. */
static void begin_block(struct table_writer *t, size_t block)
{
	output_set_u32(t->out, (block + 1) * t->entry_size - 4, (uint32_t)t->out->bytes.count);
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
static size_t put_strings(struct map_writer *w, struct output *out)
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
	free(order);
	return count;
}

static uint32_t number_of(const struct map_writer *w, uint32_t string)
{
	return string ? w->strings.items[string - 1].number : 0;
}

static size_t put_functions(struct map_writer *w, struct output *out)
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
	return w->functions.count;
}

static void put_location(struct output *out, const struct map_location *l,
	const struct map_location *before, uint32_t number)
{
	const uint8_t flags = (l->function == before->function ? MAP_SAME_FUNCTION : 0) |
		(l->file == before->file ? MAP_SAME_FILE : 0) |
		(l->line == before->line ? MAP_SAME_LINE : 0) |
		(l->column == before->column ? MAP_SAME_COLUMN : 0) |
		(l->caller == 0 ? MAP_NO_CALLER : 0) | (l->is_folded ? MAP_FOLDED : 0);

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

static size_t put_locations(struct map_writer *w, struct output *out)
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
	return w->locations.count;
}

static void merge(struct range *to, const struct range *a, const struct range *a_end,
	const struct range *b, const struct range *b_end)
{
	while (a < a_end && b < b_end)
		*to++ = b->vaddr < a->vaddr ? *b++ : *a++;
	memcpy(to, a, (size_t)(a_end - a) * sizeof(*a));
	memcpy(to + (a_end - a), b, (size_t)(b_end - b) * sizeof(*b));
}

/* Where the range at START and those that follow it in order end. */
static size_t run_end(const struct range *ranges, size_t start, size_t count)
{
	size_t end = start < count ? start + 1 : count;

	while (end < count && ranges[end].vaddr >= ranges[end - 1].vaddr)
		end++;
	return end;
}

/* Units come in any order, but in each they are in order: runs are merged until one is left. */
static void sort_ranges(struct map_writer *w)
{
	const size_t count = w->ranges.count;
	struct range *from = w->ranges.items, *to = xreallocarray(NULL, count + 1, sizeof(*to));
	size_t run_count;

	do {
		struct range *swap = from;

		run_count = 0;
		for (size_t start = 0; start < count; run_count++) {
			const size_t middle = run_end(from, start, count);
			const size_t end = run_end(from, middle, count);

			merge(to + start, from + start, from + middle, from + middle, from + end);
			start = end;
		}
		from = to;
		to = swap;
	} while (run_count > 1);
	w->ranges.items = from;
	w->ranges.capacity = count + 1;
	free(to);
}

static void find_changes(struct map_writer *w)
{
	uint64_t end = 0;

	sort_ranges(w);
	for (size_t i = 0; i < w->ranges.count; i++) {
		const struct range *r = &w->ranges.items[i];
		const size_t count = w->changes.list.count;

		if (count > 0 && end < r->vaddr)
			*VEC_PUSH(&w->changes.list) = (struct change){ end, 0 };
		if (count == 0 || end < r->vaddr ||
			w->changes.list.items[count - 1].location != r->location)
			*VEC_PUSH(&w->changes.list) = (struct change){ r->vaddr, r->location };
		end = r->end;
	}
	*VEC_PUSH(&w->changes.list) = (struct change){ end, 0 };
}

static uint32_t folded_location(struct map_writer *w, uint32_t location)
{
	struct map_location l;

	if (location == 0)
		return 0;
	l = w->locations.items[location - 1];
	l.is_folded = 1;
	return map_writer_location(w, &l);
}

/* From VADDR on it is LOCATION. */
static void change_to(struct map_writer *w, uint64_t vaddr, uint32_t location)
{
	if (w->changes.list.count > 0 &&
		w->changes.list.items[w->changes.list.count - 1].vaddr == vaddr)
		w->changes.list.count--;
	*VEC_PUSH(&w->changes.list) = (struct change){ vaddr, location };
}

static int by_vaddr(const void *left, const void *right)
{
	const struct range *a = left, *b = right;

	return a->vaddr < b->vaddr ? -1 : a->vaddr > b->vaddr;
}

/* The changes again, with one at each end of what is folded. */
static void mark_folded(struct map_writer *w)
{
	struct changes plain = w->changes;
	size_t first = 0;

	if (w->folded.count == 0)
		return;
	qsort(w->folded.items, w->folded.count, sizeof(*w->folded.items), by_vaddr);
	w->changes = (struct changes){ .list = { .count = 0 } };
	for (size_t i = 0; i < plain.list.count; i++) {
		const struct change c = plain.list.items[i];
		const uint64_t end =
			i + 1 < plain.list.count ? plain.list.items[i + 1].vaddr : c.vaddr;

		change_to(w, c.vaddr, c.location);
		while (first < w->folded.count && w->folded.items[first].end <= c.vaddr)
			first++;
		for (size_t f = first; f < w->folded.count && w->folded.items[f].vaddr < end; f++) {
			const struct range *r = &w->folded.items[f];

			change_to(w, r->vaddr > c.vaddr ? r->vaddr : c.vaddr,
				folded_location(w, c.location));
			if (r->end < end)
				change_to(w, r->end, c.location);
		}
	}
	VEC_FREE(&plain.list);
}

static size_t put_ranges(struct map_writer *w, struct output *out)
{
	const size_t count = w->changes.list.count;
	const uint64_t base = w->changes.list.items[0].vaddr;
	struct table_writer t = begin_table(
		out, count, MAP_RANGES_PER_BLOCK, sizeof(struct map_range_block));
	struct change before = { .vaddr = 0 };

	for (size_t i = 0; i < count; i++) {
		const struct change c = w->changes.list.items[i];

		if (i % MAP_RANGES_PER_BLOCK == 0) {
			begin_block(&t, i / MAP_RANGES_PER_BLOCK);
			output_set_u32(out, i / MAP_RANGES_PER_BLOCK * t.entry_size,
				(uint32_t)(c.vaddr - base));
			before = (struct change){ .vaddr = c.vaddr };
		}
		output_uleb128(out, c.vaddr - before.vaddr);
		output_sleb128(out, (int64_t)c.location - before.location);
		before = c;
	}
	return count;
}

/* In the order of their numbers in the others: strings get theirs first. */
static const struct {
	enum map_section_number number;
	size_t (*put)(struct map_writer *w, struct output *out); /* how many records */
} sections[] = {
	{ MAP_STRINGS, put_strings },
	{ MAP_FUNCTIONS, put_functions },
	{ MAP_LOCATIONS, put_locations },
	{ MAP_RANGES, put_ranges },
};

static int put_sections(struct map_writer *w, struct map_header *h, struct output *body)
{
	struct output section = { .bytes = { NULL, 0, 0 } };
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(sections) && r == 0; i++) {
		struct map_section *s = &h->sections[sections[i].number];

		section.bytes.count = 0;
		s->count = sections[i].put(w, &section);
		s->offset = sizeof(*h) + body->bytes.count;
		s->size = section.bytes.count;
		if (s->size > UINT32_MAX)
			r = -EOVERFLOW;
		else
			pages_write(body, &section);
		s->packed_size = sizeof(*h) + body->bytes.count - s->offset;
	}
	output_free(&section);
	return r;
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
	struct output body = { .bytes = { NULL, 0, 0 } };
	struct map_header h;
	int r = 0;

	if (w->ranges.count == 0)
		return -ENODATA;
	memset(&h, 0, sizeof(h));
	find_changes(w);
	mark_folded(w);
	h.base = w->changes.list.items[0].vaddr;
	if (w->changes.list.items[w->changes.list.count - 1].vaddr - h.base > UINT32_MAX ||
		w->locations.count > INT32_MAX || w->strings.count > INT32_MAX)
		r = -EOVERFLOW;
	if (r == 0)
		r = put_sections(w, &h, &body);
	h.source_name = number_of(w, name);
	if (r == 0) {
		finish_header(&h, source, &body);
		*size = h.file_size;
		*data = xmalloc(*size);
		memcpy(*data, &h, sizeof(h));
		memcpy(*data + sizeof(h), body.bytes.items, body.bytes.count);
	}
	output_free(&body);
	return r;
}
