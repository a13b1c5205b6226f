#define _GNU_SOURCE
#include <check.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/live_filter.h"
#include "base/compiler.h"
#include "base/hash.h"
#include "run_suite.h"
#include "spool/heap_writer.h"
#include "spool/live_writer.h"
#include "spool_fixture.h"

#define RATE 524288

static void make_spool(struct spool_writer *spool, uint64_t rate_bytes)
{
	const struct spool_identity identity = { .period_ns = 1, .heap_rate_bytes = rate_bytes };

	ck_assert_int_eq(spool_create(spool, folder, &identity, path, sizeof(path)), 0);
	spool_begin(spool);
}

static void set_up(void)
{
	make_folder();
	make_spool(&w, RATE);
}

/* The slot of stack NUMBER, whose frames say which it is. */
static uint32_t intern(struct spool_writer *spool, uint64_t number, size_t frame_count)
{
	spool_frame frames[SPOOL_FRAMES_PER_STACK_MAX];
	struct spool_heap_site site = { .kind = SPOOL_HEAP_BLOCK, .size_class = 6 };
	uint32_t slot = UINT32_MAX;

	for (size_t i = 0; i < frame_count; i++)
		frames[i] = spool_frame_of(1, number * 1000 + i);
	site.frames_hash = spool_hash_frames(0, frames, frame_count);
	ck_assert(spool_intern_heap_stack(spool, &site, frames, frame_count, &slot));
	return slot;
}

static bool add(uint64_t address, uint64_t size, uint32_t stack)
{
	return spool_add_live(&w,
		&(struct spool_live){
			.address = address, .size = size, .time_ns = 7, .stack = stack},
		0);
}

static bool remove_live(uint64_t address, struct spool_live *was)
{
	if (!spool_remove_live(&w, address, 0, was))
		return false;
	live_filter_remove(address);
	return true;
}

static size_t count_live(const struct spool_reader *r)
{
	struct spool_live live;
	size_t count = 0;

	for (size_t at = 0; spool_reader_next_live(r, &at, &live);)
		count++;
	return count;
}

/* --- weights --- */

START_TEST(a_sample_stands_for_the_inverse_of_its_probability)
{
	static const uint64_t sizes[] = { 1, 16, 100, 4096, 65536, 524288, 10 << 20 };
	static const uint64_t rates[] = { 2, 64, 4096, 524288, 1 << 30 };

	for (size_t s = 0; s < ARRAY_SIZE(sizes); s++)
		for (size_t i = 0; i < ARRAY_SIZE(rates); i++) {
			const double p = -expm1(-(double)sizes[s] / (double)rates[i]);
			const struct heap_weight weight = heap_weight_of(sizes[s], rates[i]);

			ck_assert_double_eq_tol(
				(double)weight.objects, HEAP_OBJECT / p, 0.5 + 1e-9 / p);
			ck_assert_double_eq_tol(
				(double)weight.bytes, (double)sizes[s] / p, 0.5 + 1e-9 / p);
		}
}
END_TEST

START_TEST(at_a_rate_of_one_every_block_stands_for_itself)
{
	ck_assert_uint_eq(heap_weight_of(0, 1).objects, HEAP_OBJECT);
	ck_assert_uint_eq(heap_weight_of(0, 1).bytes, 0);
	ck_assert_uint_eq(heap_weight_of(1, 1).objects, HEAP_OBJECT);
	ck_assert_uint_eq(heap_weight_of(12345, 1).bytes, 12345);
}
END_TEST

START_TEST(the_size_class_is_the_next_power_of_two)
{
	ck_assert_uint_eq(heap_size_class(0), 0);
	ck_assert_uint_eq(heap_size_class(1), 0);
	ck_assert_uint_eq(heap_size_class(2), 1);
	ck_assert_uint_eq(heap_size_class(3), 2);
	ck_assert_uint_eq(heap_size_class(4096), 12);
	ck_assert_uint_eq(heap_size_class(4097), 13);
}
END_TEST

/* --- the tables --- */

