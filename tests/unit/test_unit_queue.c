/* Units that are read for some of their addresses, and ahead by a second thread, give what they
 * give when they are read whole, one by one. */
#define _GNU_SOURCE
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "../fixtures/build_fixture.h"
#include "base/vec.h"
#include "run_suite.h"
#include "symbol/dwarf_form.h"
#include "symbol/symbolizer.h"
#include "symbol/unit_queue.h"

#define UNITS 8
#define ROUNDS 20
#define SOME_ADDRESSES 3 /* of a unit */

static struct binary *library;
static struct dwarf_file *file;
static struct unit_queue *queue;

static void build_library(void)
{
	fixture_begin();
	fixture_run("cp $FIXTURES/unit.cc .; for i in 1 2 3 4 5 6 7 8; do"
		    " $CXX -O2 -g -fPIC -DUNIT=$i -c unit.cc -o unit$i.o || exit; done");
	fixture_run("$CXX -shared -Wl,--build-id unit?.o -o units.so");
}

static void open_library(void)
{
	ck_assert_int_eq(binary_open(fixture_path("units.so"), &library), 0);
	file = dwarf_file_open(library, DWARF_WHOLE);
	ck_assert_ptr_nonnull(file);
	ck_assert_uint_ge(file->units.count, UNITS);
	queue = unit_queue_new();
}

static void close_library(void)
{
	unit_queue_free(queue);
	dwarf_file_close(file);
	binary_close(library);
}

/* --- the queue --- */

static struct dwarf_unit *unit(size_t number)
{
	return &file->units.items[number];
}

static void add_all(void)
{
	for (size_t i = 0; i < UNITS; i++) {
		dwarf_unit_prepare(unit(i));
		unit_queue_add(queue, unit(i), (struct dwarf_wanted){ .count = 0 });
	}
	unit_queue_start(queue, 1);
}

static void assert_read(struct dwarf_loaded *loaded, size_t number)
{
	struct dwarf_loaded *whole =
		dwarf_loaded_read(unit(number), (struct dwarf_wanted){ .count = 0 });

	ck_assert_ptr_nonnull(loaded);
	ck_assert_ptr_eq(loaded->unit, unit(number));
	ck_assert_uint_gt(loaded->tree.functions.count, 0);
	ck_assert_uint_eq(loaded->tree.functions.count, whole->tree.functions.count);
	ck_assert_uint_eq(loaded->tree.map.segments.count, whole->tree.map.segments.count);
	ck_assert_uint_eq(loaded->lines.rows.count, whole->lines.rows.count);
	dwarf_loaded_free(whole);
	dwarf_loaded_free(loaded);
}

START_TEST(units_come_out_as_they_went_in)
{
	for (int round = 0; round < ROUNDS; round++) {
		add_all();
		for (size_t i = 0; i < UNITS; i++)
			assert_read(unit_queue_take(queue, unit(i)), i);
		ck_assert_ptr_null(unit_queue_take(queue, unit(UNITS - 1)));
		unit_queue_clear(queue);
	}
}
END_TEST

START_TEST(units_that_nobody_asks_for_are_dropped)
{
	for (int round = 0; round < ROUNDS; round++) {
		add_all();
		for (size_t i = 1; i < UNITS; i += 3)
			assert_read(unit_queue_take(queue, unit(i)), i);
		ck_assert_ptr_null(unit_queue_take(queue, unit(0)));
		unit_queue_clear(queue);
	}
}
END_TEST

START_TEST(a_unit_far_ahead_is_the_callers_to_read_and_the_others_still_come)
{
	for (int round = 0; round < ROUNDS; round++) {
		add_all();
		ck_assert_ptr_null(unit_queue_take(queue, unit(UNITS - 1)));
		for (size_t i = 0; i < UNITS; i++)
			assert_read(unit_queue_take(queue, unit(i)), i);
		unit_queue_clear(queue);
	}
}
END_TEST

START_TEST(a_queue_can_be_left_in_the_middle)
{
	for (int round = 0; round < ROUNDS; round++) {
		add_all();
		assert_read(unit_queue_take(queue, unit(0)), 0);
		unit_queue_clear(queue);
		ck_assert_ptr_null(unit_queue_take(queue, unit(1)));
	}
	add_all(); /* and be freed so */
}
END_TEST

/* --- the symbolizer --- */

struct questions {
	VEC(struct symbol_question) list;
};

/* Each seventh address of the library's code, shuffled. */
static void ask_everywhere(struct questions *questions)
{
	const struct binary_segment *segments;
	const size_t count = binary_segments(library, &segments);

	for (size_t i = 0; i < count; i++) {
		const uint64_t size = segments[i].executable ? segments[i].memory_size : 0;

		for (uint64_t at = 0; at < size; at += 7)
			*VEC_PUSH(&questions->list) =
				(struct symbol_question){ .vaddr = segments[i].vaddr + at };
	}
	ck_assert_uint_gt(questions->list.count, 300);
	srand(7);
	for (size_t i = questions->list.count; i-- > 1;) {
		const size_t other = (size_t)rand() % (i + 1);
		const struct symbol_question swap = questions->list.items[i];

		questions->list.items[i] = questions->list.items[other];
		questions->list.items[other] = swap;
	}
}

