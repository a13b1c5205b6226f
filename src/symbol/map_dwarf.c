#define _GNU_SOURCE
#include "symbol/map_dwarf.h"

#include <stdlib.h>

#include "symbol/dwarf_name.h"

#define UNKNOWN UINT32_MAX

struct numbers {
	VEC(uint32_t) list; /* the writer's, by our own index; UNKNOWN: not asked yet */
};

struct conversion {
	struct dwarf_state *d;
	struct map_writer *w;
	struct map_gaps *gaps;
	struct dwarf_loaded *loaded;
	struct numbers functions; /* by index of the unit's functions */
	struct numbers callers; /* locations of their calls, likewise */
	struct numbers files, call_files; /* strings by number in the line table */
};

/* Code that is this unit's, and no other's that starts later. */
struct span {
	uint32_t unit;
	uint64_t start, end;
};

struct spans {
	VEC(struct span) list;
};

static void fill(struct numbers *n, size_t count)
{
	n->list.count = 0;
	while (n->list.count < count)
		*VEC_PUSH(&n->list) = UNKNOWN;
}

static uint32_t file_number(struct conversion *c, struct numbers *known,
	struct dwarf_lines *lines, uint32_t number)
{
	if (number >= known->list.count)
		return 0;
	if (known->list.items[number] == UNKNOWN)
		known->list.items[number] = map_writer_string(
			c->w, dwarf_lines_path(lines, c->d->namer.texts, number));
	return known->list.items[number];
}

/* 0: it has no name. */
static uint32_t function_number(struct conversion *c, uint32_t index)
{
	uint32_t *known = &c->functions.list.items[index];
	struct dwarf_file *f = dwarf_function_unit(c->loaded->unit)->file;
	const struct dwarf_name *name;

	if (*known != UNKNOWN)
		return *known;
	name = dwarf_name_of(f, &c->d->cache, &c->d->namer,
		c->loaded->tree.functions.items[index].origin);
	*known = 0;
	if (name->linkage_name || name->name)
		*known = map_writer_function(c->w, map_writer_string(c->w, name->linkage_name),
			map_writer_string(c->w, name->name), name->start_line);
	return *known;
}

/* The location of the call that function INDEX is inlined at; 0: it is not.  As deep as calls are
 * inlined, which the walk has limited. */
static uint32_t caller_location(struct conversion *c, uint32_t index)
{
	const struct dwarf_function *f = &c->loaded->tree.functions.items[index];
	struct map_location l;

	if (f->caller == 0)
		return 0;
	if (c->callers.list.items[index] != UNKNOWN)
		return c->callers.list.items[index];
	l = (struct map_location){
		.function = function_number(c, f->caller - 1),
		.file = file_number(c, &c->call_files, dwarf_call_files(c->loaded), f->call_file),
		.line = f->call_line,
		.column = f->call_column,
		.caller = caller_location(c, f->caller - 1),
	};
	c->callers.list.items[index] = map_writer_location(c->w, &l);
	return c->callers.list.items[index];
}

/* The function that INDEX was inlined into at last has a name. */
static bool is_named(struct conversion *c, uint32_t index)
{
	const struct dwarf_function *functions = c->loaded->tree.functions.items;

	while (functions[index].caller)
		index = functions[index].caller - 1;
	return function_number(c, index) != 0;
}

static bool is_of_several_units(const struct conversion *c, uint64_t vaddr)
{
	struct unit_search search = { .vaddr = vaddr };

	return unit_index_next(&c->d->index, &search) && unit_index_next(&c->d->index, &search);
}

/* The place in the outermost function: of the row, or of the first call. */
static struct source_frame outermost_place(
	struct conversion *c, uint32_t function, const struct dwarf_row *row)
{
	const struct dwarf_function *functions = c->loaded->tree.functions.items;
	const struct dwarf_function *f = NULL;
	struct source_frame place = { .name = NULL };

	if (function != INTERVAL_NOBODY)
		for (f = &functions[function]; f->caller && functions[f->caller - 1].caller;)
			f = &functions[f->caller - 1];
	if (f && f->caller) {
		place.file = dwarf_lines_path(
			dwarf_call_files(c->loaded), c->d->namer.texts, f->call_file);
		place.line = f->call_line;
		place.column = f->call_column;
	} else if (row && row->file != UINT32_MAX) {
		place.file = dwarf_lines_path(&c->loaded->lines, c->d->namer.texts, row->file);
		place.line = row->line <= INT32_MAX ? row->line : 0;
		place.column = place.line && row->column <= INT32_MAX ? row->column : 0;
	}
	return place;
}

/* A gap between functions is all of one unit, or more must be asked: by source_dwarf.c. */
static void add_gap(struct conversion *c, uint64_t start, uint64_t end, uint32_t function,
	const struct dwarf_row *row)
{
	struct map_gap *gap = VEC_PUSH(&c->gaps->list);

	gap->start = start;
	gap->end = end;
	gap->is_known = !is_of_several_units(c, start) && !is_of_several_units(c, end - 1);
	if (gap->is_known)
		gap->line = outermost_place(c, function, row);
}

