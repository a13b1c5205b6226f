/* DWARF through libdw.  Which unit an address belongs to is known from an index of our own:
 * libdw's asks .debug_aranges, which Clang and rustc do not write, and partial ones mislead. */
#define _GNU_SOURCE
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwelf.h>
#include <stdlib.h>
#include <string.h>

#include "symbol/debug_file.h"
#include "reference/reference_unit.h"
#include "reference/reference_dwarf.h"

/* Units overlap only in odd or hostile files. */
#define UNITS_PER_ADDRESS_MAX 8

struct unit_range {
	uint64_t start; /* vaddr */
	uint64_t end; /* exclusive */
	uint64_t highest_end; /* of this and all ranges before it */
	uint32_t unit;
};

struct dwarf_state {
	Dwarf *dwarf;
	Dwarf *alt; /* what dwz has moved out of several files; NULL: nothing */
	struct binary *alt_file;
	struct debug_names names;
	VEC(struct debug_unit) units;
	VEC(struct unit_range) ranges; /* sorted by start */
};

static void add_unit_range(void *context, uint64_t start, uint64_t end)
{
	struct dwarf_state *d = context;

	*VEC_PUSH(&d->ranges) = (struct unit_range){
		.start = start, .end = end, .unit = (uint32_t)d->units.count };
}

static void find_units(struct dwarf_state *d)
{
	Dwarf_CU *cu = NULL;
	Dwarf_Die root;

	while (dwarf_get_units(d->dwarf, cu, &cu, NULL, NULL, &root, NULL) == 0) {
		const size_t before = d->ranges.count;

		if (dwarf_tag(&root) != DW_TAG_compile_unit &&
			dwarf_tag(&root) != DW_TAG_skeleton_unit)
			continue;
		debug_visit_ranges(&root, add_unit_range, d);
		if (d->ranges.count > before)
			VEC_PUSH(&d->units)->root = root;
	}
}

static int by_range_start(const void *left, const void *right)
{
	const struct unit_range *a = left, *b = right;

	if (a->start != b->start)
		return a->start < b->start ? -1 : 1;
	return a->unit < b->unit ? -1 : a->unit > b->unit;
}

static void sort_ranges(struct dwarf_state *d)
{
	uint64_t highest = 0;

	qsort(d->ranges.items, d->ranges.count, sizeof(*d->ranges.items), by_range_start);
	for (size_t i = 0; i < d->ranges.count; i++) {
		if (d->ranges.items[i].end > highest)
			highest = d->ranges.items[i].end;
		d->ranges.items[i].highest_end = highest;
	}
}

static void dwarf_state_close(void *state)
{
	struct dwarf_state *d = state;

	for (size_t i = 0; i < d->units.count; i++)
		debug_unit_free(&d->units.items[i]);
	VEC_FREE(&d->units);
	VEC_FREE(&d->ranges);
	die_scopes_free(d->names.scopes);
	dwarf_end(d->dwarf);
	dwarf_end(d->alt);
	binary_close(d->alt_file);
	free(d);
}

/* libdw can find the alt file only from the path of an open file, and not in our folders. */
static void open_alt_file(
	struct dwarf_state *d, const struct source_input *input, const struct binary *b)
{
	const char *path;
	const void *id_bytes;
	ssize_t id_size = dwelf_dwarf_gnu_debugaltlink(d->dwarf, &path, &id_bytes);
	struct build_id id = { .size = 0 };

	if (id_size <= 0 || id_size > BUILD_ID_SIZE_MAX)
		return;
	id.size = (uint8_t)id_size;
	memcpy(id.bytes, id_bytes, id.size);
	d->alt_file = debug_file_by_path(binary_path(b), path, &id, NULL);
	if (!d->alt_file)
		d->alt_file = debug_file_by_build_id(input->debug_folders, &id, NULL);
	if (d->alt_file)
		d->alt = dwarf_begin_elf(binary_elf(d->alt_file), DWARF_C_READ, NULL);
	if (d->alt)
		dwarf_setalt(d->dwarf, d->alt);
}

static struct dwarf_state *open_file(const struct source_input *input, const struct binary *b)
{
	struct dwarf_state *d;
	Dwarf *dwarf = dwarf_begin_elf(binary_elf(b), DWARF_C_READ, NULL);

	if (!dwarf)
		return NULL;
	d = xcalloc(1, sizeof(*d));
	d->dwarf = dwarf;
	d->names = (struct debug_names){ .texts = input->texts, .scopes = die_scopes_new() };
	open_alt_file(d, input, b);
	find_units(d);
	if (d->ranges.count == 0) {
		dwarf_state_close(d);
		return NULL;
	}
	sort_ranges(d);
	return d;
}

static void *dwarf_state_open(const struct source_input *input)
{
	void *state = NULL;

	/* The debug file is last, and has more to tell than what strip has left. */
	for (size_t i = input->file_count; i-- > 0 && !state;)
		state = open_file(input, input->files[i]);
	return state;
}

static bool only_line_is_known(const struct source_frames *frames)
{
	return frames->frames.count == 1 && !frames->frames.items[0].name &&
		!frames->frames.items[0].linkage_name;
}

static bool dwarf_state_resolve(void *state, uint64_t vaddr, struct source_frames *out)
{
	struct dwarf_state *d = state;
	size_t low = 0, high = d->ranges.count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (d->ranges.items[middle].start <= vaddr)
			low = middle + 1;
		else
			high = middle;
	}
	for (size_t tried = 0; low-- > 0 && tried < UNITS_PER_ADDRESS_MAX;) {
		const struct unit_range *range = &d->ranges.items[low];

		if (range->highest_end <= vaddr)
			break;
		if (range->end <= vaddr)
			continue;
		tried++;
		out->frames.count = 0; /* a line without a name was all we had */
		if (debug_unit_resolve(&d->units.items[range->unit], &d->names, vaddr, out) &&
			!only_line_is_known(out))
			return true;
	}
	return out->frames.count > 0;
}

const struct source reference_dwarf = {
	.name = "DWARF",
	.verdict = VERDICT_DWARF,
	.resolves = true,
	.open = dwarf_state_open,
	.resolve = dwarf_state_resolve,
	.close = dwarf_state_close,
};
