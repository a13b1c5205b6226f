#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/compiler.h"
#include "pprof/profile.h"
#include "run_suite.h"

static struct profile *cpu_profile(void)
{
	struct profile *p = profile_new();

	profile_add_sample_type(p, "samples", "count");
	profile_add_sample_type(p, "cpu", "nanoseconds");
	return p;
}

static uint32_t frame(struct profile *p, const char *name)
{
	struct profile_line line = { .line = 1 };

	line.function_id = profile_add_function(p, name, "", "", 0);
	return profile_add_location(p, 0, 0, &line, 1);
}

static void sample(struct profile *p, uint32_t location_id, int64_t value, const char *plugin)
{
	const int64_t values[] = { 1, value };
	struct profile_label label = { .key = profile_intern(p, "plugin") };

	label.str = profile_intern(p, plugin);
	profile_add_sample(p, &location_id, 1, values, &label, plugin ? 1 : 0);
}

static int64_t total(const struct profile *p, size_t type)
{
	int64_t sum = 0;

	for (size_t i = 0; i < p->samples.count; i++)
		sum += p->values.items[p->samples.items[i].first_value + type];
	return sum;
}

static const char *leaf_name(const struct profile *p, size_t sample_index)
{
	const struct profile_sample *s = &p->samples.items[sample_index];
	uint32_t id = p->sample_locations.items[s->first_location];
	const struct profile_location *location = &p->locations.items[id - 1];
	const struct profile_line *line = &p->lines.items[location->first_line];

	return profile_string(p, p->functions.items[line->function_id - 1].name);
}

START_TEST(the_first_string_is_empty_and_null_means_it)
{
	struct profile *p = profile_new();

	ck_assert_str_eq(profile_string(p, 0), "");
	ck_assert_uint_eq(profile_intern(p, ""), 0);
	ck_assert_uint_eq(profile_intern(p, NULL), 0);
	profile_free(p);
}
END_TEST

START_TEST(equal_strings_have_one_id_and_are_copied)
{
	struct profile *p = profile_new();
	char text[] = "decode";
	uint32_t id = profile_intern(p, text);

	text[0] = 'r';
	ck_assert_str_eq(profile_string(p, id), "decode");
	ck_assert_uint_eq(profile_intern(p, "decode"), id);
	ck_assert_uint_ne(profile_intern(p, text), id);
	profile_free(p);
}
END_TEST