static void add_piece(struct conversion *c, uint64_t start, uint64_t end, uint32_t function,
	const struct dwarf_row *row)
{
	struct map_location l = { .function = 0 };

	if (start >= end)
		return;
	if (function == INTERVAL_NOBODY || !is_named(c, function)) {
		add_gap(c, start, end, function, row);
		return;
	}
	l.function = function_number(c, function);
	l.caller = caller_location(c, function);
	if (row && row->file != UINT32_MAX) {
		l.file = file_number(c, &c->files, &c->loaded->lines, row->file);
		l.line = row->line <= INT32_MAX ? row->line : 0;
		l.column = l.line && row->column <= INT32_MAX ? row->column : 0;
	}
	map_writer_range(c->w, start, end, map_writer_location(c->w, &l));
}

/* How many of the sorted elements start at or before VADDR. */
#define COUNT_BEFORE(list, field, vaddr, result)                                                \
	do {                                                                                    \
		size_t low = 0, high = (list).count;                                            \
		while (low < high) {                                                            \
			const size_t middle = low + (high - low) / 2;                           \
			if ((list).items[middle].field <= (vaddr))                              \
				low = middle + 1;                                               \
			else                                                                    \
				high = middle;                                                  \
		}                                                                               \
		(result) = low;                                                                 \
	} while (0)

/* Two sorted lists, of functions and of lines, side by side. */
static void convert_span(struct conversion *c, const struct span *span)
{
	const struct interval_map *map = &c->loaded->tree.map;
	const struct dwarf_lines *lines = &c->loaded->lines;
	size_t function, row;
	uint64_t at = span->start;

	COUNT_BEFORE(map->segments, start, at, function);
	COUNT_BEFORE(lines->rows, vaddr, at, row);
	while (at < span->end) {
		uint64_t next = span->end;

		if (function < map->segments.count && map->segments.items[function].start < next)
			next = map->segments.items[function].start;
		if (row < lines->rows.count && lines->rows.items[row].vaddr < next)
			next = lines->rows.items[row].vaddr;
		add_piece(c, at, next,
			function ? map->segments.items[function - 1].owner : INTERVAL_NOBODY,
			row ? &lines->rows.items[row - 1] : NULL);
		at = next;
		while (function < map->segments.count &&
			map->segments.items[function].start <= at)
			function++;
		while (row < lines->rows.count && lines->rows.items[row].vaddr <= at)
			row++;
	}
}
#undef COUNT_BEFORE

static void load_unit(struct conversion *c, uint32_t number)
{
	struct dwarf_unit *u = &c->d->file->units.items[number];

	dwarf_cache_trim(&c->d->cache);
	dwarf_split_open(c->d->split, u);
	c->loaded = dwarf_cache_get(&c->d->cache, u);
	fill(&c->functions, c->loaded->tree.functions.count);
	fill(&c->callers, c->loaded->tree.functions.count);
	fill(&c->files, c->loaded->lines.files.count);
	fill(&c->call_files, dwarf_call_files(c->loaded)->files.count);
}

static int by_unit(const void *left, const void *right)
{
	const struct span *a = left, *b = right;

	if (a->unit != b->unit)
		return a->unit < b->unit ? -1 : 1;
	return a->start < b->start ? -1 : a->start > b->start;
}

/* Whose each piece of code is: as unit_index_next() has it, of the units around it the one whose
 * range starts last. */
static void find_spans(const struct dwarf_state *d, struct spans *spans)
{
	const struct unit_range *ranges = d->index.ranges.items;
	const size_t count = d->index.ranges.count;
	struct interval *intervals = xcalloc(count, sizeof(*intervals));
	struct interval_map map = { { NULL, 0, 0 } };

	for (size_t i = 0; i < count; i++)
		intervals[i] = (struct interval){ ranges[i].start, ranges[i].end, (uint32_t)i,
			(uint32_t)(ranges[i].unit - d->file->units.items) };
	interval_map_build(&map, intervals, count);
	for (size_t i = 0; i + 1 < map.segments.count; i++)
		if (map.segments.items[i].owner != INTERVAL_NOBODY)
			*VEC_PUSH(&spans->list) = (struct span){ map.segments.items[i].owner,
				map.segments.items[i].start, map.segments.items[i + 1].start };
	if (spans->list.count > 0)
		qsort(spans->list.items, spans->list.count, sizeof(*spans->list.items), by_unit);
	interval_map_free(&map);
	free(intervals);
}

void map_dwarf(struct dwarf_state *d, struct map_writer *w, struct map_gaps *gaps)
{
	struct conversion c = { .d = d, .w = w, .gaps = gaps };
	struct spans spans = { { NULL, 0, 0 } };

	find_spans(d, &spans);
	for (size_t i = 0; i < spans.list.count; i++) {
		if (i == 0 || spans.list.items[i].unit != spans.list.items[i - 1].unit)
			load_unit(&c, spans.list.items[i].unit);
		convert_span(&c, &spans.list.items[i]);
	}
	VEC_FREE(&spans.list);
	VEC_FREE(&c.functions.list);
	VEC_FREE(&c.callers.list);
	VEC_FREE(&c.files.list);
	VEC_FREE(&c.call_files.list);
}
