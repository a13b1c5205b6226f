#include "symbol/interval_map.h"

#include <stdlib.h>

/* By start; those of equal start stay in their order. */
#define DIGIT_BITS 11
#define DIGITS (1u << DIGIT_BITS)

struct key {
	uint64_t start; /* less the lowest */
	size_t index;
};

static void sort_by_digit(struct key *to, const struct key *from, size_t count, unsigned int shift)
{
	uint32_t ends[DIGITS] = { 0 };
	uint32_t sum = 0;

	for (size_t i = 0; i < count; i++)
		ends[from[i].start >> shift & (DIGITS - 1)]++;
	for (size_t i = 0; i < DIGITS; i++) {
		const uint32_t size = ends[i];

		ends[i] = sum;
		sum += size;
	}
	for (size_t i = 0; i < count; i++)
		to[ends[from[i].start >> shift & (DIGITS - 1)]++] = from[i];
}

static uint64_t lowest_start(const struct interval *intervals, size_t count)
{
	uint64_t lowest = UINT64_MAX;

	for (size_t i = 0; i < count; i++)
		if (intervals[i].start < lowest)
			lowest = intervals[i].start;
	return lowest;
}

/* The COUNT, one or more, intervals in the order of their starts. */
static struct interval *sort_by_start(const struct interval *intervals, size_t count)
{
	struct key *keys = xreallocarray(NULL, count, sizeof(*keys));
	struct key *other = xreallocarray(NULL, count, sizeof(*other));
	struct interval *sorted = xreallocarray(NULL, count, sizeof(*sorted));
	const uint64_t lowest = lowest_start(intervals, count);
	uint64_t highest = 0;

	for (size_t i = 0; i < count; i++) {
		keys[i] = (struct key){ intervals[i].start - lowest, i };
		highest |= keys[i].start; /* no digit is more than that */
	}
	for (unsigned int shift = 0; shift < 64 && highest >> shift; shift += DIGIT_BITS) {
		struct key *from = keys;

		sort_by_digit(other, from, count, shift);
		keys = other;
		other = from;
	}
	for (size_t i = 0; i < count; i++)
		sorted[i] = intervals[keys[i].index];
	free(keys);
	free(other);
	return sorted;
}

static bool comes_before(const struct interval *a, const struct interval *b)
{
	if (a->start != b->start)
		return a->start < b->start;
	if (a->rank != b->rank)
		return a->rank < b->rank;
	if (a->end != b->end)
		return a->end > b->end;
	return a->owner < b->owner;
}

static int by_nesting(const void *left, const void *right)
{
	return comes_before(left, right) ? -1 : comes_before(right, left);
}

/* Those that start together are in order nearly always: the outer ones were met first. */
static void sort_by_nesting(struct interval *sorted, size_t count)
{
	size_t start = 0;
	bool in_order = true;

	for (size_t i = 1; i <= count; i++) {
		if (i < count && sorted[i].start == sorted[start].start) {
			in_order &= !comes_before(&sorted[i], &sorted[i - 1]);
			continue;
		}
		if (!in_order)
			qsort(sorted + start, i - start, sizeof(*sorted), by_nesting);
		start = i;
		in_order = true;
	}
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
		uint32_t owner = INTERVAL_NOBODY;

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

void interval_map_build(struct interval_map *map, const struct interval *intervals, size_t count)
{
	struct open_intervals open = { { NULL, 0, 0 } };
	struct interval *sorted;

	interval_map_free(map);
	if (count == 0)
		return;
	sorted = sort_by_start(intervals, count);
	sort_by_nesting(sorted, count);
	for (size_t i = 0; i < count; i++) {
		const struct interval *in = &sorted[i];

		if (in->end <= in->start)
			continue;
		close_until(&open, in->start, map);
		*VEC_PUSH(&open.stack) = in;
		change_owner(map, in->start, in->owner);
	}
	close_until(&open, UINT64_MAX, map);
	VEC_FREE(&open.stack);
	free(sorted);
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
	if (low == 0 || map->segments.items[low - 1].owner == INTERVAL_NOBODY)
		return false;
	*owner = map->segments.items[low - 1].owner;
	return true;
}
