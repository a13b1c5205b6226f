#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "go_image.h"
#include "run_suite.h"
#include "symbol/go_table.h"

static bool open_version(int i, struct go_table *t)
{
	go_images[i].put();
	if (!go_table_open(t, bytes_over(go_image, sizeof(go_image)), go_images[i].text_start))
		return false;
	if (go_images[i].has_inlining)
		t->inlining = bytes_over(go_image + INLINING, sizeof(go_image) - INLINING);
	return true;
}

START_TEST(every_layout_gives_function_file_and_line)
{
	struct go_frame frames[GO_FRAMES_MAX];
	struct go_table t;

	ck_assert(open_version(_i, &t));
	ck_assert_uint_eq(go_table_find(&t, GO_TEXT + 5, frames), 1);
	ck_assert_str_eq(frames[0].function, "main.(*T).outer");
	ck_assert_str_eq(frames[0].file, "/src/main.go");
	ck_assert_uint_eq(frames[0].line, 10);
	ck_assert_uint_eq(go_table_find(&t, GO_TEXT + 0x1f, frames), 1);
	ck_assert_uint_eq(frames[0].line, 12);
	ck_assert_uint_eq(go_table_find(&t, GO_TEXT + 0x100, frames), 1);
	ck_assert_str_eq(frames[0].function, "main.last");
}
END_TEST

START_TEST(inlined_calls_are_frames_of_their_own)
{
	struct go_frame frames[GO_FRAMES_MAX];
	struct go_table t;

	ck_assert(open_version(_i, &t));
	if (!go_images[_i].has_inlining)
		return;
	ck_assert_uint_eq(go_table_find(&t, GO_TEXT + 0x25, frames), 2);
	ck_assert_str_eq(frames[0].function, "main.inner");
	ck_assert_uint_eq(frames[0].line, 44);
	ck_assert_str_eq(frames[1].function, "main.(*T).outer");
	ck_assert_uint_eq(frames[1].line, 12);
	ck_assert_uint_eq(go_table_find(&t, GO_TEXT + 0x30, frames), 1);
}
END_TEST

START_TEST(addresses_outside_have_no_neighbours_name)
{
	struct go_frame frames[GO_FRAMES_MAX];
	struct go_table t;

	ck_assert(open_version(_i, &t));
	ck_assert_uint_eq(go_table_find(&t, GO_TEXT - 1, frames), 0);
	ck_assert_uint_eq(go_table_find(&t, GO_TEXT + 0x140, frames), 0);
	ck_assert_uint_eq(go_table_find(&t, UINT64_MAX, frames), 0);
}
END_TEST

START_TEST(a_table_out_of_order_is_none)
{
	struct go_table t;

	put_go_1_18();
	put(FUNCTIONS + 8, 0x200, 4);
	ck_assert(!go_table_open(&t, bytes_over(go_image, sizeof(go_image)), 0));
	put_go_1_20();
	/* It does not tell where the text starts. */
	ck_assert(!go_table_open(&t, bytes_over(go_image, sizeof(go_image)), 0));
}
END_TEST

START_TEST(no_damage_leads_outside)
{
	struct go_frame frames[GO_FRAMES_MAX];
	struct go_table t;

	for (size_t at = 0; at < sizeof(go_image); at++)
		for (int bit = 0; bit < 8; bit += 3) {
			uint8_t *copy;

			go_images[_i].put();
			go_image[at] ^= (uint8_t)(1u << bit);
			copy = malloc(sizeof(go_image) - 64); /* for ASan to watch */
			memcpy(copy, go_image, sizeof(go_image) - 64);
			if (go_table_open(&t, bytes_over(copy, sizeof(go_image) - 64),
				    go_images[_i].text_start)) {
				t.inlining = bytes_over(
					copy + INLINING, sizeof(go_image) - 64 - INLINING);
				for (uint64_t a = 0; a < 0x150; a += 9)
					go_table_find(&t, GO_TEXT + a, frames);
			}
			free(copy);
		}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("go_table");
	TCase *tables = tcase_create("tables");

	tcase_add_loop_test(tables, every_layout_gives_function_file_and_line, 0, GO_IMAGES);
	tcase_add_loop_test(tables, inlined_calls_are_frames_of_their_own, 0, GO_IMAGES);
	tcase_add_loop_test(
		tables, addresses_outside_have_no_neighbours_name, 0, GO_IMAGES);
	tcase_add_test(tables, a_table_out_of_order_is_none);
	tcase_add_loop_test(tables, no_damage_leads_outside, 0, GO_IMAGES);
	suite_add_tcase(suite, tables);
	return run_suite(suite);
}
