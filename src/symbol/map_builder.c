#define _GNU_SOURCE
#include "symbol/map_builder.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "symbol/map_dwarf.h"
#include "symbol/module.h"

struct builder {
	struct symbolizer *symbolizer;
	struct symbol_module *module;
	struct map_writer *writer;
	struct map_gaps gaps; /* of DWARF; then all code that it does not name, sorted */
	VEC(uint64_t) boundaries;
};

static void add_boundary(void *context, uint64_t vaddr)
{
	struct builder *b = context;

	*VEC_PUSH(&b->boundaries) = vaddr;
}

static int by_value(const void *left, const void *right)
{
	const uint64_t *a = left, *b = right;

	return *a < *b ? -1 : *a > *b;
}

static int by_start(const void *left, const void *right)
{
	const struct map_gap *a = left, *b = right;

	return a->start < b->start ? -1 : a->start > b->start;
}

/* What lies between the units, in executable segments, is a gap too. */
static void add_gaps_between_units(struct builder *b, const struct dwarf_state *d)
{
	const struct binary_segment *segments;
	const size_t count = binary_segments(module_file(b->module), &segments);

	for (size_t i = 0; i < count; i++) {
		const uint64_t end = segments[i].vaddr + segments[i].memory_size;
		uint64_t at = segments[i].vaddr;

		if (!segments[i].executable)
			continue;
		for (size_t r = 0; d && r < d->index.ranges.count && at < end; r++) {
			const struct unit_range *range = &d->index.ranges.items[r];

			if (range->start > at)
				*VEC_PUSH(&b->gaps.list) = (struct map_gap){
					.start = at,
					.end = range->start < end ? range->start : end };
			if (range->end > at)
				at = range->end;
		}
		if (at < end)
			*VEC_PUSH(&b->gaps.list) = (struct map_gap){ .start = at, .end = end };
	}
	if (b->gaps.list.count > 0)
		qsort(b->gaps.list.items, b->gaps.list.count, sizeof(*b->gaps.list.items),
			by_start);
}

static uint32_t add_frames(struct map_writer *w, const struct source_frames *found)
{
	uint32_t location = 0;

	for (size_t i = found->frames.count; i-- > 0;) {
		const struct source_frame *f = &found->frames.items[i];
		const bool has_name = f->linkage_name || f->name;
		const struct map_location l = {
			.function = has_name
				? map_writer_function(w, map_writer_string(w, f->linkage_name),
					  map_writer_string(w, f->name), f->start_line)
				: 0,
			.file = map_writer_string(w, f->file),
			.line = f->line,
			.column = f->column,
			.caller = location,
		};

		location = map_writer_location(w, &l);
	}
	return location;
}

static void add_range(
	struct builder *b, const struct map_gap *gap, uint64_t start, uint64_t end)
{
	const struct source_frame *by_dwarf = gap->is_known ? &gap->line : NULL;
	const struct source_frames *found;

	if (start < end && module_ask(b->symbolizer, b->module, start, by_dwarf, &found))
		map_writer_range(b->writer, start, end, add_frames(b->writer, found));
}

/* Ask everybody, once for each stretch in which the answer cannot change. */
static void fill_gaps(struct builder *b)
{
	size_t next = 0;

	module_visit_boundaries(b->module, add_boundary, b);
	if (b->boundaries.count > 0)
		qsort(b->boundaries.items, b->boundaries.count, sizeof(uint64_t), by_value);
	for (size_t i = 0; i < b->gaps.list.count; i++) {
		const struct map_gap *gap = &b->gaps.list.items[i];
		uint64_t at = gap->start;

		while (next < b->boundaries.count && b->boundaries.items[next] <= at)
			next++;
		for (; next < b->boundaries.count && b->boundaries.items[next] < gap->end; next++) {
			add_range(b, gap, at, b->boundaries.items[next]);
			at = b->boundaries.items[next];
		}
		add_range(b, gap, at, gap->end);
	}
}

static void mark_folded(struct builder *b)
{
	for (size_t i = 0; i + 1 < b->boundaries.count; i++)
		if (module_is_folded(b->module, b->boundaries.items[i]))
			map_writer_fold(b->writer, b->boundaries.items[i],
				b->boundaries.items[i + 1]);
}

static void describe(const struct builder *b, const char *path, struct map_source *source)
{
	const struct binary *file = module_file(b->module);
	const struct bytes image = binary_image(file);
	const struct binary_segment *segments;
	const size_t count = binary_segments(file, &segments);

	*source = (struct map_source){ .build_id = *binary_build_id(file),
		.name = path_base_name(path),
		.size_bytes = bytes_left(&image),
		.machine = EM_X86_64,
		.has_lines = symbol_verdict_has_lines(symbol_module_verdict(b->module)) };
	for (size_t i = 0; i < count && i < MAP_SEGMENTS_MAX; i++)
		source->segments[source->segment_count++] = (struct map_segment){
			segments[i].vaddr, segments[i].memory_size, segments[i].offset,
			segments[i].file_size, segments[i].executable };
}

static int build(struct builder *b, const char *path, struct map_build *ret)
{
	struct dwarf_state *d = module_state(b->module, &source_dwarf);
	struct map_source source;
	int r;

	if (d)
		map_dwarf(d, b->writer, &b->gaps);
	add_gaps_between_units(b, d);
	fill_gaps(b);
	mark_folded(b);
	describe(b, path, &source);
	r = map_writer_finish(b->writer, &source, &ret->data, &ret->size);
	ret->build_id = source.build_id;
	ret->has_lines = source.has_lines;
	return r;
}

int map_build(const char *path, const char *const *debug_folders, struct map_build *ret)
{
	const struct symbolizer_options options = { .debug_folders = debug_folders };
	struct builder b = { .symbolizer = symbolizer_new(&options),
		.writer = map_writer_new() };
	struct binary *file = NULL;
	int r = binary_open(path, &file);

	if (r == 0 && binary_build_id(file)->size < 2)
		r = -ENOMSG;
	binary_close(file);
	if (r == 0) {
		b.module = symbolizer_module(b.symbolizer, path, NULL);
		r = build(&b, path, ret);
	}
	map_writer_free(b.writer);
	VEC_FREE(&b.gaps.list);
	VEC_FREE(&b.boundaries);
	symbolizer_free(b.symbolizer);
	return r;
}