START_TEST(what_is_allocated_and_not_freed_is_read_back)
{
	struct spool_heap_stack_view stack;
	struct spool_reader *r;
	struct spool_live live, was;
	uint32_t slot = intern(&w, 5, 3);
	size_t at = 0;

	spool_add_allocation(&w, slot, (struct heap_weight){ 3 * HEAP_OBJECT, 300 });
	spool_add_allocation(&w, intern(&w, 5, 3), (struct heap_weight){ HEAP_OBJECT, 64 });
	ck_assert(add(0x1000, 100, slot));
	ck_assert(add(0x2000, 64, slot));
	ck_assert(spool_remove_live(&w, 0x1000, 0, &was));
	ck_assert_uint_eq(was.size, 100);
	ck_assert(!spool_remove_live(&w, 0x1000, 0, &was));
	ck_assert(!spool_remove_live(&w, 0x3000, 0, &was));

	r = read_back();
	ck_assert_uint_eq(spool_reader_heap_rate(r), RATE);
	ck_assert(spool_reader_next_heap_stack(r, &at, &stack));
	ck_assert_uint_eq(stack.slot, slot);
	ck_assert_uint_eq(stack.frame_count, 3);
	ck_assert_uint_eq(stack.frames[0], spool_frame_of(1, 5000));
	ck_assert_uint_eq(stack.alloc_objects, 4 * HEAP_OBJECT);
	ck_assert_uint_eq(stack.alloc_bytes, 364);
	ck_assert_uint_eq(stack.size_class, 6);
	ck_assert(!spool_reader_next_heap_stack(r, &at, &stack));
	at = 0;
	ck_assert(spool_reader_next_live(r, &at, &live));
	ck_assert_uint_eq(live.address, 0x2000);
	ck_assert_uint_eq(live.size, 64);
	ck_assert_uint_eq(live.stack, slot);
	ck_assert(!spool_reader_next_live(r, &at, &live));
	spool_reader_free(r);
}
END_TEST

START_TEST(a_null_pointer_is_never_among_the_live_ones)
{
	struct spool_live was;

	ck_assert(add(0x1000, 100, intern(&w, 1, 1)));
	ck_assert(!spool_remove_live(&w, 0, 0, &was));
	ck_assert(!spool_remove_live(&w, SPOOL_LIVE_BUSY, 0, &was));
}
END_TEST

START_TEST(without_a_rate_there_is_no_place_for_allocations)
{
	struct spool_reader *r;
	struct spool_writer none = { .header = NULL };
	size_t at = 0;

	make_spool(&none, 0);
	ck_assert_ptr_null(none.heap);
	r = read_back();
	ck_assert_uint_eq(spool_reader_heap_rate(r), 0);
	ck_assert(!spool_reader_next_live(r, &at, &(struct spool_live){ .size = 0 }));
	spool_reader_free(r);
	spool_abandon(&none);
}
END_TEST

START_TEST(many_live_ones_are_all_found_again)
{
	const uint32_t slot = intern(&w, 1, 1);
	struct spool_reader *r;
	struct spool_live was;

	for (uint64_t i = 1; i <= 20000; i++)
		ck_assert(add(i * 16, i, slot));
	r = read_back();
	ck_assert_uint_eq(count_live(r), 20000);
	spool_reader_free(r);
	for (uint64_t i = 1; i <= 20000; i++) {
		ck_assert(spool_remove_live(&w, i * 16, 0, &was));
		ck_assert_uint_eq(was.size, i);
	}
	r = read_back();
	ck_assert_uint_eq(count_live(r), 0);
	spool_reader_free(r);
}
END_TEST

/* However many were live in turn, with ten of them at once, freed by THREAD. */
static void check_slots_are_used_again(uint32_t thread)
{
	const uint32_t slot = intern(&w, 1, 1);
	struct spool_live was;

	for (uint64_t i = 1; i <= 100000; i++) {
		ck_assert(add(i * 16, i, slot));
		if (i > 10)
			ck_assert(spool_remove_live(&w, (i - 10) * 16, thread, &was));
	}
	ck_assert_uint_le(w.live_used, 32);
}

