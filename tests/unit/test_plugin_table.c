#define _GNU_SOURCE
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "cli/pipeline.h"
#include "cli/plugin_print.h"
#include "cli/plugin_remarks.h"
#include "cli/plugin_table.h"
#include "run_suite.h"

static struct profile *p;
static struct plugin_table table;
static plugin_remarks remarks;

static void begin_cpu(void)
{
	p = profile_new();
	profile_add_sample_type(p, "samples", "count");
	profile_add_sample_type(p, "cpu", "nanoseconds");
}

static void begin_heap(void)
{
	profile_free(p);
	p = profile_new();
	profile_add_sample_type(p, "alloc_space", "bytes");
	profile_add_sample_type(p, "inuse_space", "bytes");
}

static void tear_down(void)
{
	profile_free(p);
	plugin_remarks_free(&remarks);
	plugin_table_free(&table);
	table = (struct plugin_table){ .has_cpu = false };
}

/* A location in the library. */
static uint32_t place(const char *path, const char *build_id)
{
	const uint64_t start = 0x1000 * (p->mappings.count + 1);

	return profile_add_location(p,
		profile_add_mapping(p,
			&(struct profile_mapping){ .start = start,
				.limit = start + 0x1000,
				.filename = profile_intern(p, path),
				.build_id = profile_intern(p, build_id) }),
		start, NULL, 0);
}

/* FRAMES: leaf first, to a 0. */
static void sample(const char *plugin, bool is_unloaded, int64_t first, int64_t second,
	const uint32_t *frames)
{
	const struct profile_label labels[] = { { .key = profile_intern(p, "plugin"),
							.str = profile_intern(p, plugin) },
		{ .key = profile_intern(p, PIPELINE_UNLOADED_LABEL),
			.str = profile_intern(p, plugin) } };
	const int64_t values[] = { first, second };
	size_t count = 0;

	while (frames[count])
		count++;
	profile_add_sample(p, frames, count, values, labels, is_unloaded ? 2 : 1);
}

#define FRAMES(...) ((const uint32_t[]){ __VA_ARGS__, 0 })

static void life(const char *build_id, const char *path, const char *rest)
{
	char *text = xasprintf(LIFE_COMMENT "\t%s\t%s\t%s", build_id, path, rest);

	profile_add_comment(p, text);
	free(text);
}

static void add(void)
{
	ck_assert_int_eq(plugin_table_add(&table, p), 0);
	plugin_table_sort(&table);
}

static void row_is(size_t at, const char *path, const char *build_id, int64_t cpu, int64_t self,
	int64_t total)
{
	const struct plugin_row *row = &table.rows.items[at];

	ck_assert_uint_lt(at, table.rows.count);
	ck_assert_str_eq(row->life.path, path);
	ck_assert_str_eq(row->life.build_id, build_id);
	ck_assert_int_eq(row->costs[COST_CPU], cpu);
	ck_assert_int_eq(row->costs[COST_CPU_SELF], self);
	ck_assert_int_eq(row->costs[COST_CPU_TOTAL], total);
}

/* The text of the remark of that kind, "" if there is none; there may be one. */
static const char *remark(const char *kind)
{
	const char *found = "";

	plugin_remarks_free(&remarks);
	plugin_remarks_find(&table, &remarks);
	for (size_t i = 0; i < remarks.count; i++)
		if (strcmp(remarks.items[i].kind, kind) == 0) {
			ck_assert_str_eq(found, "");
			found = remarks.items[i].text;
		}
	return found;
}

START_TEST(libc_on_behalf_of_a_plugin_is_the_plugins_cost)
{
	uint32_t host, libc, codec;

	begin_cpu();
	host = place("/host", "aa");
	libc = place("/libc.so.6", "bb");
	codec = place("/p/codec.so", "cc");
	life("cc", "/p/codec.so", "0\t1\t1\t0\t1\t3\t3\t2\t0\t1:5:");
	sample("codec.so", false, 3, 30, FRAMES(libc, codec, codec, host));
	sample("codec.so", false, 1, 10, FRAMES(codec, host));
	sample("(host)", false, 2, 20, FRAMES(host));
	add();
	row_is(0, "/p/codec.so", "cc", 40, 10, 40);
	row_is(1, "/host", "aa", 0, 20, 60);
	row_is(2, "/libc.so.6", "bb", 0, 30, 30);
	ck_assert_int_eq(table.all[COST_CPU], 60);
	ck_assert_int_eq(table.host[COST_CPU], 20);
	plugin_table_keep_plugins(&table);
	ck_assert_uint_eq(table.rows.count, 1);
}
END_TEST

