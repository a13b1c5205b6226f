#include <check.h>
#include <errno.h>
#include <string.h>

#include "pprof/profile_merge.h"
#include "unit/run_suite.h"

/* A process with codec.so at START, which ran decode at START + 0x10 and read in no mapping. */
struct process {
	uint64_t start;
	const char *build_id, *file;
	int64_t value;
	bool named;
};

static struct profile *profile_of(const struct process *process)
{
	struct profile *p = profile_new();
	struct profile_mapping mapping = {
		.start = process->start,
		.limit = process->start + 0x2f00,
		.has_functions = process->named,
	};
	struct profile_line line = { .line = 7 };
	const int64_t values[] = { 1, process->value };
	struct profile_label label = { .key = profile_intern(p, "plugin") };
	uint32_t stack[2];

	label.str = profile_intern(p, "codec.so");
	profile_add_sample_type(p, "samples", "count");
	profile_add_sample_type(p, "cpu", "nanoseconds");
	p->period_type = p->sample_types.items[1];
	mapping.build_id = profile_intern(p, process->build_id);
	mapping.filename = profile_intern(p, process->file);
	line.function_id = profile_add_function(p, "decode", "", "codec.c", 5);
	stack[0] = profile_add_location(p, profile_add_mapping(p, &mapping), process->start + 0x10,
		&line, process->named ? 1 : 0);
	stack[1] = profile_add_location(p, 0, 0, &line, 1);
	profile_add_sample(p, stack, 2, values, &label, 1);
	profile_add_comment(p, "made by a test");
	return p;
}

static void add(struct profile_merge *m, struct profile *p)
{
	char *why = NULL;

	ck_assert_int_eq(profile_merge_add(m, p, NULL, &why), 0);
	ck_assert_ptr_null(why);
	profile_free(p);
}

static struct profile *sum_of(const struct process *a, const struct process *b)
{
	struct profile_merge *m = profile_merge_new();
	struct profile *sum;

	add(m, profile_of(a));
	add(m, profile_of(b));
	sum = profile_merge_take(m);
	profile_merge_free(m);
	return sum;
}

static int64_t value(const struct profile *p, size_t sample, size_t type)
{
	return p->values.items[p->samples.items[sample].first_value + type];
}

START_TEST(one_build_at_two_addresses_is_one_mapping_and_its_stacks_are_added)
{
	const struct process a = { 0x10000, "abcd", "/a/codec.so", 10, true };
	const struct process b = { 0x70000, "abcd", "/b/codec.so", 5, true };
	struct profile *sum = sum_of(&a, &b);

	ck_assert_uint_eq(sum->mappings.count, 1);
	ck_assert_uint_eq(sum->locations.count, 2);
	ck_assert_uint_eq(sum->functions.count, 1);
	ck_assert_uint_eq(sum->samples.count, 1);
	ck_assert_int_eq(value(sum, 0, 0), 2);
	ck_assert_int_eq(value(sum, 0, 1), 15);
	ck_assert_uint_eq(sum->locations.items[0].address, 0x10010);
	ck_assert_uint_eq(sum->comments.count, 1);
	profile_free(sum);
}
END_TEST

/* The same name and place, another build: never one function's time for another's. */
START_TEST(two_builds_of_one_file_stay_apart)
{
	const struct process a = { 0x10000, "abcd", "/a/codec.so", 10, true };
	const struct process b = { 0x10000, "ef01", "/a/codec.so", 5, true };
	struct profile *sum = sum_of(&a, &b);

	ck_assert_uint_eq(sum->mappings.count, 2);
	ck_assert_uint_eq(sum->samples.count, 2);
	ck_assert_str_eq(profile_string(sum, sum->mappings.items[1].build_id), "ef01");
	profile_free(sum);
}
END_TEST

START_TEST(without_a_build_id_a_file_is_known_by_its_name)
{
	const struct process a = { 0x10000, "", "/a/codec.so", 10, true };
	const struct process b = { 0x70000, "", "/a/codec.so", 5, true };
	const struct process c = { 0x70000, "", "/a/other.so", 5, true };
	struct profile *sum = sum_of(&a, &b);

	ck_assert_uint_eq(sum->mappings.count, 1);
	profile_free(sum);
	sum = sum_of(&a, &c);
	ck_assert_uint_eq(sum->mappings.count, 2);
	profile_free(sum);
}
END_TEST

