#define _GNU_SOURCE
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/compiler.h"
#include "cli/life.h"
#include "run_suite.h"
#include "spool/spool_writer.h"

static const struct spool_identity identity = { .session = 1, .period_ns = 1000000 };

static char root[] = "/tmp/test_life.XXXXXX";
static char folder[200], path[300];
static struct spool_writer w;
static struct profile *p;
static lives found;

static void set_up(void)
{
	strcpy(root + sizeof(root) - 7, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(root));
	snprintf(folder, sizeof(folder), "%s/spools", root);
	ck_assert_int_eq(spool_create(&w, folder, &identity, path, sizeof(path)), 0);
	p = profile_new();
}

static void tear_down(void)
{
	char command[300];

	lives_free(&found);
	profile_free(p);
	spool_abandon(&w);
	snprintf(command, sizeof(command), "rm -rf '%s'", root);
	ck_assert_int_eq(system(command), 0);
}

/* A library that was opened later, and its life record to be filled in. */
static struct spool_life *append(
	uint32_t id, const char *library, uint8_t build_id, uint64_t content_id)
{
	const struct spool_module module = { .id = id,
		.flags = SPOOL_MODULE_DLOPENED,
		.build_id_size = build_id ? 1 : 0,
		.build_id = { build_id },
		.path_length = (uint32_t)strlen(library),
		.loads = 12,
		.unloads = 11,
		.segment_count = 1,
		.names_length = 1 };
	const struct spool_segment segment = { 0x1000, 0x2000, 0x1000 };
	const struct spool_life life = { .module_id = id,
		.references = SPOOL_UNKNOWN,
		.descriptors_before = SPOOL_UNKNOWN,
		.descriptors_after = SPOOL_UNKNOWN,
		.content_id = content_id };
	struct spool_life *written;

	ck_assert_ptr_nonnull(spool_append_module(&w, &module, &segment, library, ""));
	written = spool_append_life(&w, &life);
	ck_assert_ptr_nonnull(written);
	return written;
}

/* Through the spool into comments, and back. */
static void read_lives(void)
{
	struct spool_reader *spool;
	struct plugins plugins;

	spool_begin(&w);
	ck_assert_int_eq(spool_reader_open(path, &spool), 0);
	plugins_find(&plugins, spool);
	life_add_comments(p, spool, &plugins);
	lives_read(p, &found);
	plugins_free(&plugins);
	spool_reader_free(spool);
}

START_TEST(what_the_agent_wrote_of_a_life_is_read_from_the_comments)
{
	struct spool_life *life = append(1, "/p/lib x.so", 0xab, 0);
	const uint64_t start_ns = w.header->start_monotonic_ns;
	const struct life *l;

	life->kept = SPOOL_KEPT_FAILED;
	life->kept_error = ENOSPC;
	life->references = 1;
	life->descriptors_before = 5;
	life->descriptors_after = 991;
	for (uint64_t number = 5; number <= 12; number++)
		life->generations[number % SPOOL_GENERATIONS_MAX] = (struct spool_generation){
			.number = number,
			.load_ns = start_ns + 10 * number,
			.unload_ns = number < 12 ? start_ns + 10 * number + 5 : 0,
		};
	read_lives();
	ck_assert_uint_eq(found.count, 1);
	l = &found.items[0];
	ck_assert_str_eq(l->path, "/p/lib x.so");
	ck_assert_str_eq(l->build_id, "ab");
	ck_assert_uint_eq(l->content_id, 0);
	ck_assert(l->is_plugin);
	ck_assert_uint_eq(l->loads, 12);
	ck_assert_uint_eq(l->unloads, 11);
	ck_assert_int_eq(l->references, 1);
	ck_assert_int_eq(l->descriptors_before, 5);
	ck_assert_int_eq(l->descriptors_after, 991);
	ck_assert_str_eq(life_kept_reason(l), strerror(ENOSPC));
	ck_assert_uint_eq(l->generations.count, 8);
	for (size_t i = 0; i < 8; i++) {
		const struct life_generation *g = &l->generations.items[i];

		ck_assert_uint_eq(g->number, i + 5);
		ck_assert_int_eq(g->load_ns, 10 * ((int64_t)i + 5));
		ck_assert(g->is_unloaded == (i < 7));
		if (g->is_unloaded)
			ck_assert_int_eq(g->unload_ns, g->load_ns + 5);
	}
	ck_assert_ptr_eq(lives_find(&found, "/p/lib x.so", "ab"), l);
	ck_assert_ptr_null(lives_find(&found, "/p/lib x.so", "ac"));
}
END_TEST

