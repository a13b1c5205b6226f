#define _GNU_SOURCE
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/labels.h"
#include "agent/plugprof.h"
#include "base/compiler.h"
#include "run_suite.h"
#include "spool/label_writer.h"
#include "spool_fixture.h"

static void make_spool(struct spool_writer *spool)
{
	const struct spool_identity identity = { .period_ns = 1 };

	ck_assert_int_eq(spool_create(spool, folder, &identity, path, sizeof(path)), 0);
	spool_begin(spool);
}

static void set_up(void)
{
	make_folder();
	make_spool(&w);
}

static void tear_down(void)
{
	labels_thread_ends();
	remove_folder();
}

/* Of a sample of this thread, now. */
static const char *own_labels(void)
{
	spool_frame frames[SPOOL_FRAMES_PER_STACK_MAX] = { spool_frame_of(1, 2) };

	return labels_of(frames, labels_append(frames, 1, labels_note(&w)));
}

START_TEST(before_anything_is_recorded_setting_a_label_does_nothing)
{
	char key[2 * PLUGPROF_LABEL_KEY_MAX];

	memset(key, 'k', sizeof(key) - 1);
	key[sizeof(key) - 1] = '\0';
	ck_assert_int_eq(plugprof_set_label("tenant", "blue"), 0);
	ck_assert_int_eq(plugprof_set_label(key, "blue"), 0);
	labels_start();
	ck_assert_str_eq(own_labels(), "");
}
END_TEST

START_TEST(a_label_is_there_until_it_is_removed)
{
	ck_assert_str_eq(own_labels(), "");
	ck_assert_int_eq(plugprof_set_label("tenant", "blue"), 0);
	ck_assert_str_eq(own_labels(), "tenant=blue");
	ck_assert_int_eq(plugprof_set_label("tenant", "red"), 0);
	ck_assert_str_eq(own_labels(), "tenant=red");
	ck_assert_int_eq(plugprof_set_label("other", NULL), 0);
	ck_assert_str_eq(own_labels(), "tenant=red");
	ck_assert_int_eq(plugprof_set_label("tenant", NULL), 0);
	ck_assert_str_eq(own_labels(), "");
	ck_assert_int_eq(plugprof_set_label("tenant", "blue"), 0);
	ck_assert_int_eq(plugprof_set_label("tenant", ""), 0);
	ck_assert_str_eq(own_labels(), "");
}
END_TEST

START_TEST(labels_are_one_set_in_whatever_order_they_are_given)
{
	spool_frame one[2] = { 0 }, other[2] = { 0 };

	plugprof_set_label("b", "2");
	plugprof_set_label("a", "1");
	plugprof_set_label("c", "3");
	ck_assert_str_eq(own_labels(), "a=1 b=2 c=3");
	ck_assert_uint_eq(labels_append(one, 1, labels_note(&w)), 2);
	plugprof_set_label("b", NULL);
	ck_assert_str_eq(own_labels(), "a=1 c=3");
	plugprof_set_label("b", "2");
	ck_assert_uint_eq(labels_append(other, 1, labels_note(&w)), 2);
	ck_assert_uint_eq(one[1], other[1]);
}
END_TEST

