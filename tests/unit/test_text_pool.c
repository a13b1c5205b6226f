#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "run_suite.h"
#include "symbol/text_pool.h"

static struct text_pool *pool;

static void start(void)
{
	pool = text_pool_new();
}

static void stop(void)
{
	text_pool_free(pool);
}

START_TEST(equal_texts_have_one_address)
{
	char copy[] = "memcpy";

	ck_assert_ptr_eq(text_pool_add(pool, "memcpy"), text_pool_add(pool, copy));
	ck_assert_ptr_ne(text_pool_add(pool, "memcpy"), text_pool_add(pool, "memmove"));
	ck_assert_ptr_eq(text_pool_add_sized(pool, "memcpy@plt", 6), text_pool_add(pool, copy));
	ck_assert_ptr_null(text_pool_add(pool, NULL));
}
END_TEST

static const struct {
	const char *text, *kept;
} texts[] = {
	{ "", "" },
	{ "plain", "plain" },
	{ "main.(*T)·f", "main.(*T)·f" },
	{ "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80" },
	{ "a\nb\x01\x7f", "a?b??" },
	{ "\xff\xfe", "??" },
	{ "\xc0\xaf", "??" }, /* an overlong '/' */
	{ "\xed\xa0\x80", "???" }, /* half of a surrogate pair */
	{ "\xf4\x90\x80\x80", "????" }, /* beyond Unicode */
	{ "torn \xe2\x82", "torn ??" },
};

START_TEST(what_pprof_would_refuse_becomes_question_marks)
{
	ck_assert_str_eq(text_pool_add(pool, texts[_i].text), texts[_i].kept);
}
END_TEST

START_TEST(a_text_without_end_is_cut)
{
	char *text = malloc(3 * TEXT_SIZE_MAX);

	memset(text, 'x', 3 * TEXT_SIZE_MAX);
	ck_assert_uint_eq(
		strlen(text_pool_add_sized(pool, text, 3 * TEXT_SIZE_MAX)), TEXT_SIZE_MAX);
	free(text);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("text_pool");
	TCase *tests = tcase_create("texts");

	tcase_add_checked_fixture(tests, start, stop);
	tcase_add_test(tests, equal_texts_have_one_address);
	tcase_add_loop_test(tests, what_pprof_would_refuse_becomes_question_marks, 0,
		sizeof(texts) / sizeof(texts[0]));
	tcase_add_test(tests, a_text_without_end_is_cut);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