START_TEST(what_is_freed_leaves_its_slot_to_the_next)
{
	check_slots_are_used_again(0);
}
END_TEST

START_TEST(what_another_thread_has_freed_leaves_its_slot_too)
{
	check_slots_are_used_again(5);
}
END_TEST

START_TEST(blocks_that_lie_side_by_side_are_all_found)
{
	static const uint64_t steps[] = { 8, 16, 64, 4096, 1 << 20, (uint64_t)1 << 30 };
	const uint32_t slot = intern(&w, 1, 1);
	struct spool_live was;

	for (size_t s = 0; s < ARRAY_SIZE(steps); s++) {
		for (uint64_t i = 1; i <= 20000; i++)
			ck_assert(add(i * steps[s], i, slot));
		for (uint64_t i = 1; i <= 20000; i++) {
			ck_assert(spool_may_have_live(&w, i * steps[s]));
			ck_assert(spool_remove_live(&w, i * steps[s], 0, &was));
			ck_assert_uint_eq(was.size, i);
		}
	}
	for (uint64_t i = 1; i <= 20000; i++)
		ck_assert(!spool_may_have_live(&w, i * 16));
}
END_TEST

START_TEST(small_heaps_touch_little_memory)
{
	size_t touched = 0;

	for (uint64_t i = 1; i <= 1000; i++)
		ck_assert(add(i * 16, i, intern(&w, i % 50, 20)));
	for (size_t i = 0; i < SPOOL_CHUNKS_MAX; i++)
		touched += w.touched[i];
	ck_assert_uint_le(touched * SPOOL_CHUNK_SIZE, 512 << 10);
}
END_TEST

START_TEST(live_ones_that_find_no_place_are_counted)
{
	const uint32_t slot = intern(&w, 1, 1);
	uint32_t refused = 0;
	struct spool_reader *r;

	w.live_count = 1000;
	for (uint64_t i = 1; i <= 3000; i++)
		refused += !add(i * 16, i, slot);
	ck_assert_uint_eq(refused, 2000);
	ck_assert_uint_eq(w.header->counters[SPOOL_LOST_LIVE], refused);
	r = read_back();
	ck_assert_uint_eq(count_live(r), 3000 - refused);
	spool_reader_free(r);
}
END_TEST

START_TEST(stacks_that_find_no_slot_are_counted_under_the_full_frame)
{
	struct spool_heap_stack_view stack;
	uint64_t bytes = 0, full_bytes = 0;
	struct spool_reader *r;

	w.heap_stack_levels = 1;
	for (uint64_t i = 0; i < 3000; i++)
		spool_add_allocation(
			&w, intern(&w, i, 2), (struct heap_weight){ HEAP_OBJECT, 10 });
	r = read_back();
	for (size_t at = 0; spool_reader_next_heap_stack(r, &at, &stack);) {
		bytes += stack.alloc_bytes;
		if (stack.frames[0] == spool_frame_note(SPOOL_NOTE_TABLE_FULL, 0))
			full_bytes += stack.alloc_bytes;
	}
	ck_assert_uint_eq(bytes, 30000);
	ck_assert_uint_ge(full_bytes, 10 * (3000 - SPOOL_HEAP_STACKS_LEVEL0));
	ck_assert_uint_eq(w.header->counters[SPOOL_COUNT_HEAP_TABLE_FULL], full_bytes / 10);
	spool_reader_free(r);
}
END_TEST

START_TEST(an_entry_that_was_copied_while_it_changed_is_left_out)
{
	const uint32_t slot = intern(&w, 1, 1);
	struct spool_reader *r;
	size_t at = 0;

	ck_assert(add(0x1000, 100, slot));
	ck_assert(add(0x2000, 200, slot));
	while (w.live[at].address != 0x1000)
		at++;
	w.live[at].size = 101;
	r = read_back();
	ck_assert_uint_eq(count_live(r), 1);
	spool_reader_free(r);
	w.live[at].size = 100;
	w.live[at].stack = UINT32_MAX;
	r = read_back();
	ck_assert_uint_eq(count_live(r), 1);
	spool_reader_free(r);
}
END_TEST