START_TEST(what_passes_a_limit_is_refused_and_leaves_the_labels_alone)
{
	char key[PLUGPROF_LABEL_KEY_MAX + 2], value[PLUGPROF_LABEL_BYTES_MAX + 1];

	plugprof_set_label("kept", "yes");
	memset(key, 'k', sizeof(key) - 1);
	key[sizeof(key) - 1] = '\0';
	memset(value, 'v', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	ck_assert_int_eq(plugprof_set_label(NULL, "x"), -1);
	ck_assert_int_eq(plugprof_set_label("", "x"), -1);
	ck_assert_int_eq(plugprof_set_label(key, "x"), -1);
	ck_assert_int_eq(plugprof_set_label(key + 1, "x"), 0);
	ck_assert_int_eq(plugprof_set_label(key + 1, NULL), 0);
	ck_assert_int_eq(plugprof_set_label("long", value), -1);
	value[PLUGPROF_LABEL_BYTES_MAX - (int)sizeof("kept yes long")] = '\0';
	ck_assert_int_eq(plugprof_set_label("long", value), -1);
	value[strlen(value) - 1] = '\0';
	ck_assert_int_eq(plugprof_set_label("long", value), 0);
	ck_assert_int_eq(plugprof_set_label("long", NULL), 0);
	for (char name[] = "1"; name[0] < '1' + PLUGPROF_LABELS_MAX - 1; name[0]++)
		ck_assert_int_eq(plugprof_set_label(name, "x"), 0);
	ck_assert_int_eq(plugprof_set_label("9", "x"), -1);
	ck_assert_str_eq(own_labels(), "1=x 2=x 3=x 4=x 5=x 6=x 7=x kept=yes");
}
END_TEST

static void *label_and_end(void *unused)
{
	ck_assert_int_eq(plugprof_set_label("thread", "short"), 0);
	labels_thread_ends();
	return unused;
}

START_TEST(threads_have_labels_of_their_own_and_give_their_place_back)
{
	plugprof_set_label("thread", "first");
	for (int i = 0; i < 5000; i++) {
		pthread_t thread;

		ck_assert_int_eq(pthread_create(&thread, NULL, label_and_end, NULL), 0);
		pthread_join(thread, NULL);
	}
	ck_assert_str_eq(own_labels(), "thread=first");
}
END_TEST

START_TEST(a_stack_of_full_depth_keeps_its_note_and_gets_its_labels)
{
	spool_frame frames[SPOOL_FRAMES_PER_STACK_MAX] = { 0 };
	struct spool_label_view labels[SPOOL_LABELS_MAX];
	struct spool_reader *r;
	const spool_frame note = spool_frame_note(SPOOL_NOTE_TOO_DEEP, 0);

	plugprof_set_label("depth", "full");
	frames[SPOOL_FRAMES_PER_STACK_MAX - 1] = note;
	ck_assert_uint_eq(labels_append(frames, SPOOL_FRAMES_PER_STACK_MAX, labels_note(&w)),
		SPOOL_FRAMES_PER_STACK_MAX);
	ck_assert_uint_eq(frames[SPOOL_FRAMES_PER_STACK_MAX - 2], note);
	r = read_back();
	ck_assert_uint_eq(spool_reader_labels(r, frames, SPOOL_FRAMES_PER_STACK_MAX, labels), 1);
	ck_assert_str_eq(labels[0].value, "full");
	spool_reader_free(r);
}
END_TEST

START_TEST(sets_that_find_no_room_are_counted)
{
	struct spool_reader *r;
	uint32_t refused = 0;

	for (int i = 0; i < 20000; i++) {
		char text[32];
		const int size = sprintf(text, "request%c%d", '\0', i) + 1;

		refused += spool_intern_labels(&w, text, (size_t)size) == 0;
	}
	ck_assert_uint_ge(refused, 20000 - 16384);
	ck_assert_uint_lt(refused, 20000 - 15000);
	r = read_back();
	ck_assert_uint_eq(spool_reader_labels_lost(r), refused);
	spool_reader_free(r);
}
END_TEST

/* As where each request has a label of its own. */
START_TEST(labels_leave_half_of_the_room_to_stacks)
{
	spool_frame frames[31];
	struct spool_reader *r;
	uint64_t lost, used;

	for (uint32_t i = 0; i < 30; i++)
		frames[i] = spool_frame_of(1, i);
	for (uint32_t i = 0; i < 40000; i++) {
		frames[30] = spool_frame_note(SPOOL_NOTE_LABELS, 1 + i);
		spool_append_sample(&w, frames, 31, 0, 1);
	}
	ck_assert(spool_is_half_full(&w));
	used = w.header->stacks_used;
	ck_assert_uint_gt(used, 8000);
	for (uint32_t i = 0; i < 5000; i++) {
		frames[0] = spool_frame_of(2, i);
		spool_append_sample(&w, frames, 30, 0, 1);
	}
	ck_assert_uint_eq(w.header->stacks_used, used + 5000);
	ck_assert_uint_eq(w.header->counters[SPOOL_COUNT_TABLE_FULL], 0);
	/* One that was there before goes on being counted. */
	frames[0] = spool_frame_of(1, 0);
	frames[30] = spool_frame_note(SPOOL_NOTE_LABELS, 1);
	r = read_back();
	lost = spool_reader_labels_lost(r);
	ck_assert_uint_eq(lost, 40000 - (used - 1));
	spool_append_sample(&w, frames, 31, 0, 1);
	ck_assert_uint_eq(spool_reader_labels_lost(r), lost);
	spool_reader_free(r);
}
END_TEST

START_TEST(a_child_has_its_parents_labels_and_sets)
{
	struct spool_writer child = { .header = NULL };

	plugprof_set_label("tenant", "blue");
	ck_assert_str_eq(own_labels(), "tenant=blue");
	make_spool(&child);
	ck_assert(spool_inherit(&child, &w));
	spool_abandon(&w);
	w = child;
	labels_restart_in_child();
	ck_assert_str_eq(own_labels(), "tenant=blue");
	plugprof_set_label("tenant", "red");
	ck_assert_str_eq(own_labels(), "tenant=red");
}
END_TEST

START_TEST(damaged_sets_are_no_labels)
{
	const uint32_t set = spool_intern_labels(&w, "key\0value", 10);
	const spool_frame note[] = { spool_frame_note(SPOOL_NOTE_LABELS, set) };
	struct spool_label_set good = w.label_sets[set - 1];
	const struct spool_label_set bad[] = {
		{ good.key, 0, good.size },
		{ good.key, SPOOL_LABELS_REFUSED, good.size },
		{ good.key, 4 << 20, good.size },
		{ good.key, good.text, UINT32_MAX },
		{ good.key, good.text, 9 }, /* no NUL behind the value */
		{ good.key, good.text, 3 },
		{ good.key, good.text, 0 },
	};
	struct spool_label_view labels[SPOOL_LABELS_MAX];
	struct spool_reader *r = read_back();

	ck_assert_uint_eq(spool_reader_labels(r, note, 1, labels), 1);
	ck_assert_str_eq(labels[0].key, "key");
	ck_assert_str_eq(labels[0].value, "value");
	spool_reader_free(r);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		w.label_sets[set - 1] = bad[i];
		r = read_back();
		ck_assert_uint_eq(spool_reader_labels(r, note, 1, labels), 0);
		spool_reader_free(r);
	}
	r = read_back();
	ck_assert_uint_eq(spool_reader_labels(r,
				  (spool_frame[]){ spool_frame_note(SPOOL_NOTE_LABELS, 0),
					  spool_frame_note(SPOOL_NOTE_LABELS, UINT32_MAX) },
				  2, labels),
		0);
	spool_reader_free(r);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("labels");
	TCase *threads = tcase_create("threads");
	TCase *sets = tcase_create("sets");
	TCase *before = tcase_create("before");

	tcase_add_checked_fixture(before, set_up, tear_down);
	tcase_add_test(before, before_anything_is_recorded_setting_a_label_does_nothing);
	suite_add_tcase(suite, before);

	tcase_add_test(threads, a_label_is_there_until_it_is_removed);
	tcase_add_test(threads, labels_are_one_set_in_whatever_order_they_are_given);
	tcase_add_test(threads, what_passes_a_limit_is_refused_and_leaves_the_labels_alone);
	tcase_add_test(threads, threads_have_labels_of_their_own_and_give_their_place_back);
	tcase_add_test(threads, a_stack_of_full_depth_keeps_its_note_and_gets_its_labels);
	tcase_add_test(sets, sets_that_find_no_room_are_counted);
	tcase_add_test(sets, labels_leave_half_of_the_room_to_stacks);
	tcase_add_test(sets, a_child_has_its_parents_labels_and_sets);
	tcase_add_test(sets, damaged_sets_are_no_labels);

	TCase *const cases[] = { threads, sets };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		tcase_add_checked_fixture(cases[i], labels_start, NULL);
		tcase_add_checked_fixture(cases[i], set_up, tear_down);
		suite_add_tcase(suite, cases[i]);
	}
	return run_suite(suite);
}