START_TEST(two_builds_at_one_path_have_a_row_each)
{
	uint32_t old, new;

	begin_cpu();
	old = place("/p/hot.so", "aa");
	new = place("/p/hot.so", "bb");
	life("aa", "/p/hot.so", "0\t1\t2\t2\t0\t3\t3\t2\t0\t1:5:6,3:9:10");
	life("bb", "/p/hot.so", "0\t1\t1\t1\t0\t3\t3\t2\t0\t2:7:8");
	sample("hot.so", false, 1, 10, FRAMES(old));
	sample("hot.so", false, 1, 90, FRAMES(new));
	add();
	row_is(0, "/p/hot.so", "bb", 90, 90, 90);
	row_is(1, "/p/hot.so", "aa", 10, 10, 10);
	ck_assert_uint_eq(table.rows.items[1].life.generations.items[1].number, 3);
	ck_assert_str_eq(remark("builds"), "2 builds were loaded from /p/hot.so");
}
END_TEST

START_TEST(samples_that_may_be_of_either_build_are_nobodys)
{
	uint32_t truncated;

	begin_cpu();
	life("aa", "/p/hot.so", "0\t1\t1\t1\t0\t3\t3\t2\t0\t1:5:6");
	life("bb", "/p/hot.so", "0\t1\t1\t1\t0\t3\t3\t2\t0\t2:7:8");
	truncated = profile_add_location(p, 0, 1, NULL, 0);
	sample("hot.so", false, 1, 10, FRAMES(truncated));
	sample("(host)", false, 1, 1, FRAMES(truncated));
	add();
	row_is(0, "/p/hot.so", "bb", 0, 0, 0);
	row_is(1, "/p/hot.so", "aa", 0, 0, 0);
	ck_assert_int_eq(table.untold[COST_CPU], 10);
}
END_TEST

START_TEST(builds_without_build_id_are_told_apart_only_if_there_is_one)
{
	uint32_t one, two;

	begin_cpu();
	one = place("/p/one.so", "");
	two = place("/p/two.so", "");
	life("", "/p/one.so", "1a\t1\t1\t1\t0\t3\t3\t2\t0\t1:5:6");
	life("", "/p/two.so", "2a\t1\t1\t1\t0\t3\t3\t2\t0\t1:5:6");
	life("", "/p/two.so", "2b\t1\t1\t1\t0\t3\t3\t2\t0\t2:7:8");
	sample("one.so", false, 1, 90, FRAMES(one));
	sample("two.so", false, 1, 10, FRAMES(two));
	add();
	ck_assert_uint_eq(table.rows.count, 4);
	row_is(0, "/p/one.so", "", 90, 90, 90);
	ck_assert(table.rows.items[0].has_life);
	row_is(1, "/p/two.so", "", 10, 10, 10);
	ck_assert(!table.rows.items[1].has_life);
	ck_assert_str_ne(remark("unknown-build"), "");
}
END_TEST

START_TEST(a_label_without_library_is_a_row)
{
	uint32_t nowhere;

	begin_cpu();
	nowhere = profile_add_location(p, 0, 1, NULL, 0);
	sample("codec.so", false, 1, 10, FRAMES(nowhere));
	sample("codec.so", false, 1, 5, FRAMES(nowhere, nowhere));
	add();
	plugin_table_keep_plugins(&table);
	ck_assert_uint_eq(table.rows.count, 1);
	row_is(0, "codec.so", "", 15, 0, 0);
	ck_assert(!table.has_lives);
}
END_TEST

