#define _GNU_SOURCE
#include <check.h>
#include <stdlib.h>

#include "cli/json.h"
#include "run_suite.h"

static char *text;
static size_t size;
static struct json j;

static void set_up(void)
{
	j = (struct json){ .to = open_memstream(&text, &size) };
	ck_assert_ptr_nonnull(j.to);
}

static void tear_down(void)
{
	free(text);
}

static void expect(const char *expected)
{
	fclose(j.to);
	ck_assert_str_eq(text, expected);
}

START_TEST(any_bytes_are_a_string)
{
	json_string(j.to, "a\"b\\c\n\x01\x7f/\xc3\xa4\xff\xc3");
	expect("\"a\\\"b\\\\c\\u000a\\u0001\\u007f/\xc3\xa4\xef\xbf\xbd\xef\xbf\xbd\"");
}
END_TEST

START_TEST(items_are_separated_by_commas_and_indented)
{
	json_begin_object(&j, NULL);
	json_text(&j, "path", "/p/x.so");
	json_begin_list(&j, "list");
	json_number(&j, NULL, INT64_MIN);
	json_begin_object(&j, NULL);
	json_bool(&j, "yes", true);
	json_null(&j, "none");
	json_end_object(&j);
	json_end_list(&j);
	json_bool(&j, "no", false);
	json_end_object(&j);
	expect("{\n"
	       "  \"path\": \"/p/x.so\",\n"
	       "  \"list\": [\n"
	       "    -9223372036854775808,\n"
	       "    {\n"
	       "      \"yes\": true,\n"
	       "      \"none\": null\n"
	       "    }\n"
	       "  ],\n"
	       "  \"no\": false\n"
	       "}\n");
}
END_TEST

START_TEST(what_is_empty_takes_no_line)
{
	json_begin_object(&j, NULL);
	json_begin_list(&j, "list");
	json_end_list(&j);
	json_begin_object(&j, "object");
	json_end_object(&j);
	json_end_object(&j);
	expect("{\n  \"list\": [],\n  \"object\": {}\n}\n");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("json");
	TCase *tests = tcase_create("json");

	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, any_bytes_are_a_string);
	tcase_add_test(tests, items_are_separated_by_commas_and_indented);
	tcase_add_test(tests, what_is_empty_takes_no_line);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
