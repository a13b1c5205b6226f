#include "symbol/unit_index.h"

#include <dwarf.h>
#include <stdlib.h>

#include "symbol/dwarf_form.h"

#define UNITS_PER_ADDRESS_MAX 8

struct index_walk {
	struct unit_index *index;
	struct dwarf_unit *unit;
};

static void add_range(void *context, uint64_t start, uint64_t end)
{
	const struct index_walk *walk = context;

	*VEC_PUSH(&walk->index->ranges) =
		(struct unit_range){ .start = start, .end = end, .unit = walk->unit };
}

static int by_start(const void *left, const void *right)
{
	const struct unit_range *a = left, *b = right;

	if (a->start != b->start)
		return a->start < b->start ? -1 : 1;
	return a->unit < b->unit ? -1 : a->unit > b->unit;
}

void unit_index_build(struct unit_index *index, struct dwarf_file *f)
{
	struct index_walk walk = { .index = index };
	uint64_t highest = 0, left;

	left = f->units.count > 0 ? dwarf_ranges_limit(&f->units.items[0]) : 0;
	for (size_t i = 0; i < f->units.count; i++) {
		walk.unit = &f->units.items[i];
		if (walk.unit->root_tag == DW_TAG_compile_unit ||
			walk.unit->root_tag == DW_TAG_skeleton_unit)
			dwarf_visit_unit_ranges(walk.unit, &left, add_range, &walk);
	}
	if (index->ranges.count == 0)
		return;
	qsort(index->ranges.items, index->ranges.count, sizeof(*index->ranges.items), by_start);
	for (size_t i = 0; i < index->ranges.count; i++) {
		if (index->ranges.items[i].end > highest)
			highest = index->ranges.items[i].end;
		index->ranges.items[i].highest_end = highest;
	}
}

void unit_index_free(struct unit_index *index)
{
	VEC_FREE(&index->ranges);
}

/* How many ranges start at or before VADDR. */
static size_t count_before(const struct unit_index *index, uint64_t vaddr)
{
	size_t low = 0, high = index->ranges.count;

	while (low < high) {
		const size_t middle = low + (high - low) / 2;

		if (index->ranges.items[middle].start <= vaddr)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct dwarf_unit *unit_index_next(const struct unit_index *index, struct unit_search *search)
{
	if (search->found == 0)
		search->next = count_before(index, search->vaddr);
	while (search->next > 0 && search->found < UNITS_PER_ADDRESS_MAX) {
		const struct unit_range *range = &index->ranges.items[--search->next];

		if (range->highest_end <= search->vaddr)
			break;
		if (range->end <= search->vaddr)
			continue;
		search->found++;
		return range->unit;
	}
	return NULL;
}
