#define _GNU_SOURCE
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "cli/leaks.h"
#include "cli/life.h"
#include "run_suite.h"

#define PERIOD 1000

static struct profile *p;
static struct leaks leaks;

static void begin(const char *program, int64_t start_ns)
{
	static const char *const types[] = { "alloc_objects", "alloc_space", "inuse_objects",
		"inuse_space" };

	p = profile_new();
	p->period = PERIOD;
	p->time_ns = start_ns;
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		profile_add_sample_type(p, types[i], i % 2 ? "bytes" : "count");
	profile_add_mapping(p,
		&(struct profile_mapping){
			.start = 1, .limit = 2, .filename = profile_intern(p, program) });
}

static void end(void)
{
	leaks_add(&leaks, p);
	profile_free(p);
	p = NULL;
}

static void tear_down(void)
{
	profile_free(p);
	leaks_free(&leaks);
	leaks = (struct leaks){ .profiles = 0 };
}

/* COUNT objects of SIZE bytes, of ALLOCATED, allocated in FUNCTION of the library. */
static void hold_of(const char *function, const char *path, const char *build_id,
	int64_t allocated, int64_t count, int64_t size)
{
	const uint64_t start = 0x1000 * (p->mappings.count + 1);
	const uint32_t mapping = profile_add_mapping(p,
		&(struct profile_mapping){ .start = start,
			.limit = start + 0x1000,
			.filename = profile_intern(p, path),
			.build_id = profile_intern(p, build_id) });
	const struct profile_line line = {
		.function_id = profile_add_function(p, function, function, "", 0)
	};
	const uint32_t location = profile_add_location(p, mapping, start, &line, 1);
	const struct profile_label label = { .key = profile_intern(p, "plugin"),
		.str = profile_intern(p, strrchr(path, '/') + 1) };
	const int64_t values[] = { allocated, allocated * size, count, count * size };

	profile_add_sample(p, &location, 1, values, &label, 1);
}

static void hold(const char *function, const char *path, const char *build_id, int64_t count,
	int64_t size)
{
	hold_of(function, path, build_id, count, count, size);
}

static void deviation_is(double expected, const struct leak_amount *amount)
{
	ck_assert_double_eq_tol(sqrt(amount->variance), expected, 0.01 * expected + 1e-6);
}

START_TEST(the_error_is_that_of_the_sizes)
{
	begin("host", 1);
	hold("small", "/p/a.so", "aa", 100000, 1); /* sqrt(PERIOD x bytes) */
	hold("middle", "/p/b.so", "bb", 400, PERIOD); /* q = 1 - 1/e */
	hold("large", "/p/c.so", "cc", 2, 50 * PERIOD); /* each is sampled */
	end();
	leaks_sum(&leaks, NULL);
	ck_assert_uint_eq(leaks.groups.count, 3);
	deviation_is(20 * PERIOD * sqrt(exp(-1) / (1 - exp(-1))), &leaks.groups.items[0].amount);
	ck_assert_str_eq(leaks.groups.items[0].one->plugin, "b.so");
	for (size_t i = 1; i < 3; i++)
		deviation_is(leaks.groups.items[i].one->plugin[0] == 'a' ? 10000 : 0,
			&leaks.groups.items[i].amount);
	deviation_is(hypot(10000, sqrt(leaks.groups.items[0].amount.variance)), &leaks.amount);
}
END_TEST

/* 90000 objects of one byte, then 100000; so many had been allocated by then; the processes of
 * these profiles began at these times. */
static double deviation_of_growth(
	int64_t allocated, int64_t later_allocated, int64_t start_ns, int64_t later_start_ns)
{
	leaks.compares = true;
	begin("host", start_ns);
	hold_of("grow", "/p/a.so", "aa", allocated, 90000, 1);
	end();
	begin("host", later_start_ns);
	hold_of("grow", "/p/a.so", "aa", later_allocated, 100000, 1);
	end();
	leaks_sum(&leaks, NULL);
	leak_amount_add(&leaks.amount, &leaks.by_chance);
	ck_assert_int_eq(leaks.amount.bytes, 10000);
	return sqrt(leaks.amount.variance) / sqrt(PERIOD);
}

START_TEST(what_one_process_keeps_is_no_error_of_its_growth)
{
	ck_assert_double_eq_tol(deviation_of_growth(500000, 510000, 7, 7), 100, 0.5);
}
END_TEST

START_TEST(what_came_and_what_went_err_both)
{
	ck_assert_double_eq_tol(
		deviation_of_growth(500000, 530000, 7, 7), sqrt(30000 + 20000), 0.5);
}
END_TEST

START_TEST(what_came_and_went_at_once_does_not_err)
{
	ck_assert_double_eq_tol(
		deviation_of_growth(500000, 90000000, 7, 7), sqrt(190000), 0.5);
}
END_TEST

START_TEST(two_runs_err_independently)
{
	ck_assert_double_eq_tol(
		deviation_of_growth(500000, 510000, 7, 8), sqrt(190000), 0.5);
}
END_TEST

START_TEST(what_is_exact_has_grown_from_an_estimate_with_its_error)
{
	leaks.compares = true;
	begin("host", 7);
	hold("f", "/p/a.so", "aa", 10000, 1);
	end();
	begin("host", 8);
	p->period = 1;
	hold("f", "/p/a.so", "aa", 90000, 1);
	end();
	leaks_sum(&leaks, NULL);
	ck_assert_int_eq(leaks.period, PERIOD);
	ck_assert_int_eq(leaks.amount.bytes, 80000);
	ck_assert_double_eq_tol(sqrt(leaks.amount.variance), sqrt(PERIOD) * 100, 5);
}
END_TEST