/* Else nobody would look for the names that the second one lacks. */
START_TEST(a_file_without_names_stays_apart_from_the_same_with_names)
{
	const struct process named = { 0x10000, "abcd", "/a/codec.so", 10, true };
	const struct process raw = { 0x70000, "abcd", "/a/codec.so", 5, false };
	struct profile *sum = sum_of(&named, &named);

	ck_assert(sum->mappings.items[0].has_functions);
	profile_free(sum);
	sum = sum_of(&named, &raw);
	ck_assert_uint_eq(sum->mappings.count, 2);
	ck_assert(!sum->mappings.items[1].has_functions);
	ck_assert_uint_eq(sum->locations.items[2].address, 0x70010);
	ck_assert_uint_eq(sum->samples.count, 2);
	profile_free(sum);
}
END_TEST

START_TEST(times_are_added_and_the_earliest_start_and_longest_period_stay)
{
	const struct process process = { 0x10000, "abcd", "/a/codec.so", 10, true };
	struct profile_merge *m = profile_merge_new();
	static const int64_t starts[] = { 200, 100, 0, 300 };
	struct profile *sum;

	for (size_t i = 0; i < 4; i++) {
		struct profile *p = profile_of(&process);

		p->time_ns = starts[i];
		p->duration_ns = 7;
		p->period = (int64_t)i;
		add(m, p);
	}
	sum = profile_merge_take(m);
	ck_assert_int_eq(sum->time_ns, 100);
	ck_assert_int_eq(sum->duration_ns, 28);
	ck_assert_int_eq(sum->period, 3);
	profile_free(sum);
	profile_merge_free(m);
}
END_TEST

START_TEST(a_label_of_its_origin_keeps_each_profiles_samples_apart)
{
	const struct process process = { 0x10000, "abcd", "/a/codec.so", 10, true };
	struct profile_merge *m = profile_merge_new();
	static const char *const origins[] = { "one", "two", "one" };
	struct profile *sum;

	for (size_t i = 0; i < 3; i++) {
		struct profile *p = profile_of(&process);
		char *why = NULL;

		ck_assert_int_eq(profile_merge_add(m, p, origins[i], &why), 0);
		profile_free(p);
	}
	sum = profile_merge_take(m);
	ck_assert_uint_eq(sum->samples.count, 2);
	ck_assert_int_eq(value(sum, 0, 0), 2);
	ck_assert_uint_eq(sum->samples.items[1].label_count, 2);
	ck_assert_str_eq(profile_string(sum,
				 sum->labels.items[sum->samples.items[1].first_label].str),
		"two");
	profile_free(sum);
	profile_merge_free(m);
}
END_TEST

START_TEST(another_kind_of_samples_or_period_is_refused_and_both_are_named)
{
	const struct process process = { 0x10000, "abcd", "/a/codec.so", 10, true };
	struct profile_merge *m = profile_merge_new();
	struct profile *heap = profile_new(), *other = profile_of(&process), *sum;
	char *why = NULL;

	add(m, profile_of(&process));
	profile_add_sample_type(heap, "inuse_space", "bytes");
	ck_assert_int_eq(profile_merge_add(m, heap, NULL, &why), -EINVAL);
	ck_assert_ptr_nonnull(strstr(why, "inuse_space/bytes"));
	ck_assert_ptr_nonnull(strstr(why, "samples/count, cpu/nanoseconds"));
	free(why);
	other->period_type = other->sample_types.items[0];
	ck_assert_int_eq(profile_merge_add(m, other, NULL, &why), -EINVAL);
	ck_assert_ptr_nonnull(strstr(why, "samples/count"));
	free(why);
	sum = profile_merge_take(m);
	ck_assert_int_eq(value(sum, 0, 0), 1);
	profile_free(sum);
	profile_free(heap);
	profile_free(other);
	profile_merge_free(m);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("profile_merge");
	TCase *tests = tcase_create("merge");

	tcase_add_test(tests, one_build_at_two_addresses_is_one_mapping_and_its_stacks_are_added);
	tcase_add_test(tests, two_builds_of_one_file_stay_apart);
	tcase_add_test(tests, without_a_build_id_a_file_is_known_by_its_name);
	tcase_add_test(tests, a_file_without_names_stays_apart_from_the_same_with_names);
	tcase_add_test(tests, times_are_added_and_the_earliest_start_and_longest_period_stay);
	tcase_add_test(tests, a_label_of_its_origin_keeps_each_profiles_samples_apart);
	tcase_add_test(tests, another_kind_of_samples_or_period_is_refused_and_both_are_named);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
