#include "symbol/interval_map.h"

#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"

static inline bool comes_before(const struct interval *a, const struct interval *b)
{
	if (a->start != b->start)
		return a->start < b->start;
	if (a->rank != b->rank)
		return a->rank < b->rank;
	if (a->end != b->end)
		return a->end > b->end;
	return a->owner < b->owner;
}

static void merge(struct interval *to, const struct interval *a, const struct interval *a_end,
	const struct interval *b, const struct interval *b_end)
{
	while (a < a_end && b < b_end) {
		/* Nobody can foretell which, so it is no jump. */
		const bool is_b = b->start < a->start ||
			(UNLIKELY(b->start == a->start) && comes_before(b, a));

		*to++ = *(is_b ? b : a);
		b += is_b;
		a += !is_b;
	}
	memcpy(to, a, (size_t)(a_end - a) * sizeof(*a));
	memcpy(to + (a_end - a), b, (size_t)(b_end - b) * sizeof(*b));
}

struct runs {
	VEC(size_t) ends;
};

static void find_runs(struct runs *runs, const struct interval *list, size_t count)
{
	for (size_t i = 1; i < count; i++)
		if (comes_before(&list[i], &list[i - 1]))
			*VEC_PUSH(&runs->ends) = i;
	*VEC_PUSH(&runs->ends) = count;
}

/* Merge each two runs of FROM to TO. */
static void merge_pairs(struct interval *to, const struct interval *from, struct runs *runs)
{
	size_t start = 0, pairs = 0;

	for (size_t i = 0; i < runs->ends.count; i += 2) {
		const size_t middle = runs->ends.items[i];
		const size_t end = i + 1 < runs->ends.count ? runs->ends.items[i + 1] : middle;

		merge(to + start, from + start, from + middle, from + middle, from + end);
		runs->ends.items[pairs++] = end;
		start = end;
	}
	runs->ends.count = pairs;
}

/* Compilers write most of them in order, so what is in order already is made use of. */
static void sort_intervals(struct interval *intervals, size_t count)
{
	struct interval *from = intervals, *to, *other;
	struct runs runs = { { NULL, 0, 0 } };

	find_runs(&runs, intervals, count);
	to = other = xreallocarray(NULL, count, sizeof(*other));
	while (runs.ends.count > 1) {
		struct interval *swap = from;

		merge_pairs(to, from, &runs);
		from = to;
		to = swap;
	}
	if (from != intervals)
		memcpy(intervals, from, count * sizeof(*from));
	free(other);
	VEC_FREE(&runs.ends);
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

void interval_map_build(struct interval_map *map, struct interval *intervals, size_t count)
{
	struct open_intervals open = { { NULL, 0, 0 } };

	interval_map_free(map);
	if (count == 0)
		return;
	sort_intervals(intervals, count);
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
	if (low == 0 || map->segments.items[low - 1].owner == INTERVAL_NOBODY)
		return false;
	*owner = map->segments.items[low - 1].owner;
	return true;
}