/* COUNT stacks held, and hold NOW of the blocks of one byte that they allocate and free. */
static void turn_over(int count, const int64_t *now, bool later)
{
	begin("host", 7);
	for (int i = 0; i < count; i++) {
		char name[16];

		snprintf(name, sizeof(name), "f%d", i);
		hold_of(name, "/p/a.so", "aa", later ? 900000 : 500000, later ? now[i] : 9000,
			1);
	}
	end();
}

START_TEST(growth_by_chance_is_not_counted)
{
	static const int64_t now[] = { 14000, 9000, 4000, 30000 }; /* deviations of 4242 */

	leaks.compares = true;
	turn_over(ARRAY_SIZE(now) - 1, now, false);
	turn_over(ARRAY_SIZE(now) - 1, now, true);
	leaks_sum(&leaks, NULL);
	ck_assert_uint_eq(leaks.groups.count, 0);
	ck_assert_int_eq(leaks.amount.bytes, 0);
	ck_assert_uint_eq(leaks.stacks_by_chance, 1);
	ck_assert_int_eq(leaks.by_chance.bytes, 5000);
	tear_down();

	leaks.compares = true;
	turn_over(ARRAY_SIZE(now), now, false);
	turn_over(ARRAY_SIZE(now), now, true);
	leaks_sum(&leaks, NULL);
	ck_assert_uint_eq(leaks.groups.count, 1);
	ck_assert_int_eq(leaks.amount.bytes, 21000);
}
END_TEST

START_TEST(a_little_growth_of_many_stacks_is_counted)
{
	int64_t now[100];

	for (size_t i = 0; i < ARRAY_SIZE(now); i++)
		now[i] = 11000;
	leaks.compares = true;
	turn_over(ARRAY_SIZE(now), now, false);
	turn_over(ARRAY_SIZE(now), now, true);
	leaks_sum(&leaks, NULL);
	ck_assert_int_eq(leaks.amount.bytes, 200000);
	ck_assert_uint_eq(leaks.stacks_by_chance, 0);
}
END_TEST

START_TEST(what_was_never_freed_has_grown)
{
	leaks.compares = true;
	begin("host", 7);
	hold("other", "/p/a.so", "aa", 100, 1);
	end();
	begin("host", 7);
	hold("other", "/p/a.so", "aa", 100, 1);
	hold("new", "/p/a.so", "aa", 1, 1);
	end();
	leaks_sum(&leaks, NULL);
	ck_assert_int_eq(leaks.amount.bytes, 1);
}
END_TEST

START_TEST(builds_are_told_apart_unless_they_are_compared)
{
	for (int compares = 0; compares < 2; compares++) {
		leaks.compares = compares;
		begin("host", 1);
		hold("f", "/p/a.so", "aaaabbbbccccdddd", 1, 5000);
		hold("f", "/p/a.so", "eeeeffff", 1, 4000);
		hold("f", "/p/only.so", "0123", 1, 1);
		end();
		leaks_sum(&leaks, NULL);
		ck_assert_uint_eq(leaks.groups.count, compares ? 2 : 3);
		ck_assert_str_eq(
			leaks.groups.items[0].one->build, compares ? "" : "aaaabbbbcccc");
		ck_assert_str_eq(leaks.groups.items[compares ? 1 : 2].one->build, "");
		tear_down();
	}
}
END_TEST

START_TEST(programs_are_two_when_neither_their_names_nor_any_stack_are_the_same)
{
	static const struct {
		const char *program, *function;
		bool is_one;
	} rows[] = { { "/b/host", "f", true }, { "/c/host", "g", true }, { "/b/other", "f", true },
		{ "/b/other", "g", false } };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		leaks.compares = true;
		begin("/b/host", 1);
		hold("f", "/p/a.so", "aa", 1, 5000);
		end();
		begin(rows[i].program, 2);
		hold(rows[i].function, "/p/a.so", "aa", 1, 5000);
		end();
		ck_assert_int_eq(leaks_are_of_one_program(&leaks), rows[i].is_one);
		tear_down();
	}
}
END_TEST

START_TEST(a_plugin_that_holds_nothing_is_told_of)
{
	begin("host", 1);
	hold("f", "/p/a.so", "aa", 1, 5000);
	profile_add_comment(p, LIFE_COMMENT "\tcc\t/p/b.so\t0\t1\t1\t1\t0\t3\t3\t2\t0\t1:5:6");
	ck_assert(leaks_profile_tells_of(p, "a.so"));
	ck_assert(leaks_profile_tells_of(p, "b.so"));
	ck_assert(leaks_profile_tells_of(p, "(host)"));
	ck_assert(!leaks_profile_tells_of(p, "host"));
	ck_assert(!leaks_profile_tells_of(p, "c.so"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("leaks");
	TCase *tests = tcase_create("leaks");

	tcase_add_checked_fixture(tests, NULL, tear_down);
	tcase_add_test(tests, the_error_is_that_of_the_sizes);
	tcase_add_test(tests, what_one_process_keeps_is_no_error_of_its_growth);
	tcase_add_test(tests, what_came_and_what_went_err_both);
	tcase_add_test(tests, what_came_and_went_at_once_does_not_err);
	tcase_add_test(tests, two_runs_err_independently);
	tcase_add_test(tests, what_is_exact_has_grown_from_an_estimate_with_its_error);
	tcase_add_test(tests, growth_by_chance_is_not_counted);
	tcase_add_test(tests, a_little_growth_of_many_stacks_is_counted);
	tcase_add_test(tests, what_was_never_freed_has_grown);
	tcase_add_test(tests, builds_are_told_apart_unless_they_are_compared);
	tcase_add_test(tests,
		programs_are_two_when_neither_their_names_nor_any_stack_are_the_same);
	tcase_add_test(tests, a_plugin_that_holds_nothing_is_told_of);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