static const struct {
	const char *text, *repaired;
} utf8_cases[] = {
	{ "plain", "plain" },
	{ "h\xc3\xa9t\xe2\x82\xac\xf0\x9f\x8e\x89", "h\xc3\xa9t\xe2\x82\xac\xf0\x9f\x8e\x89" },
	{ "a\xff" "b", "a\xef\xbf\xbd" "b" },
	{ "\x80", "\xef\xbf\xbd" },
	/* overlong '/', a surrogate, U+110000 */
	{ "\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd" },
	{ "\xe0\x80\xaf", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
	{ "\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
	{ "\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
	/* torn at the end */
	{ "x\xe2\x82", "x\xef\xbf\xbd\xef\xbf\xbd" },
	{ "x\xf0\x9f\x8e", "x\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
	/* torn by a good letter */
	{ "\xc3(", "\xef\xbf\xbd(" },
	/* the highest and the lowest of each length */
	{ "\x7f\xc2\x80\xdf\xbf", "\x7f\xc2\x80\xdf\xbf" },
	{ "\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf",
		"\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf" },
	{ "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf" },
};

START_TEST(bytes_that_are_not_utf8_become_replacement_characters)
{
	struct profile *p = profile_new();
	uint32_t id = profile_intern(p, utf8_cases[_i].text);

	ck_assert_str_eq(profile_string(p, id), utf8_cases[_i].repaired);
	/* ... and are the same string when seen again, repaired or not. */
	ck_assert_uint_eq(profile_intern(p, utf8_cases[_i].text), id);
	ck_assert_uint_eq(profile_intern(p, utf8_cases[_i].repaired), id);
	profile_free(p);
}
END_TEST

START_TEST(equal_functions_and_locations_have_one_id_counted_from_1)
{
	struct profile *p = profile_new();
	const struct profile_mapping mapping = { .start = 0x1000, .limit = 0x2000 };
	uint32_t first = profile_add_mapping(p, &mapping);
	uint32_t second = profile_add_mapping(p, &mapping);
	uint32_t decode = profile_add_function(p, "decode", "_Z6decodev", "codec.cc", 3);
	struct profile_line line = { .function_id = decode, .line = 4 };

	ck_assert_uint_eq(first, 1);
	ck_assert_uint_eq(second, 2); /* two libraries, one after the other, at one address */
	ck_assert_uint_eq(decode, 1);
	ck_assert_uint_eq(profile_add_function(p, "decode", "_Z6decodev", "codec.cc", 3), 1);
	ck_assert_uint_eq(profile_add_function(p, "decode", "_Z6decodev", "codec.cc", 9), 2);
	ck_assert_uint_eq(profile_add_location(p, first, 0x1234, NULL, 0), 1);
	ck_assert_uint_eq(profile_add_location(p, first, 0x1234, &line, 1), 1);
	ck_assert_uint_eq(profile_add_location(p, second, 0x1234, NULL, 0), 2);
	ck_assert_uint_eq(p->locations.items[0].line_count, 0);
	profile_free(p);
}
END_TEST

START_TEST(locations_without_a_mapping_are_told_apart_by_their_lines)
{
	struct profile *p = profile_new();
	uint32_t lost = frame(p, "[lost]"), other = frame(p, "[other]");
	struct profile_line line = { .line = 1 };

	ck_assert_uint_ne(lost, other);
	ck_assert_uint_eq(frame(p, "[lost]"), lost);
	line.function_id = profile_add_function(p, "found", "", "", 0);
	profile_set_lines(p, lost, &line, 1);
	ck_assert_uint_eq(frame(p, "found"), lost);
	ck_assert_uint_ne(frame(p, "[lost]"), lost);
	profile_free(p);
}
END_TEST

START_TEST(samples_equal_in_stack_and_labels_become_one)
{
	struct profile *p = cpu_profile();
	uint32_t a = frame(p, "a"), b = frame(p, "b");

	sample(p, a, 10, "codec.so");
	sample(p, b, 20, "codec.so");
	sample(p, a, 5, "audio.so");
	sample(p, a, 7, NULL);
	sample(p, a, 100, "codec.so");
	ck_assert_uint_eq(p->samples.count, 4);
	ck_assert_int_eq(p->values.items[p->samples.items[0].first_value], 2);
	ck_assert_int_eq(p->values.items[p->samples.items[0].first_value + 1], 110);
	ck_assert_int_eq(total(p, 1), 142);
	profile_free(p);
}
END_TEST

START_TEST(a_prefix_of_a_stack_is_another_stack)
{
	struct profile *p = cpu_profile();
	const uint32_t stack[] = { frame(p, "leaf"), frame(p, "main") };
	const int64_t values[] = { 1, 1 };

	profile_add_sample(p, stack, 2, values, NULL, 0);
	profile_add_sample(p, stack, 1, values, NULL, 0);
	profile_add_sample(p, stack, 0, values, NULL, 0);
	profile_add_sample(p, stack, 2, values, NULL, 0);
	ck_assert_uint_eq(p->samples.count, 3);
	profile_free(p);
}
END_TEST

START_TEST(a_sum_past_64_bits_wraps_instead_of_trapping)
{
	struct profile *p = cpu_profile();
	uint32_t a = frame(p, "a");

	sample(p, a, INT64_MAX, NULL);
	sample(p, a, 1, NULL);
	ck_assert_int_eq(total(p, 1), INT64_MIN);
	profile_free(p);
}
END_TEST

START_TEST(compacting_drops_what_nothing_uses_and_keeps_the_order_and_the_meaning)
{
	struct profile *p = cpu_profile();
	uint32_t raw = frame(p, "codec.so!0x1144"), after = frame(p, "main");
	struct profile_line lines[2] = { { .line = 4 }, { .line = 9, .column = 2 } };

	lines[0].function_id = profile_add_function(p, "inlined", "", "codec.c", 0);
	lines[1].function_id = profile_add_function(p, "decode", "", "codec.c", 0);
	profile_set_lines(p, raw, lines, 2);
	sample(p, raw, 10, "codec.so");
	sample(p, after, 20, NULL);
	profile_add_comment(p, "3 lost");
	p->default_sample_type = profile_intern(p, "cpu");
	profile_intern(p, "never used");
	profile_compact(p);

	ck_assert_uint_eq(p->functions.count, 3);
	ck_assert_uint_eq(p->lines.count, 3);
	ck_assert_str_eq(leaf_name(p, 0), "inlined");
	ck_assert_str_eq(leaf_name(p, 1), "main");
	ck_assert_str_eq(profile_string(p, p->functions.items[0].name), "main");
	ck_assert_str_eq(profile_string(p, p->comments.items[0]), "3 lost");
	ck_assert_str_eq(profile_string(p, p->default_sample_type), "cpu");
	ck_assert_str_eq(profile_string(p, p->labels.items[0].str), "codec.so");
	ck_assert_int_eq(p->lines.items[p->locations.items[raw - 1].first_line + 1].column, 2);
	for (size_t i = 0; i < p->strings.count; i++) {
		ck_assert_str_ne(profile_string(p, (uint32_t)i), "never used");
		ck_assert_str_ne(profile_string(p, (uint32_t)i), "codec.so!0x1144");
	}
	/* Everything is still found. */
	sample(p, raw, 5, "codec.so");
	ck_assert_uint_eq(p->samples.count, 2);
	ck_assert_uint_eq(frame(p, "main"), after);
	profile_free(p);
}
END_TEST

START_TEST(compacting_an_empty_profile_leaves_it_empty)
{
	struct profile *p = profile_new();

	profile_compact(p);
	ck_assert_uint_eq(p->strings.count, 1);
	ck_assert_uint_eq(frame(p, "a"), 1);
	profile_free(p);
}
END_TEST

START_TEST(a_clone_has_the_same_ids_and_a_life_of_its_own)
{
	struct profile *p = cpu_profile();
	struct profile *copy;
	uint32_t a = frame(p, "a");

	sample(p, a, 10, "codec.so");
	p->time_ns = 5;
	copy = profile_clone(p);
	sample(copy, frame(copy, "b"), 1, NULL);
	sample(copy, frame(copy, "a"), 1, "codec.so");
	ck_assert_uint_eq(p->samples.count, 1);
	ck_assert_uint_eq(copy->samples.count, 2);
	ck_assert_uint_eq(frame(copy, "a"), a);
	profile_free(p);
	ck_assert_str_eq(leaf_name(copy, 0), "a");
	ck_assert_int_eq(copy->time_ns, 5);
	profile_free(copy);
}
END_TEST

/* Samples "f0".."fN" of value 0..N, in turn of the plugins given. */
static struct profile *many_samples(
	size_t count, const char *const *plugins, size_t plugin_count)
{
	struct profile *p = cpu_profile();

	for (size_t i = 0; i < count; i++) {
		char name[32];

		snprintf(name, sizeof(name), "f%zu", i);
		sample(p, frame(p, name), (int64_t)i, plugins[i % plugin_count]);
	}
	return p;
}

static const char *const two_plugins[] = { "audio.so", "codec.so" };

START_TEST(folding_keeps_the_largest_samples_in_order_and_every_total_exact)
{
	struct profile *p = many_samples(20, two_plugins, 2);
	int64_t count_before = total(p, 0), time_before = total(p, 1);

	profile_fold(p, 10);
	ck_assert_uint_eq(p->samples.count, 10);
	ck_assert_int_eq(total(p, 0), count_before);
	ck_assert_int_eq(total(p, 1), time_before);
	ck_assert_str_eq(leaf_name(p, 0), "(truncated)");
	ck_assert_str_eq(leaf_name(p, 1), "(truncated)");
	ck_assert_str_eq(leaf_name(p, 2), "f12");
	ck_assert_str_eq(leaf_name(p, 9), "f19");
	/* One per label set: 0 + 2 + ... + 10 and 1 + 3 + ... + 11. */
	ck_assert_str_eq(profile_string(p, p->labels.items[0].str), "audio.so");
	ck_assert_int_eq(p->values.items[1], 30);
	ck_assert_int_eq(p->values.items[3], 36);
	/* What only folded samples had is gone. */
	ck_assert_uint_eq(p->locations.count, 9);
	ck_assert_uint_eq(p->functions.count, 9);
	profile_free(p);
}
END_TEST

START_TEST(folding_leaves_alone_what_is_small_enough)
{
	struct profile *p = many_samples(10, two_plugins, 2);

	profile_fold(p, 10);
	ck_assert_uint_eq(p->samples.count, 10);
	ck_assert_uint_eq(p->locations.count, 10);
	profile_free(p);
}
END_TEST

START_TEST(folding_takes_a_large_negative_value_for_a_large_one)
{
	struct profile *p = many_samples(20, two_plugins, 2);

	sample(p, frame(p, "freed"), -1000, NULL);
	profile_fold(p, 10);
	ck_assert_uint_le(p->samples.count, 10);
	ck_assert_str_eq(leaf_name(p, p->samples.count - 1), "freed");
	ck_assert_int_eq(total(p, 1), 190 - 1000);
	profile_free(p);
}
END_TEST

START_TEST(folding_gives_up_labels_that_would_crowd_out_the_stacks)
{
	static const char *const requests[] = { "1", "2", "3", "4", "5", "6", "7", "8", "9", "10",
		"11", "12", "13", "14", "15", "16", "17", "18", "19", "20" };
	struct profile *p = many_samples(20, requests, 20);

	profile_fold(p, 10);
	ck_assert_uint_eq(p->samples.count, 10);
	ck_assert_str_eq(leaf_name(p, 0), "(truncated)");
	ck_assert_uint_eq(p->samples.items[0].label_count, 0);
	ck_assert_str_eq(leaf_name(p, 1), "f11");
	ck_assert_int_eq(total(p, 0), 20);
	ck_assert_int_eq(total(p, 1), 190);
	profile_free(p);
}
END_TEST

START_TEST(folding_twice_adds_to_the_truncated_frame_there_is)
{
	struct profile *p = many_samples(20, two_plugins, 1);

	profile_fold(p, 10);
	profile_fold(p, 5);
	ck_assert_uint_eq(p->samples.count, 4); /* it and the three largest */
	ck_assert_str_eq(leaf_name(p, 0), "(truncated)");
	ck_assert_int_eq(total(p, 1), 190);
	profile_free(p);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("profile");
	TCase *tests = tcase_create("model");

	tcase_add_test(tests, the_first_string_is_empty_and_null_means_it);
	tcase_add_test(tests, equal_strings_have_one_id_and_are_copied);
	tcase_add_loop_test(tests, bytes_that_are_not_utf8_become_replacement_characters, 0,
		ARRAY_SIZE(utf8_cases));
	tcase_add_test(tests, equal_functions_and_locations_have_one_id_counted_from_1);
	tcase_add_test(tests, locations_without_a_mapping_are_told_apart_by_their_lines);
	tcase_add_test(tests, samples_equal_in_stack_and_labels_become_one);
	tcase_add_test(tests, a_prefix_of_a_stack_is_another_stack);
	tcase_add_test(tests, a_sum_past_64_bits_wraps_instead_of_trapping);
	tcase_add_test(
		tests, compacting_drops_what_nothing_uses_and_keeps_the_order_and_the_meaning);
	tcase_add_test(tests, compacting_an_empty_profile_leaves_it_empty);
	tcase_add_test(tests, a_clone_has_the_same_ids_and_a_life_of_its_own);
	tcase_add_test(
		tests, folding_keeps_the_largest_samples_in_order_and_every_total_exact);
	tcase_add_test(tests, folding_leaves_alone_what_is_small_enough);
	tcase_add_test(tests, folding_takes_a_large_negative_value_for_a_large_one);
	tcase_add_test(tests, folding_gives_up_labels_that_would_crowd_out_the_stacks);
	tcase_add_test(tests, folding_twice_adds_to_the_truncated_frame_there_is);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