static struct symbolizer *new_symbolizer(struct symbol_module **module)
{
	static const struct symbolizer_options options = { .thread_bytes = 1 };
	struct symbolizer *s = symbolizer_new(&options);

	*module = symbolizer_module(s, fixture_path("units.so"), NULL);
	return s;
}

static void assert_same_frames(const struct symbol_frames *a, const struct symbol_frames *b)
{
	ck_assert_uint_eq(a->count, b->count);
	ck_assert_int_eq(a->resolved, b->resolved);
	for (size_t i = 0; i < a->count; i++) {
		ck_assert_str_eq(a->frames[i].name, b->frames[i].name);
		ck_assert_str_eq(a->frames[i].system_name, b->frames[i].system_name);
		ck_assert_str_eq(a->frames[i].file, b->frames[i].file);
		ck_assert_uint_eq(a->frames[i].line, b->frames[i].line);
		ck_assert_uint_eq(a->frames[i].column, b->frames[i].column);
		ck_assert_uint_eq(a->frames[i].start_line, b->frames[i].start_line);
	}
}

/* QUESTIONS with a plan, beside ALL_AT_ONCE, whose units were read whole.  How many answers have
 * inlined functions. */
static size_t compare(struct symbolizer *all_at_once, struct symbol_module *its_module,
	struct symbol_question *questions, size_t count)
{
	struct symbol_frames expected, planned;
	struct symbol_module *module;
	struct symbolizer *s = new_symbolizer(&module);
	size_t inlined = 0;

	for (size_t i = 0; i < count; i++)
		questions[i].module = module;
	symbolizer_plan(s, questions, count);
	for (size_t i = 0; i < count; i++) {
		symbolizer_resolve(all_at_once, its_module, questions[i].vaddr, &expected);
		symbolizer_resolve(s, module, questions[i].vaddr, &planned);
		assert_same_frames(&planned, &expected);
		inlined += planned.count > 1;
	}
	symbolizer_free(s);
	return inlined;
}

static void compare_in_pieces(size_t size)
{
	struct questions questions = { { NULL, 0, 0 } };
	struct symbol_module *module;
	struct symbolizer *s = new_symbolizer(&module);
	size_t inlined = 0;

	ask_everywhere(&questions);
	for (size_t at = 0; at < questions.list.count; at += size) {
		const size_t left = questions.list.count - at;

		inlined += compare(
			s, module, &questions.list.items[at], left < size ? left : size);
	}
	ck_assert_uint_gt(inlined, 0);
	symbolizer_free(s);
	VEC_FREE(&questions.list);
}

START_TEST(few_addresses_have_the_answers_of_all)
{
	compare_in_pieces(UNITS * SOME_ADDRESSES);
}
END_TEST

START_TEST(one_address_has_the_answer_of_all)
{
	compare_in_pieces(1);
}
END_TEST

START_TEST(all_addresses_have_the_answers_of_each)
{
	compare_in_pieces(1u << 20);
}
END_TEST

START_TEST(what_was_not_planned_is_answered_too)
{
	struct questions questions = { { NULL, 0, 0 } };
	struct symbol_frames planned, expected;
	struct symbol_module *module, *its_module;
	struct symbolizer *s = new_symbolizer(&module), *other = new_symbolizer(&its_module);

	ask_everywhere(&questions);
	for (size_t i = 0; i < questions.list.count; i++)
		questions.list.items[i].module = module;
	symbolizer_plan(s, questions.list.items, 1);
	for (size_t i = 0; i < questions.list.count; i++) {
		symbolizer_resolve(s, module, questions.list.items[i].vaddr, &planned);
		symbolizer_resolve(other, its_module, questions.list.items[i].vaddr, &expected);
		assert_same_frames(&planned, &expected);
	}
	symbolizer_free(s);
	symbolizer_free(other);
	VEC_FREE(&questions.list);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("unit_queue");
	TCase *order = tcase_create("queue"), *answers = tcase_create("answers");

	tcase_add_unchecked_fixture(order, build_library, fixture_end);
	tcase_add_checked_fixture(order, open_library, close_library);
	tcase_set_timeout(order, 120);
	tcase_add_test(order, units_come_out_as_they_went_in);
	tcase_add_test(order, units_that_nobody_asks_for_are_dropped);
	tcase_add_test(order, a_unit_far_ahead_is_the_callers_to_read_and_the_others_still_come);
	tcase_add_test(order, a_queue_can_be_left_in_the_middle);
	suite_add_tcase(suite, order);
	tcase_add_unchecked_fixture(answers, build_library, fixture_end);
	tcase_add_checked_fixture(answers, open_library, close_library);
	tcase_set_timeout(answers, 120);
	tcase_add_test(answers, few_addresses_have_the_answers_of_all);
	tcase_add_test(answers, one_address_has_the_answer_of_all);
	tcase_add_test(answers, all_addresses_have_the_answers_of_each);
	tcase_add_test(answers, what_was_not_planned_is_answered_too);
	suite_add_tcase(suite, answers);
	return run_suite(suite);
}