START_TEST(a_child_holds_what_its_parent_held_and_has_allocated_nothing)
{
	const uint32_t slot = intern(&w, 9, 4);
	struct spool_heap_stack_view stack;
	struct spool_writer child = { .header = NULL };
	struct spool_reader *r;
	struct spool_live was;
	size_t at = 0;

	spool_add_allocation(&w, slot, (struct heap_weight){ HEAP_OBJECT, 10 });
	for (uint64_t i = 1; i <= 2000; i++)
		ck_assert(add(i * 16, i, slot));
	make_spool(&child, RATE);
	ck_assert(spool_inherit(&child, &w));
	ck_assert(spool_remove_live(&child, 16, 0, &was));
	r = read_back();
	ck_assert_uint_eq(count_live(r), 1999);
	ck_assert(spool_reader_next_heap_stack(r, &at, &stack));
	ck_assert_uint_eq(stack.alloc_bytes, 0);
	ck_assert_uint_eq(stack.frame_count, 4);
	ck_assert_uint_eq(stack.frames[3], spool_frame_of(1, 9003));
	ck_assert_uint_eq(intern(&child, 9, 4), slot);
	ck_assert(spool_remove_live(&w, 16, 0, &was));
	spool_reader_free(r);
	spool_abandon(&child);
}
END_TEST

/* --- threads --- */

#define THREADS 4
#define ROUNDS 20000
#define HELD 100

static pthread_barrier_t together;

/* Hold the last HELD blocks, at addresses of one's own, of stacks that all share. */
static void *come_and_go(void *argument)
{
	const uint64_t own = (uint64_t)((uintptr_t)argument + 1) << 32;
	struct spool_live was;

	pthread_barrier_wait(&together);
	for (uint64_t i = 1; i <= ROUNDS; i++) {
		const uint32_t slot = intern(&w, i % 200, 2 + i % 30);

		spool_add_allocation(&w, slot, (struct heap_weight){ HEAP_OBJECT, i });
		ck_assert(add(own + i * 16, i, slot));
		live_filter_add(own + i * 16);
		if (i <= HELD)
			continue;
		ck_assert(live_filter_has((void *)(own + (i - HELD) * 16)));
		ck_assert(remove_live(own + (i - HELD) * 16, &was));
		ck_assert_uint_eq(was.size, i - HELD);
	}
	return NULL;
}

START_TEST(threads_that_allocate_and_free_at_once_lose_and_invent_nothing)
{
	pthread_t threads[THREADS];
	struct spool_heap_stack_view stack;
	struct spool_live live;
	uint64_t objects = 0, bytes = 0;
	struct spool_reader *r;
	size_t stacks = 0;

	pthread_barrier_init(&together, NULL, THREADS);
	for (uintptr_t i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, come_and_go, (void *)i), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&together);
	r = read_back();
	for (size_t at = 0; spool_reader_next_heap_stack(r, &at, &stack); stacks++) {
		objects += stack.alloc_objects;
		bytes += stack.alloc_bytes;
	}
	ck_assert_uint_le(stacks, 600); /* (i % 200, i % 30) */
	ck_assert_uint_eq(objects, (uint64_t)THREADS * ROUNDS * HEAP_OBJECT);
	ck_assert_uint_eq(bytes, (uint64_t)THREADS * ROUNDS * (ROUNDS + 1) / 2);
	ck_assert_uint_eq(count_live(r), THREADS * HELD);
	for (size_t at = 0; spool_reader_next_live(r, &at, &live);)
		ck_assert_uint_gt(live.size, ROUNDS - HELD);
	spool_reader_free(r);
}
END_TEST

static bool is_over;

