#define _GNU_SOURCE
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/compiler.h"
#include "run_suite.h"
#include "symbol/perf_map.h"

static struct perf_map *map_of(const char *text)
{
	return perf_map_over(text, strlen(text));
}

static void assert_name(const struct perf_map *map, uint64_t pc, const char *name)
{
	const char *found = perf_map_find(map, pc);

	if (!name)
		ck_assert_ptr_null(found);
	else
		ck_assert_str_eq(found, name);
}

START_TEST(an_address_has_the_name_of_the_line_that_covers_it)
{
	struct perf_map *map = map_of("1000 10 LazyCompile:*work a b.js:1\n0x2000 0x8 other\n");

	assert_name(map, 0xfff, NULL);
	assert_name(map, 0x1000, "LazyCompile:*work a b.js:1");
	assert_name(map, 0x100f, "LazyCompile:*work a b.js:1");
	assert_name(map, 0x1010, NULL);
	assert_name(map, 0x2007, "other");
	assert_name(map, 0x2008, NULL);
	assert_name(map, UINT64_MAX, NULL);
	perf_map_free(map);
}
END_TEST

START_TEST(the_later_line_holds_where_two_overlap)
{
	struct perf_map *map = map_of("100 100 old\n180 100 new\n120 8 newest\n");

	assert_name(map, 0x100, "old");
	assert_name(map, 0x120, "newest");
	assert_name(map, 0x128, "old");
	assert_name(map, 0x17f, "old");
	assert_name(map, 0x180, "new");
	assert_name(map, 0x27f, "new");
	assert_name(map, 0x280, NULL);
	perf_map_free(map);
	map = map_of("180 100 old\n100 100 new\n");
	assert_name(map, 0x1ff, "new");
	assert_name(map, 0x200, "old");
	perf_map_free(map);
}
END_TEST

/* What is no line of a map, and one that is still being written. */
static const char *const not_lines[] = { "", "\n\n", "zz 10 name\n", "1000 name\n", "1000 0 name\n",
	"1000 10\n", "1000 10 \n", "1000 10 name", "ffffffffffffffff 10 name\n",
	"11112222333344445 10 name\n", "-1000 10 name\n" };

START_TEST(what_is_no_whole_line_is_passed_over)
{
	char text[200];
	struct perf_map *map;

	snprintf(text, sizeof(text), "5000 10 good\n%s", not_lines[_i]);
	map = map_of(text);
	assert_name(map, 0x5000, "good");
	assert_name(map, 0x1000, NULL);
	assert_name(map, 0xffffffffffffffff, NULL);
	perf_map_free(map);
}
END_TEST

/* Against the plain way: the last line that covers an address. */
START_TEST(many_lines_at_random_are_answered_as_by_a_search_from_the_end)
{
	enum { LINES = 300, SPACE = 2000 };
	static uint64_t starts[LINES], sizes[LINES];
	char *text = NULL, name[16];
	size_t size;
	FILE *to = open_memstream(&text, &size);
	struct perf_map *map;

	srand(7);
	for (int i = 0; i < LINES; i++) {
		starts[i] = (uint64_t)(rand() % SPACE);
		sizes[i] = (uint64_t)(1 + rand() % 40);
		fprintf(to, "%lx %lx f%d\n", starts[i], sizes[i], i);
	}
	fclose(to);
	map = perf_map_over(text, size);
	for (uint64_t pc = 0; pc < SPACE + 100; pc++) {
		int i = LINES - 1;

		while (i >= 0 && (pc < starts[i] || pc >= starts[i] + sizes[i]))
			i--;
		snprintf(name, sizeof(name), "f%d", i);
		assert_name(map, pc, i < 0 ? NULL : name);
	}
	perf_map_free(map);
	free(text);
}
END_TEST

START_TEST(a_map_is_read_only_from_a_file_of_its_owner)
{
	char path[] = "/tmp/plugprof-map.XXXXXX", link[sizeof(path) + 2];
	int descriptor = mkstemp(path);
	struct perf_map *map;

	ck_assert_int_eq(write(descriptor, "10 10 f\n", 8), 8);
	close(descriptor);
	map = perf_map_open(path, geteuid());
	assert_name(map, 0x10, "f");
	perf_map_free(map);
	if (geteuid() == 0) /* root's are believed, a stranger's are not */
		ck_assert_int_eq(chown(path, 4711, (gid_t)-1), 0);
	ck_assert_ptr_null(perf_map_open(path, geteuid() + 1));
	snprintf(link, sizeof(link), "%s.l", path);
	ck_assert_int_eq(symlink(path, link), 0);
	ck_assert_ptr_null(perf_map_open(link, 4711));
	ck_assert_ptr_null(perf_map_open("/nowhere", geteuid()));
	unlink(link);
	unlink(path);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("perf_map");
	TCase *tests = tcase_create("perf_map");

	tcase_add_test(tests, an_address_has_the_name_of_the_line_that_covers_it);
	tcase_add_test(tests, the_later_line_holds_where_two_overlap);
	tcase_add_loop_test(
		tests, what_is_no_whole_line_is_passed_over, 0, ARRAY_SIZE(not_lines));
	tcase_add_test(tests, many_lines_at_random_are_answered_as_by_a_search_from_the_end);
	tcase_add_test(tests, a_map_is_read_only_from_a_file_of_its_owner);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