START_TEST(allocations_come_from_a_second_profile)
{
	uint32_t codec;

	begin_cpu();
	codec = place("/p/codec.so", "cc");
	life("cc", "/p/codec.so", "0\t1\t1\t1\t0\t3\t3\t2\t0\t1:5:6");
	sample("codec.so", false, 1, 10, FRAMES(codec));
	add();
	ck_assert(!table.has_heap);
	begin_heap();
	codec = place("/p/codec.so", "cc");
	life("cc", "/p/codec.so", "0\t1\t1\t1\t0\t3\t3\t2\t0\t1:5:6");
	sample("codec.so", false, 500, 20, FRAMES(codec));
	sample("codec.so", true, 0, 9 << 10, FRAMES(codec));
	add();
	ck_assert(table.has_heap);
	ck_assert_uint_eq(table.rows.count, 1);
	row_is(0, "/p/codec.so", "cc", 10, 10, 10);
	ck_assert_int_eq(table.rows.items[0].costs[COST_ALLOCATED], 500);
	ck_assert_int_eq(table.rows.items[0].costs[COST_LIVE], (9 << 10) + 20);
	ck_assert_int_eq(table.rows.items[0].costs[COST_LEAKED], 9 << 10);
	ck_assert_str_eq(remark("memory"),
		"9.0 KiB that it allocated are in use although it was unloaded since");
	ck_assert_int_eq(plugin_table_add(&table, p), -EEXIST);
	ck_assert_int_eq(table.all[COST_ALLOCATED], 500);
}
END_TEST

START_TEST(sums_stop_at_what_a_number_holds)
{
	uint32_t codec;

	begin_cpu();
	codec = place("/p/codec.so", "cc");
	sample("codec.so", false, 1, INT64_MAX, FRAMES(codec));
	sample("codec.so", false, 1, INT64_MAX, FRAMES(codec, codec));
	add();
	row_is(0, "/p/codec.so", "cc", INT64_MAX, INT64_MAX, INT64_MAX);
}
END_TEST

/* --- remarks --- */

START_TEST(a_plugin_that_is_used_as_one_should_has_no_remarks)
{
	begin_cpu();
	life("aa", "/p/open.so", "0\t1\t1\t0\t1\t3\t102\t2\t0\t1:5:");
	life("bb", "/p/closed.so", "0\t1\t9\t9\t0\t3\t12\t2\t0\t9:5:6");
	life("cc", "/p/unknown.so", "0\t1\t1\t0\t-1\t-1\t-1\t0\t0\t1:5:");
	life("dd", "/p/needed.so", "0\t0\t1\t0\t0\t3\t3\t0\t0\t1:5:");
	add();
	ck_assert_str_eq(remark("any"), "");
	ck_assert_uint_eq(remarks.count, 0);
}
END_TEST

START_TEST(handles_that_were_not_closed_are_remarked)
{
	begin_cpu();
	life("aa", "/p/a.so", "0\t1\t2\t1\t986\t3\t3\t2\t0\t1:5:");
	add();
	ck_assert_str_eq(remark("handles"), "still open 986 times: dlopen without dlclose");
	ck_assert_str_eq(remark("not-unloaded"), "");
}
END_TEST

START_TEST(a_plugin_that_stays_though_it_was_closed_is_remarked)
{
	begin_cpu();
	life("aa", "/p/a.so", "0\t1\t1\t0\t0\t3\t3\t2\t0\t1:5:");
	add();
	ck_assert_ptr_nonnull(strstr(remark("not-unloaded"), "still loaded"));
}
END_TEST

/* A plugin that was there all the time saw the same. */
START_TEST(descriptors_are_the_fault_of_who_was_loaded_as_often)
{
	begin_cpu();
	life("aa", "/p/a.so", "0\t1\t1\t0\t1\t3\t1003\t2\t0\t1:5:");
	life("bb", "/p/b.so", "0\t1\t1000\t1000\t0\t5\t991\t2\t0\t1000:5:6");
	add();
	ck_assert_str_eq(remark("descriptors"),
		"the process has 986 descriptors more than before it was first loaded, in 1000 "
		"loads");
	ck_assert_str_eq(remarks.items[0].row->life.path, "/p/b.so");
	ck_assert_str_eq(remark("loads"), "loaded 1000 times, unloaded 1000 times");
}
END_TEST

START_TEST(descriptors_of_a_process_that_runs_are_those_of_now)
{
	begin_cpu();
	life("aa", "/p/loaded.so", "0\t1\t1\t0\t1\t5\t-1\t2\t0\t1:5:");
	life("bb", "/p/unloaded.so", "0\t1\t1\t1\t0\t5\t6\t2\t0\t1:5:6");
	add();
	ck_assert_str_eq(remark("descriptors"), "");
	plugin_table_set_descriptors(&table, 991);
	ck_assert_str_eq(remark("descriptors"),
		"the process has 986 descriptors more than before it was first loaded");
	ck_assert_int_eq(table.rows.items[1].life.descriptors_after, 6);
}
END_TEST