static void *read_all_the_time(void *argument)
{
	size_t *reads = argument;

	while (!__atomic_load_n(&is_over, __ATOMIC_RELAXED)) {
		struct spool_reader *r = read_back();
		struct spool_heap_stack_view stack;
		uint64_t *in_use = calloc(spool_reader_heap_slots(r), sizeof(*in_use));
		struct spool_live live;

		for (size_t at = 0; spool_reader_next_live(r, &at, &live);)
			in_use[live.stack] += HEAP_OBJECT;
		for (size_t at = 0; spool_reader_next_heap_stack(r, &at, &stack);) {
			ck_assert_uint_le(in_use[stack.slot], stack.alloc_objects);
			in_use[stack.slot] = 0;
		}
		/* Nothing is held by a stack that is not there. */
		for (uint32_t i = 0; i < spool_reader_heap_slots(r); i++)
			ck_assert_uint_eq(in_use[i], 0);
		free(in_use);
		spool_reader_free(r);
		++*reads;
	}
	return NULL;
}

START_TEST(at_no_moment_is_more_in_use_than_was_allocated)
{
	pthread_t reader, worker;
	size_t reads = 0;

	is_over = false;
	pthread_barrier_init(&together, NULL, 1);
	ck_assert_int_eq(pthread_create(&reader, NULL, read_all_the_time, &reads), 0);
	ck_assert_int_eq(pthread_create(&worker, NULL, come_and_go, NULL), 0);
	pthread_join(worker, NULL);
	__atomic_store_n(&is_over, true, __ATOMIC_RELAXED);
	pthread_join(reader, NULL);
	ck_assert_uint_gt(reads, 0);
}
END_TEST

#define HANDED_OVER 40000

static uint64_t handed_over; /* blocks that are there by now */

/* Free what the other thread has allocated, while its index grows. */
static void *free_for_another(void *argument)
{
	struct spool_live was;

	(void)argument;
	for (uint64_t i = 1; i <= HANDED_OVER; i++) {
		while (__atomic_load_n(&handed_over, __ATOMIC_ACQUIRE) < i)
			sched_yield();
		if (i % 4 == 0)
			ck_assert(spool_remove_live(&w, i * 48, 1, &was));
	}
	return NULL;
}

START_TEST(a_free_in_another_thread_finds_its_block_also_while_the_index_grows)
{
	const uint32_t slot = intern(&w, 1, 1);
	struct spool_reader *r;
	struct spool_live was;
	pthread_t other;

	handed_over = 0;
	ck_assert_int_eq(pthread_create(&other, NULL, free_for_another, NULL), 0);
	for (uint64_t i = 1; i <= HANDED_OVER; i++) {
		ck_assert(add(i * 48, i, slot));
		__atomic_store_n(&handed_over, i, __ATOMIC_RELEASE);
	}
	pthread_join(other, NULL);
	r = read_back();
	ck_assert_uint_eq(count_live(r), HANDED_OVER / 4 * 3);
	spool_reader_free(r);
	for (uint64_t i = 1; i <= HANDED_OVER; i++)
		ck_assert(spool_remove_live(&w, i * 48, 0, &was) == (i % 4 != 0));
}
END_TEST

/* --- the filter --- */

/* A block of SIZE bytes in a heap that begins at 1 MiB: the NUMBERth. */
static uint64_t block_of(uint64_t number, uint64_t size)
{
	return (1 << 20) + number * size;
}

static uint32_t count_known(uint64_t count, uint64_t size)
{
	uint32_t known = 0;

	for (uint64_t i = 0; i < count; i++)
		known += live_filter_has((void *)block_of(i, size));
	return known;
}

START_TEST(the_filter_knows_every_live_one_and_few_others)
{
	/* Of a heap of 1 GiB, a block in 512 KiB on average. */
	const uint64_t blocks = (1 << 30) / 48;

	ck_assert_uint_eq(count_known(1000, 48), 0);
	for (uint64_t i = 0; i < 2048; i++)
		live_filter_add(block_of(hash_mix(i) % blocks, 48));
	for (uint64_t i = 0; i < 2048; i++)
		ck_assert(live_filter_has((void *)block_of(hash_mix(i) % blocks, 48)));
	ck_assert_uint_lt(count_known(blocks, 48), blocks / 200);
}
END_TEST

