#include <check.h>
#include <stdlib.h>

#include "run_suite.h"
#include "symbol/interval_map.h"

static struct interval_map map;

static void stop(void)
{
	interval_map_free(&map);
}

static int owner_at(uint64_t vaddr)
{
	uint32_t owner;

	return interval_map_find(&map, vaddr, &owner) ? (int)owner : -1;
}

START_TEST(nothing_is_found_in_an_empty_map)
{
	interval_map_build(&map, NULL, 0);
	ck_assert_int_eq(owner_at(0), -1);
	ck_assert_int_eq(owner_at(UINT64_MAX), -1);
}
END_TEST

START_TEST(the_innermost_interval_owns_an_address)
{
	struct interval list[] = {
		{ 30, 40, 2, 3 },
		{ 10, 100, 0, 1 },
		{ 20, 50, 1, 2 },
		{ 10, 15, 1, 4 },
	};

	interval_map_build(&map, list, 4);
	ck_assert_int_eq(owner_at(9), -1);
	ck_assert_int_eq(owner_at(10), 4);
	ck_assert_int_eq(owner_at(15), 1);
	ck_assert_int_eq(owner_at(20), 2);
	ck_assert_int_eq(owner_at(30), 3);
	ck_assert_int_eq(owner_at(39), 3);
	ck_assert_int_eq(owner_at(40), 2);
	ck_assert_int_eq(owner_at(50), 1);
	ck_assert_int_eq(owner_at(99), 1);
	ck_assert_int_eq(owner_at(100), -1);
}
END_TEST

START_TEST(intervals_that_end_together_end_all)
{
	struct interval list[] = { { 0, 10, 0, 1 }, { 5, 10, 1, 2 }, { 8, 10, 2, 3 },
		{ 12, 13, 0, 4 } };

	interval_map_build(&map, list, 4);
	ck_assert_int_eq(owner_at(9), 3);
	ck_assert_int_eq(owner_at(10), -1);
	ck_assert_int_eq(owner_at(12), 4);
}
END_TEST

START_TEST(an_interval_that_ends_before_it_starts_is_ignored)
{
	struct interval list[] = { { 10, 5, 0, 1 }, { 7, 7, 0, 2 } };

	interval_map_build(&map, list, 2);
	ck_assert_int_eq(owner_at(7), -1);
	ck_assert_int_eq(owner_at(10), -1);
}
END_TEST

/* Does IN lie so that one of LIST would cross it, or lie inside? */
static bool is_in_the_way(const struct interval *list, size_t count, struct interval in)
{
	for (size_t i = 0; i < count; i++)
		if (list[i].start < in.end && in.start < list[i].end &&
			(list[i].start >= in.start || list[i].end < in.end))
			return true;
	return false;
}

/* A random interval inside one of LIST. */
static struct interval inside_of(const struct interval *list, size_t count)
{
	const struct interval *out = &list[(size_t)random() % count];
	uint64_t start = out->start + (uint64_t)random() % (out->end - out->start);
	uint64_t end = start + 1 + (uint64_t)random() % (out->end - start);

	return (struct interval){ start, end, out->rank + 1, (uint32_t)count };
}

static int smallest_around(const struct interval *list, size_t count, uint64_t vaddr)
{
	uint64_t smallest = UINT64_MAX;
	int owner = -1;

	for (size_t i = 0; i < count; i++)
		if (list[i].start <= vaddr && vaddr < list[i].end &&
			list[i].end - list[i].start < smallest) {
			smallest = list[i].end - list[i].start;
			owner = (int)list[i].owner;
		}
	return owner;
}

START_TEST(nested_intervals_agree_with_a_plain_search)
{
	struct interval list[60] = { { 0, 1 << 16, 0, 0 } };
	size_t count = 1;

	srandom(7);
	while (count < 60) {
		struct interval in = inside_of(list, count);

		if (!is_in_the_way(list, count, in))
			list[count++] = in;
	}
	interval_map_build(&map, list, count);
	for (uint64_t vaddr = 0; vaddr < 1 << 16; vaddr += 13)
		ck_assert_int_eq(owner_at(vaddr), smallest_around(list, count, vaddr));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("interval_map");
	TCase *tests = tcase_create("intervals");

	tcase_add_checked_fixture(tests, NULL, stop);
	tcase_add_test(tests, nothing_is_found_in_an_empty_map);
	tcase_add_test(tests, the_innermost_interval_owns_an_address);
	tcase_add_test(tests, intervals_that_end_together_end_all);
	tcase_add_test(tests, an_interval_that_ends_before_it_starts_is_ignored);
	tcase_add_test(tests, nested_intervals_agree_with_a_plain_search);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