START_TEST(what_is_not_known_stays_so)
{
	append(1, "/p/lib.so", 0xab, 0);
	read_lives();
	ck_assert_int_eq(found.items[0].references, -1);
	ck_assert_int_eq(found.items[0].descriptors_before, -1);
	ck_assert_int_eq(found.items[0].descriptors_after, -1);
	ck_assert_uint_eq(found.items[0].generations.count, 0);
	ck_assert_str_eq(life_kept_reason(&found.items[0]), "the process ended before");
}
END_TEST

START_TEST(a_library_without_build_id_is_known_by_its_content)
{
	append(1, "/p/one.so", 0, UINT64_C(0xfedcba9876543210));
	append(2, "/p/two.so", 0, 21);
	append(3, "/p/two.so", 0, 22);
	read_lives();
	ck_assert_uint_eq(lives_find_content(&found, "/p/one.so"), UINT64_C(0xfedcba9876543210));
	ck_assert_uint_eq(lives_find_content(&found, "/p/two.so"), LIFE_AMBIGUOUS);
	ck_assert_uint_eq(lives_find_content(&found, "/p/three.so"), 0);
}
END_TEST

START_TEST(the_store_is_told_and_found)
{
	ck_assert(spool_append_text(&w, SPOOL_TEXT_STORE, "/one:/two"));
	read_lives();
	ck_assert_str_eq(life_find_comment(p, STORE_COMMENT), "/one:/two");
	ck_assert_ptr_null(life_find_comment(p, LIFE_COMMENT));
}
END_TEST

/* Comments are anybody's: each of these is read without harm. */
START_TEST(comments_that_are_cut_or_wrong_are_read_as_far_as_they_go)
{
	static const char *const texts[] = { "", "\t", "\tab", "\tab\t/p", "\tab\t/p\tzz\t2\t-1",
		"\tab\t/p\t0\t1\t99999999999999999999\t1\t-99999999999999999999\t1\t2\t77\t0\t1:2",
		"\tab\t/p\t0\t1\t1\t1\t1\t1\t2\t9\t4294967295\t1:2:3,,4",
		"\tab\t/p\t0\t1\t1\t1\t1\t1\t2\t2\t0\t1:2", "\t\t\t\t\t\t\t\t\t\t\t0:1:2,3:4:5",
		"\tab\t/p\t0\t1\t1\t1\t1\t1\t2\t2\t0\t"
		"1:1:,2:2:,3:3:,4:4:,5:5:,6:6:,7:7:,8:8:,9:9:" };

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		char *text = xasprintf(LIFE_COMMENT "%s", texts[i]);

		profile_add_comment(p, text);
		free(text);
	}
	lives_read(p, &found);
	ck_assert_uint_eq(found.count, ARRAY_SIZE(texts) - 1); /* without a tab it is none */
	ck_assert_str_eq(found.items[0].path, "");
	ck_assert_str_eq(found.items[2].path, "/p");
	ck_assert_uint_eq(found.items[4].loads, UINT64_MAX);
	ck_assert_uint_eq(found.items[5].generations.count, 1);
	ck_assert_uint_eq(found.items[6].generations.count, 0);
	ck_assert_uint_eq(found.items[7].generations.count, 0);
	ck_assert_uint_eq(found.items[8].generations.count, SPOOL_GENERATIONS_MAX);
	for (size_t i = 0; i < found.count; i++)
		ck_assert_ptr_nonnull(life_kept_reason(&found.items[i]));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("life");
	TCase *tests = tcase_create("life");

	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, what_the_agent_wrote_of_a_life_is_read_from_the_comments);
	tcase_add_test(tests, what_is_not_known_stays_so);
	tcase_add_test(tests, a_library_without_build_id_is_known_by_its_content);
	tcase_add_test(tests, the_store_is_told_and_found);
	tcase_add_test(tests, comments_that_are_cut_or_wrong_are_read_as_far_as_they_go);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