START_TEST(the_filter_tells_big_blocks_apart_that_begin_alike)
{
	for (uint64_t i = 0; i < 4000; i += 2)
		live_filter_add(block_of(i, 1 << 20) + 16);
	for (uint64_t i = 1; i < 4000; i += 2)
		ck_assert(!live_filter_has((void *)(block_of(i, 1 << 20) + 16)));
}
END_TEST

START_TEST(the_filter_forgets_what_was_freed)
{
	for (uint64_t i = 0; i < 1000; i++)
		live_filter_add(block_of(i, 16));
	ck_assert_uint_eq(count_known(1000, 16), 1000);
	for (uint64_t i = 0; i < 1000; i++)
		live_filter_remove(block_of(i, 16));
	ck_assert_uint_eq(count_known(100000, 16), 0);
}
END_TEST

START_TEST(what_lies_too_closely_to_be_counted_is_never_denied)
{
	for (int i = 0; i < 1000; i++)
		live_filter_add(block_of(0, 16));
	for (int i = 0; i < 999; i++)
		live_filter_remove(block_of(0, 16));
	ck_assert(live_filter_has((void *)block_of(0, 16)));
}
END_TEST

START_TEST(what_the_filter_keeps_it_never_denies)
{
	live_filter_keep(block_of(0, 16));
	live_filter_remove(block_of(0, 16));
	ck_assert(live_filter_has((void *)block_of(0, 16)));
	ck_assert(!live_filter_has((void *)block_of(100, 16)));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("heap");
	TCase *weights = tcase_create("weights");
	TCase *tables = tcase_create("tables");
	TCase *threads = tcase_create("threads");
	TCase *filter = tcase_create("filter");

	tcase_add_test(weights, a_sample_stands_for_the_inverse_of_its_probability);
	tcase_add_test(weights, at_a_rate_of_one_every_block_stands_for_itself);
	tcase_add_test(weights, the_size_class_is_the_next_power_of_two);

	tcase_add_test(tables, what_is_allocated_and_not_freed_is_read_back);
	tcase_add_test(tables, a_null_pointer_is_never_among_the_live_ones);
	tcase_add_test(tables, without_a_rate_there_is_no_place_for_allocations);
	tcase_add_test(tables, many_live_ones_are_all_found_again);
	tcase_add_test(tables, what_is_freed_leaves_its_slot_to_the_next);
	tcase_add_test(tables, what_another_thread_has_freed_leaves_its_slot_too);
	tcase_add_test(tables, blocks_that_lie_side_by_side_are_all_found);
	tcase_add_test(tables, small_heaps_touch_little_memory);
	tcase_add_test(tables, live_ones_that_find_no_place_are_counted);
	tcase_add_test(tables, stacks_that_find_no_slot_are_counted_under_the_full_frame);
	tcase_add_test(tables, an_entry_that_was_copied_while_it_changed_is_left_out);
	tcase_add_test(tables, a_child_holds_what_its_parent_held_and_has_allocated_nothing);

	tcase_add_test(threads, threads_that_allocate_and_free_at_once_lose_and_invent_nothing);
	tcase_add_test(
		threads, a_free_in_another_thread_finds_its_block_also_while_the_index_grows);
	tcase_add_test(threads, at_no_moment_is_more_in_use_than_was_allocated);

	tcase_add_test(filter, the_filter_knows_every_live_one_and_few_others);
	tcase_add_test(filter, the_filter_tells_big_blocks_apart_that_begin_alike);
	tcase_add_test(filter, the_filter_forgets_what_was_freed);
	tcase_add_test(filter, what_lies_too_closely_to_be_counted_is_never_denied);
	tcase_add_test(filter, what_the_filter_keeps_it_never_denies);

	TCase *const cases[] = { weights, tables, threads, filter };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		tcase_add_checked_fixture(cases[i], set_up, remove_folder);
		tcase_set_timeout(cases[i], 60);
		suite_add_tcase(suite, cases[i]);
	}
	return run_suite(suite);
}