START_TEST(descriptors_that_no_loads_explain_are_told_once)
{
	begin_cpu();
	life("aa", "/p/a.so", "0\t1\t1\t0\t1\t5\t105\t2\t0\t1:5:");
	life("bb", "/p/b.so", "0\t1\t1\t0\t1\t4\t105\t2\t0\t1:5:");
	life("cc", "/p/c.so", "0\t1\t1\t0\t1\t4\t105\t2\t0\t1:5:");
	add();
	ck_assert_str_eq(remark("descriptors"),
		"the process has 101 descriptors more than before it was first loaded");
}
END_TEST

/* --- on a stream --- */

static char *printed(bool as_json)
{
	char *text = NULL;
	size_t size;
	FILE *to = open_memstream(&text, &size);

	ck_assert_ptr_nonnull(to);
	if (as_json)
		plugin_print_json(to, &table);
	else
		plugin_print(to, &table, true);
	fclose(to);
	return text;
}

START_TEST(nothing_in_a_path_reaches_the_terminal_or_breaks_the_document)
{
	char *text, *json;

	begin_cpu();
	life("a\x1b", "/p/\x1b[2J\"\n.so", "0\t1\t1\t0\t2\t3\t3\t2\t0\t1:5:");
	add();
	text = printed(false);
	ck_assert_ptr_nonnull(strstr(text, " a?"));
	ck_assert_ptr_nonnull(strstr(text, " /p/?[2J\"?.so\n"));
	ck_assert_ptr_null(strchr(text, '\x1b'));
	ck_assert_ptr_nonnull(strstr(text, "\n?[2J\"?.so: still open 2 times"));
	json = printed(true);
	ck_assert_ptr_nonnull(strstr(json, "\"path\": \"/p/\\u001b[2J\\\"\\u000a.so\","));
	free(text);
	free(json);
}
END_TEST

START_TEST(the_shares_of_all_lines_add_up)
{
	char *text;
	uint32_t codec, needed;

	begin_cpu();
	codec = place("/p/codec.so", "cc");
	needed = place("/p/needed.so", "dd");
	life("dd", "/p/needed.so", "0\t0\t1\t0\t0\t3\t3\t0\t0\t1:5:");
	sample("codec.so", false, 1, 50000000, FRAMES(codec));
	sample("needed.so", false, 1, 30000000, FRAMES(needed));
	sample("(host)", false, 1, 20000000, FRAMES(needed));
	add();
	plugin_table_keep_plugins(&table);
	text = printed(false);
	ck_assert_ptr_nonnull(strstr(text, "     50  50.0% "));
	ck_assert_ptr_nonnull(strstr(text, "     30  30.0% "));
	ck_assert_ptr_nonnull(strstr(text, " (other libraries)\n     20  20.0% "));
	ck_assert_ptr_nonnull(strstr(text, " (host)\n"));
	free(text);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("plugin_table");
	TCase *tests = tcase_create("rows"), *words = tcase_create("words");

	tcase_add_checked_fixture(tests, NULL, tear_down);
	tcase_add_test(tests, libc_on_behalf_of_a_plugin_is_the_plugins_cost);
	tcase_add_test(tests, two_builds_at_one_path_have_a_row_each);
	tcase_add_test(tests, samples_that_may_be_of_either_build_are_nobodys);
	tcase_add_test(tests, builds_without_build_id_are_told_apart_only_if_there_is_one);
	tcase_add_test(tests, a_label_without_library_is_a_row);
	tcase_add_test(tests, allocations_come_from_a_second_profile);
	tcase_add_test(tests, sums_stop_at_what_a_number_holds);
	suite_add_tcase(suite, tests);
	tcase_add_checked_fixture(words, NULL, tear_down);
	tcase_add_test(words, a_plugin_that_is_used_as_one_should_has_no_remarks);
	tcase_add_test(words, handles_that_were_not_closed_are_remarked);
	tcase_add_test(words, a_plugin_that_stays_though_it_was_closed_is_remarked);
	tcase_add_test(words, descriptors_are_the_fault_of_who_was_loaded_as_often);
	tcase_add_test(words, descriptors_of_a_process_that_runs_are_those_of_now);
	tcase_add_test(words, descriptors_that_no_loads_explain_are_told_once);
	tcase_add_test(words, nothing_in_a_path_reaches_the_terminal_or_breaks_the_document);
	tcase_add_test(words, the_shares_of_all_lines_add_up);
	suite_add_tcase(suite, words);
	return run_suite(suite);
}
