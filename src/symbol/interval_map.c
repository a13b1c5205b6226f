#include "symbol/interval_map.h"

#include <stdlib.h>

#define NOBODY UINT32_MAX

/* From START to the next segment's START all addresses belong to OWNER. */
struct interval_segment {
	uint64_t start;
	uint32_t owner;
};

static int by_start_then_outermost(const void *left, const void *right)
{
	const struct interval *a = left, *b = right;

	if (a->start != b->start)
		return a->start < b->start ? -1 : 1;
	if (a->rank != b->rank)
		return a->rank < b->rank ? -1 : 1;
	if (a->end != b->end)
		return a->end > b->end ? -1 : 1;
	return a->owner < b->owner ? -1 : a->owner > b->owner;
}

static void change_owner(struct interval_map *map, uint64_t start, uint32_t owner)
{
	struct interval_segment *last;

	if (map->segments.count > 0) {
		last = &map->segments.items[map->segments.count - 1];
		if (last->start == start) {
			last->owner = owner;
			return;
		}
		if (last->owner == owner)
			return;
	}
	last = VEC_PUSH(&map->segments);
	*last = (struct interval_segment){ .start = start, .owner = owner };
}

/* The intervals around the address that the sweep has reached, innermost last. */
struct open_intervals {
	VEC(const struct interval *) stack;
};

/* Close what ends at or before LIMIT; the next one further out owns what follows. */
static void close_until(
	struct open_intervals *open, uint64_t limit, struct interval_map *map)
{
	while (open->stack.count > 0) {
		uint64_t end = open->stack.items[open->stack.count - 1]->end;
		uint32_t owner = NOBODY;

		if (end > limit)
			return;
		while (open->stack.count > 0 &&
			open->stack.items[open->stack.count - 1]->end <= end)
			open->stack.count--;
		if (open->stack.count > 0)
			owner = open->stack.items[open->stack.count - 1]->owner;
		change_owner(map, end, owner);
	}
}

/* Compilers write most of them in order. */
static bool are_sorted(const struct interval *intervals, size_t count)
{
	for (size_t i = 1; i < count; i++)
		if (by_start_then_outermost(&intervals[i - 1], &intervals[i]) > 0)
			return false;
	return true;
}

void interval_map_build(struct interval_map *map, struct interval *intervals, size_t count)
{
	struct open_intervals open = { { NULL, 0, 0 } };

	interval_map_free(map);
	if (count == 0)
		return;
	if (!are_sorted(intervals, count))
		qsort(intervals, count, sizeof(*intervals), by_start_then_outermost);
	for (size_t i = 0; i < count; i++) {
		const struct interval *in = &intervals[i];

		if (in->end <= in->start)
			continue;
		close_until(&open, in->start, map);
		*VEC_PUSH(&open.stack) = in;
		change_owner(map, in->start, in->owner);
	}
	close_until(&open, UINT64_MAX, map);
	VEC_FREE(&open.stack);
}

void interval_map_free(struct interval_map *map)
{
	VEC_FREE(&map->segments);
}

bool interval_map_find(const struct interval_map *map, uint64_t vaddr, uint32_t *owner)
{
	size_t low = 0, high = map->segments.count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (map->segments.items[middle].start <= vaddr)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0 || map->segments.items[low - 1].owner == NOBODY)
		return false;
	*owner = map->segments.items[low - 1].owner;
	return true;
}
