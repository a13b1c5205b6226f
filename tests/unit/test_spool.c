#define _GNU_SOURCE
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/compiler.h"
#include "base/file.h"
#include "base/hash.h"
#include "run_suite.h"
#include "spool_fixture.h"

static const struct spool_identity identity = {
	.session = 77, .recorder_pid = 88, .period_ns = 10101010 };

static void set_up(void)
{
	make_folder();
	ck_assert_int_eq(spool_create(&w, folder, &identity, path, sizeof(path)), 0);
}

static uint64_t counter(const struct spool_reader *r, enum spool_counter which)
{
	return spool_reader_header(r)->counters[which];
}

/* Of all stacks. */
static uint64_t total_periods(const struct spool_reader *r)
{
	struct spool_stack_view view;
	uint64_t sum = 0;

	for (size_t at = 0; spool_reader_next_stack(r, &at, &view);)
		sum += view.periods;
	return sum;
}

static bool is_table_full(const struct spool_stack_view *view)
{
	return view->frame_count == 1 &&
		view->frames[0] == spool_frame_note(SPOOL_NOTE_TABLE_FULL, 0);
}

static uint64_t table_full_periods(const struct spool_reader *r)
{
	struct spool_stack_view view;
	uint64_t sum = 0;

	for (size_t at = 0; spool_reader_next_stack(r, &at, &view);)
		sum += is_table_full(&view) ? view.periods : 0;
	return sum;
}

/* Stack NUMBER: its frames say which it is. */
static void append_numbered(uint64_t number, size_t frame_count, uint64_t periods)
{
	spool_frame frames[SPOOL_FRAMES_PER_STACK_MAX];

	for (size_t i = 0; i < frame_count; i++)
		frames[i] = spool_frame_of(1, number * 1000 + i);
	spool_append_sample(&w, frames, frame_count, 0, periods);
}

/* --- round trip --- */

static const struct spool_module some_module = {
	.id = 1,
	.flags = SPOOL_MODULE_DLOPENED,
	.first_bias = 0x7f0000000000,
	.build_id_size = 3,
	.build_id = { 1, 2, 3 },
	.path_length = 9,
	.segment_count = 2,
	.names_length = 17,
};
static const struct spool_segment some_segments[] = { { 0x1000, 0x2000, 0x1000 },
	{ 0x5000, 0x1000, 0x4000 } };
static const char some_names[] = "libp.so\0libc.so.6"; /* soname, DT_NEEDED */

static struct spool_module *append_module(uint32_t id)
{
	struct spool_module module = some_module;

	module.id = id;
	module.names_length = sizeof(some_names);
	return spool_append_module(&w, &module, some_segments, "/p/lib.so", some_names);
}

START_TEST(what_is_written_is_read_back)
{
	const spool_frame frames[] = { spool_frame_of(1, 0x1234), spool_frame_of(1, 0x5678),
		spool_frame_note(SPOOL_NOTE_BAD_STACK, 1) };
	struct spool_module_view module;
	struct spool_stack_view stack;
	struct spool_reader *r;
	uint16_t name;
	size_t at = 0;

	ck_assert(spool_append_text(&w, SPOOL_TEXT_EXECUTABLE, "/usr/bin/host"));
	ck_assert(spool_append_text(&w, SPOOL_TEXT_OPTIONS, ""));
	ck_assert_ptr_nonnull(append_module(1));
	spool_begin(&w);
	name = spool_intern_thread_name(&w, "worker\0\0\0\0\0\0\0\0\0");
	spool_append_sample(&w, frames, 3, name, 5);
	spool_append_sample(&w, frames, 3, name, 2);
	spool_append_sample(&w, frames, 3, 0, 1);
	spool_count(&w, SPOOL_COUNT_TICKS, 8);

	r = read_back();
	ck_assert_str_eq(spool_reader_text(r, SPOOL_TEXT_EXECUTABLE), "/usr/bin/host");
	ck_assert_str_eq(spool_reader_text(r, SPOOL_TEXT_OPTIONS), "");
	ck_assert_str_eq(spool_reader_text(r, SPOOL_TEXT_FOLDER), "");
	ck_assert_uint_eq(spool_reader_module_count(r), 1);
	ck_assert(spool_reader_module(r, 1, &module));
	ck_assert_str_eq(module.path, "/p/lib.so");
	ck_assert_str_eq(module.soname, "libp.so");
	ck_assert(spool_module_needs(&module, "libc.so.6"));
	ck_assert(!spool_module_needs(&module, "libp.so"));
	ck_assert_uint_eq(module.module->flags, SPOOL_MODULE_DLOPENED);
	ck_assert_mem_eq(module.module->build_id, some_module.build_id, 3);
	ck_assert_mem_eq(module.segments, some_segments, sizeof(some_segments));
	ck_assert(!spool_reader_module(r, 0, &module));
	ck_assert(!spool_reader_module(r, 2, &module));
	ck_assert_uint_eq(counter(r, SPOOL_COUNT_TICKS), 8);
	ck_assert_uint_eq(total_periods(r), 8);
	while (spool_reader_next_stack(r, &at, &stack)) {
		ck_assert_uint_eq(stack.frame_count, 3);
		ck_assert_mem_eq(stack.frames, frames, sizeof(frames));
		ck_assert_uint_eq(stack.periods, stack.thread_name[0] ? 7 : 1);
		ck_assert_str_eq(stack.thread_name, stack.periods == 7 ? "worker" : "");
	}
	spool_reader_free(r);
}
END_TEST

START_TEST(the_header_says_whose_it_is_and_only_the_owner_may_read_it)
{
	const struct spool_header *h;
	struct spool_reader *r;
	struct stat st;

	spool_begin(&w);
	r = read_back();
	h = spool_reader_header(r);
	ck_assert_uint_eq(h->pid, (uint32_t)getpid());
	ck_assert_uint_eq(h->uid, geteuid());
	ck_assert_uint_eq(h->session, 77);
	ck_assert_uint_eq(h->recorder_pid, 88);
	ck_assert_uint_eq(h->period_ns, 10101010);
	ck_assert_uint_eq(h->image, 0);
	ck_assert_uint_gt(h->process_start_ticks, 0);
	ck_assert_uint_eq(h->state, SPOOL_RECORDING);
	spool_reader_free(r);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	ck_assert_int_eq(stat(folder, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0700);
}
END_TEST

START_TEST(a_spool_is_no_spool_before_it_begins_and_says_when_it_ends)
{
	struct spool_reader *r = NULL;

	ck_assert_int_eq(spool_reader_open(path, &r), -ENODATA);
	ck_assert_ptr_null(r);
	spool_begin(&w);
	spool_end(&w);
	r = read_back();
	ck_assert_uint_eq(spool_reader_header(r)->state, SPOOL_ENDED);
	ck_assert_uint_ge(spool_reader_header(r)->end_monotonic_ns,
		spool_reader_header(r)->start_monotonic_ns);
	spool_reader_free(r);
}
END_TEST

START_TEST(a_process_that_became_another_program_gets_another_spool)
{
	struct spool_writer second = { .header = NULL };
	char second_path[300];

	ck_assert_int_eq(
		spool_create(&second, folder, &identity, second_path, sizeof(second_path)), 0);
	ck_assert_str_ne(path, second_path);
	ck_assert_uint_eq(second.header->image, 1);
	spool_abandon(&second);
}
END_TEST

START_TEST(a_child_inherits_modules_and_names_but_no_samples)
{
	struct spool_module_view module;
	struct spool_writer child = { .header = NULL };
	struct spool_reader *r;
	uint16_t name;

	append_module(1);
	spool_begin(&w);
	name = spool_intern_thread_name(&w, "worker\0\0\0\0\0\0\0\0\0");
	append_numbered(1, 3, 5);
	ck_assert_int_eq(spool_create(&child, folder, &identity, path, sizeof(path)), 0);
	ck_assert(spool_inherit(&child, &w));
	spool_begin(&child);
	ck_assert_uint_eq(spool_intern_thread_name(&child, "worker\0\0\0\0\0\0\0\0\0"), name);
	spool_append_sample(&child, &(spool_frame){ spool_frame_of(1, 9) }, 1, name, 3);
	r = read_back();
	ck_assert(spool_reader_module(r, 1, &module));
	ck_assert_str_eq(module.path, "/p/lib.so");
	ck_assert_uint_eq(total_periods(r), 3);
	spool_reader_free(r);
	spool_abandon(&child);
}
END_TEST

START_TEST(a_killed_process_leaves_all_it_has_recorded)
{
	struct spool_reader *r;
	int status;
	pid_t child;

	spool_begin(&w);
	child = fork();
	if (child == 0) {
		for (uint64_t i = 0; i < 1000; i++)
			append_numbered(i % 10, 20, 1);
		kill(getpid(), SIGKILL);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	r = read_back();
	ck_assert_uint_eq(total_periods(r), 1000);
	spool_reader_free(r);
}
END_TEST

/* --- several threads --- */

#define THREADS 4
#define ROUNDS 20000

static pthread_barrier_t together;

/* Stacks 0-199 are everybody's, the others the thread's own. */
static void *append_many(void *argument)
{
	const uint64_t own = 1000 * (1 + (uint64_t)(uintptr_t)argument);

	pthread_barrier_wait(&together);
	for (uint64_t i = 0; i < ROUNDS; i++) {
		append_numbered(i % 200, 5 + i % 40, 1);
		append_numbered(own + i % 100, 5, 2);
	}
	return NULL;
}

static void run_together(void *(*run)(void *))
{
	pthread_t threads[THREADS];

	pthread_barrier_init(&together, NULL, THREADS);
	for (uintptr_t i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, run, (void *)i), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&together);
}

START_TEST(threads_that_append_at_once_lose_and_invent_nothing)
{
	struct spool_stack_view view;
	struct spool_reader *r;
	size_t stack_count = 0;

	spool_begin(&w);
	run_together(append_many);
	r = read_back();
	for (size_t at = 0; spool_reader_next_stack(r, &at, &view); stack_count++) {
		const uint64_t number = spool_frame_vaddr(view.frames[0]) / 1000;

		for (size_t i = 0; i < view.frame_count; i++)
			ck_assert_uint_eq(view.frames[i], spool_frame_of(1, number * 1000 + i));
		ck_assert_uint_eq(view.periods, number < 200 ? THREADS * (uint64_t)ROUNDS / 200
							     : 2 * (uint64_t)ROUNDS / 100);
	}
	ck_assert_uint_eq(stack_count, 200 + THREADS * 100);
	ck_assert_uint_eq(total_periods(r), THREADS * (uint64_t)ROUNDS * 3);
	ck_assert_uint_eq(counter(r, SPOOL_COUNT_TABLE_FULL), 0);
	spool_reader_free(r);
}
END_TEST

static void *intern_many(void *argument)
{
	const uintptr_t thread = (uintptr_t)argument;

	pthread_barrier_wait(&together);
	for (int i = 0; i < 2000; i++) {
		char name[16] = "";
		uint16_t index;

		snprintf(name, sizeof(name), "thread-%d", i % 100);
		index = spool_intern_thread_name(&w, name);
		ck_assert_uint_ne(index, 0);
		spool_append_sample(
			&w, &(spool_frame){ spool_frame_of(1, (uint64_t)(i % 100)) }, 1, index, 1);
	}
	return (void *)thread;
}

START_TEST(threads_that_name_themselves_at_once_get_their_own_names)
{
	struct spool_stack_view view;
	struct spool_reader *r;

	spool_begin(&w);
	run_together(intern_many);
	r = read_back();
	for (size_t at = 0; spool_reader_next_stack(r, &at, &view);) {
		char name[16];

		snprintf(name, sizeof(name), "thread-%d", (int)spool_frame_vaddr(view.frames[0]));
		ck_assert_str_eq(view.thread_name, name);
	}
	ck_assert_uint_eq(total_periods(r), THREADS * 2000);
	spool_reader_free(r);
}
END_TEST

START_TEST(equal_thread_names_are_one_and_long_ones_are_cut)
{
	ck_assert_uint_eq(spool_intern_thread_name(&w, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), 0);
	ck_assert_uint_eq(spool_intern_thread_name(&w, "a\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), 1);
	ck_assert_uint_eq(spool_intern_thread_name(&w, "123456789012345"), 2);
	ck_assert_uint_eq(spool_intern_thread_name(&w, "a\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), 1);
	ck_assert_uint_eq(spool_intern_thread_name(&w, "123456789012345"), 2);
	ck_assert_str_eq(w.thread_names[2].name, "123456789012345");
}
END_TEST

START_TEST(more_thread_names_than_there_is_room_for_are_no_name)
{
	for (uint32_t i = 1; i < w.thread_name_count + 10; i++) {
		char name[16] = "";

		snprintf(name, sizeof(name), "%u", i);
		ck_assert_uint_eq(
			spool_intern_thread_name(&w, name), i < w.thread_name_count ? i : 0);
	}
}
END_TEST

/* --- full --- */

/* Sum of what is in stacks, in the full frame and lost: always what was appended. */
static void check_all_accounted(uint64_t appended)
{
	struct spool_reader *r = read_back();

	ck_assert_uint_eq(total_periods(r) + counter(r, SPOOL_LOST_MEMORY), appended);
	ck_assert_uint_eq(table_full_periods(r), counter(r, SPOOL_COUNT_TABLE_FULL));
	spool_reader_free(r);
}

START_TEST(stacks_that_find_no_slot_are_counted_under_the_full_frame)
{
	const uint64_t count = w.stack_count + 5000;
	struct spool_reader *r;

	spool_begin(&w);
	for (int round = 0; round < 2; round++)
		for (uint64_t i = 0; i < count; i++)
			append_numbered(i, 1, 3);
	r = read_back();
	ck_assert_uint_eq(total_periods(r), 6 * count);
	ck_assert_uint_ge(table_full_periods(r), 6 * 5000);
	ck_assert_uint_eq(table_full_periods(r), counter(r, SPOOL_COUNT_TABLE_FULL));
	spool_reader_free(r);
}
END_TEST

START_TEST(stacks_whose_frames_find_no_room_are_counted_under_the_full_frame)
{
	const uint64_t count = w.frame_count / 500 + 100;
	struct spool_reader *r;

	spool_begin(&w);
	for (int round = 0; round < 3; round++)
		for (uint64_t i = 0; i < count; i++)
			append_numbered(i, 500, 2);
	r = read_back();
	ck_assert_uint_eq(total_periods(r), 6 * count);
	ck_assert_uint_ge(table_full_periods(r), 6 * 100);
	ck_assert_uint_le(table_full_periods(r), 6 * 102);
	ck_assert_uint_eq(table_full_periods(r), counter(r, SPOOL_COUNT_TABLE_FULL));
	spool_reader_free(r);
}
END_TEST

static void *fill_frames(void *argument)
{
	pthread_barrier_wait(&together);
	for (uint64_t i = 0; i < w.frame_count / 500 + 200; i++)
		append_numbered(i, 500, 1);
	return argument;
}

START_TEST(threads_that_fill_the_frames_at_once_lose_nothing)
{
	const uint64_t count = THREADS * (w.frame_count / 500 + 200);

	spool_begin(&w);
	run_together(fill_frames);
	check_all_accounted(count);
}
END_TEST

/* A file cut short refuses its pages as a full tmpfs does. */
START_TEST(samples_whose_memory_is_refused_are_counted_as_lost)
{
	const struct spool_section *sections = w.header->sections;
	const uint64_t cuts[] = { sections[3].offset + 2 * SPOOL_CHUNK_SIZE,
		sections[2].offset + 5 * SPOOL_CHUNK_SIZE };

	spool_begin(&w);
	ck_assert_int_eq(truncate(path, (off_t)((cuts[_i] + 65535) & ~(uint64_t)65535)), 0);
	for (int round = 0; round < 3; round++)
		for (uint64_t i = 0; i < 3000; i++)
			append_numbered(i, 40, 1);
	/* Whole again for the reader; what was refused is a hole. */
	ck_assert_int_eq(truncate(path, (off_t)w.header->file_size), 0);
	ck_assert_uint_gt(w.header->counters[SPOOL_LOST_MEMORY] +
			w.header->counters[SPOOL_COUNT_TABLE_FULL],
		1000);
	check_all_accounted(9000);
}
END_TEST

START_TEST(a_full_journal_refuses_what_is_more_and_keeps_what_was_there)
{
	struct spool_module_view module;
	struct spool_reader *r;
	uint32_t count = 0;

	while (append_module(count + 1))
		count++;
	ck_assert_uint_gt(count, 1000);
	ck_assert_ptr_null(append_module(count + 1));
	while (spool_append_text(&w, SPOOL_TEXT_FOLDER, "a"))
		continue;
	spool_begin(&w);
	r = read_back();
	ck_assert_uint_eq(spool_reader_module_count(r), count);
	for (uint32_t id = 1; id <= count; id++)
		ck_assert(spool_reader_module(r, id, &module));
	spool_reader_free(r);
}
END_TEST

/* --- folders --- */

static int create_in(const char *name)
{
	struct spool_writer other = { .header = NULL };
	char other_path[300];
	int r = spool_create(&other, name, &identity, other_path, sizeof(other_path));

	if (r)
		ck_assert_ptr_null(other.header);
	else
		spool_abandon(&other);
	return r;
}

START_TEST(a_folder_that_others_may_write_to_is_refused)
{
	static const mode_t modes[] = { 0777, 0770, 0702, 0720, 01777 };

	ck_assert_int_eq(chmod(folder, modes[_i]), 0);
	ck_assert_int_eq(create_in(folder), -EPERM);
	ck_assert_int_eq(chmod(folder, 0755), 0);
	ck_assert_int_eq(create_in(folder), 0);
}
END_TEST

START_TEST(a_folder_of_another_user_is_refused)
{
	if (geteuid() != 0)
		return;
	ck_assert_int_eq(chown(folder, 12345, 12345), 0);
	ck_assert_int_eq(create_in(folder), -EPERM);
}
END_TEST

START_TEST(a_link_in_place_of_the_folder_is_not_followed)
{
	char link[300];

	snprintf(link, sizeof(link), "%s/link", root);
	ck_assert_int_eq(symlink(folder, link), 0);
	ck_assert_int_eq(create_in(link), -ENOTDIR);
	ck_assert_int_eq(create_in("/nowhere/at/all"), -ENOENT);
	ck_assert_int_eq(create_in(path), -ENOTDIR);
}
END_TEST

START_TEST(a_link_planted_where_the_spool_will_be_is_not_followed)
{
	char planted[300], target[300];
	struct stat st;

	snprintf(target, sizeof(target), "%s/target", root);
	snprintf(planted, sizeof(planted), "%s/%d.1.spool", folder, (int)getpid());
	ck_assert_int_eq(symlink(target, planted), 0);
	ck_assert_int_eq(create_in(folder), 0);
	ck_assert_int_eq(stat(target, &st), -1);
	snprintf(planted, sizeof(planted), "%s/%d.2.spool", folder, (int)getpid());
	ck_assert_int_eq(stat(planted, &st), 0);
}
END_TEST

START_TEST(a_path_that_does_not_fit_is_refused)
{
	struct spool_writer other = { .header = NULL };
	char other_path[60];

	ck_assert_int_eq(spool_create(&other, folder, &identity, other_path, sizeof(other_path)),
		-ENAMETOOLONG);
}
END_TEST

/* --- damaged spools --- */

/* Everything a reader can be asked. */
static uint64_t ask_all(const void *data, size_t size)
{
	struct spool_stack_view stack;
	struct spool_module_view module;
	struct spool_reader *r;
	uint64_t sum = 0;

	if (spool_reader_over(data, size, &r) != 0)
		return 0;
	for (int kind = 0; kind < 6; kind++)
		sum += strlen(spool_reader_text(r, (enum spool_text_kind)kind));
	for (uint32_t id = 0; id <= spool_reader_module_count(r) && id < 100; id++) {
		if (!spool_reader_module(r, id, &module))
			continue;
		sum += strlen(module.path) + strlen(module.soname) +
			spool_module_needs(&module, "libc.so.6");
		for (uint32_t i = 0; i < module.module->segment_count; i++)
			sum += module.segments[i].size;
	}
	for (size_t at = 0; spool_reader_next_stack(r, &at, &stack);) {
		for (size_t i = 0; i < stack.frame_count; i++)
			sum += stack.frames[i];
		sum += stack.periods + strlen(stack.thread_name);
	}
	spool_reader_free(r);
	return sum;
}

/* A good spool as small as one can be: the same sections, cut down to what is used. */
static uint8_t *small_spool(size_t *size)
{
	static uint8_t data[8192];
	struct spool_header *h = (void *)data;
	size_t at = sizeof(*h);

	spool_append_text(&w, SPOOL_TEXT_EXECUTABLE, "/usr/bin/host");
	append_module(1);
	append_module(2);
	spool_intern_thread_name(&w, "worker\0\0\0\0\0\0\0\0\0");
	spool_begin(&w);
	*h = *w.header;
	memcpy(data + at, w.journal, h->journal_used);
	h->sections[0].offset = at;
	h->sections[0].size = h->journal_used;
	at += h->journal_used;
	memcpy(data + at, w.thread_names, 4 * sizeof(*w.thread_names));
	h->sections[1].offset = at;
	h->sections[1].size = 4 * sizeof(*w.thread_names);
	at += h->sections[1].size;
	h->sections[2].offset = at;
	for (uint64_t i = 0; i < 8; i++) {
		const struct spool_stack stack = {.key = i + 1,
			.frames = 4 * i << 16 | 4,
			.periods = i + 1,
			.thread_name = i % 3};

		memcpy(data + at, &stack, sizeof(stack));
		at += sizeof(stack);
	}
	h->sections[2].size = at - h->sections[2].offset;
	h->sections[3].offset = at;
	for (uint64_t i = 0; i < 32; i++, at += sizeof(i)) {
		const spool_frame frame = spool_frame_of(1 + i % 2, 0x1000 + i);

		memcpy(data + at, &frame, sizeof(frame));
	}
	h->sections[3].size = at - h->sections[3].offset;
	h->file_size = at;
	*size = at;
	return data;
}

START_TEST(a_spool_cut_off_anywhere_is_read_as_far_as_it_is_whole)
{
	struct spool_reader *r;
	size_t size;
	const uint8_t *data = small_spool(&size);
	uint64_t before = 0;

	for (size_t kept = 0; kept <= size; kept++) {
		uint8_t *copy = malloc(kept ? kept : 1); /* its end is ASan's to watch */
		uint64_t periods = 0;

		memcpy(copy, data, kept);
		ask_all(copy, kept);
		if (spool_reader_over(copy, kept, &r) == 0) {
			periods = total_periods(r);
			ck_assert_int_eq(spool_reader_is_cut_short(r), kept < size);
			spool_reader_free(r);
		} else {
			ck_assert_uint_lt(kept, sizeof(struct spool_header));
		}
		ck_assert_uint_ge(periods, before);
		before = periods;
		free(copy);
	}
	ck_assert_uint_eq(before, 36);
}
END_TEST

START_TEST(a_spool_with_any_bytes_changed_is_never_read_outside)
{
	static const uint8_t changes[] = { 0x01, 0x80, 0xff, 0x40 };
	size_t size;
	uint8_t *data = small_spool(&size);

	for (size_t at = 0; at < size; at++)
		for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
			const size_t other = hash_mix(at * 5 + i) % size;

			data[at] ^= changes[i];
			ask_all(data, size);
			data[other] ^= 0xff;
			ask_all(data, size);
			data[other] ^= 0xff;
			data[at] ^= changes[i];
		}
}
END_TEST

static struct spool_header *header_of(uint8_t *data)
{
	return (struct spool_header *)data;
}

START_TEST(a_stack_whose_frames_are_elsewhere_is_left_out)
{
	static const uint64_t wrong[] = { 0, 4 << 16, 29 << 16 | 4, (uint64_t)1 << 63 | 4,
		UINT64_MAX, 513 };
	struct spool_reader *r;
	size_t size;
	uint8_t *data = small_spool(&size);
	struct spool_stack *stacks = (void *)(data + header_of(data)->sections[2].offset);

	stacks[7].frames = wrong[_i];
	ck_assert_int_eq(spool_reader_over(data, size, &r), 0);
	ck_assert_uint_eq(total_periods(r), 28);
	spool_reader_free(r);
}
END_TEST

START_TEST(what_is_no_spool_or_of_another_version_is_told_apart)
{
	struct spool_reader *r = NULL;
	size_t size;
	uint8_t *data = small_spool(&size);

	ck_assert_int_eq(spool_reader_over("", 0, &r), -EBADMSG);
	ck_assert_int_eq(spool_reader_over("plugspl", 8, &r), -EBADMSG);
	header_of(data)->version = SPOOL_VERSION + 1;
	ck_assert_int_eq(spool_reader_over(data, size, &r), -EPROTO);
	header_of(data)->version = SPOOL_VERSION;
	header_of(data)->magic[0] = 'P';
	ck_assert_int_eq(spool_reader_over(data, size, &r), -EBADMSG);
	header_of(data)->magic[0] = 'p';
	header_of(data)->period_ns = 0;
	ck_assert_int_eq(spool_reader_over(data, size, &r), -EBADMSG);
	header_of(data)->period_ns = 1;
	ck_assert_int_eq(spool_reader_over(data, size, &r), 0);
	spool_reader_free(r);
	ck_assert_int_eq(spool_reader_open("/nowhere/at/all", &r), -ENOENT);
	ck_assert_int_lt(spool_reader_open("/dev/null", &r), 0);
	ck_assert_int_eq(spool_reader_open(folder, &r), -EISDIR);
}
END_TEST

START_TEST(a_record_that_does_not_fit_ends_the_journal_but_keeps_the_ones_before)
{
	static const uint32_t sizes[] = { 0, 8, 15, 17, 4096, UINT32_MAX };
	struct spool_module_view module;
	struct spool_record *second;
	struct spool_reader *r;
	size_t size;
	uint8_t *data = small_spool(&size);
	uint8_t *journal = data + header_of(data)->sections[0].offset;

	second = (void *)(journal + ((struct spool_record *)journal)->size);
	second->size = sizes[_i];
	ck_assert_int_eq(spool_reader_over(data, size, &r), 0);
	ck_assert_str_eq(spool_reader_text(r, SPOOL_TEXT_EXECUTABLE), "/usr/bin/host");
	ck_assert(!spool_reader_module(r, 1, &module));
	ck_assert_uint_eq(total_periods(r), 36);
	spool_reader_free(r);
}
END_TEST

START_TEST(a_record_of_an_unknown_type_and_an_unknown_section_are_passed_over)
{
	struct spool_module_view module;
	struct spool_reader *r;
	size_t size;
	uint8_t *data = small_spool(&size);
	uint8_t *journal = data + header_of(data)->sections[0].offset;

	((struct spool_record *)journal)->type = 999;
	header_of(data)->sections[5] =
		(struct spool_section){.type = 999, .offset = 1, .size = 1};
	ck_assert_int_eq(spool_reader_over(data, size, &r), 0);
	ck_assert_str_eq(spool_reader_text(r, SPOOL_TEXT_EXECUTABLE), "");
	ck_assert(spool_reader_module(r, 2, &module));
	ck_assert_uint_eq(total_periods(r), 36);
	spool_reader_free(r);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("spool");
	TCase *round_trip = tcase_create("round trip");
	TCase *threads = tcase_create("threads");
	TCase *full = tcase_create("full");
	TCase *folders = tcase_create("folders");
	TCase *damaged = tcase_create("damaged");

	tcase_add_test(round_trip, what_is_written_is_read_back);
	tcase_add_test(round_trip, the_header_says_whose_it_is_and_only_the_owner_may_read_it);
	tcase_add_test(round_trip, a_spool_is_no_spool_before_it_begins_and_says_when_it_ends);
	tcase_add_test(round_trip, a_process_that_became_another_program_gets_another_spool);
	tcase_add_test(round_trip, a_child_inherits_modules_and_names_but_no_samples);
	tcase_add_test(round_trip, a_killed_process_leaves_all_it_has_recorded);

	tcase_add_test(threads, threads_that_append_at_once_lose_and_invent_nothing);
	tcase_add_test(threads, threads_that_name_themselves_at_once_get_their_own_names);
	tcase_add_test(threads, equal_thread_names_are_one_and_long_ones_are_cut);
	tcase_add_test(threads, more_thread_names_than_there_is_room_for_are_no_name);

	tcase_add_test(full, stacks_that_find_no_slot_are_counted_under_the_full_frame);
	tcase_add_test(full, stacks_whose_frames_find_no_room_are_counted_under_the_full_frame);
	tcase_add_test(full, threads_that_fill_the_frames_at_once_lose_nothing);
	tcase_add_loop_test(full, samples_whose_memory_is_refused_are_counted_as_lost, 0, 2);
	tcase_add_test(full, a_full_journal_refuses_what_is_more_and_keeps_what_was_there);

	tcase_add_loop_test(folders, a_folder_that_others_may_write_to_is_refused, 0, 5);
	tcase_add_test(folders, a_folder_of_another_user_is_refused);
	tcase_add_test(folders, a_link_in_place_of_the_folder_is_not_followed);
	tcase_add_test(folders, a_link_planted_where_the_spool_will_be_is_not_followed);
	tcase_add_test(folders, a_path_that_does_not_fit_is_refused);

	tcase_add_test(damaged, a_spool_cut_off_anywhere_is_read_as_far_as_it_is_whole);
	tcase_add_test(damaged, a_spool_with_any_bytes_changed_is_never_read_outside);
	tcase_add_loop_test(damaged, a_stack_whose_frames_are_elsewhere_is_left_out, 0, 6);
	tcase_add_test(damaged, what_is_no_spool_or_of_another_version_is_told_apart);
	tcase_add_loop_test(damaged,
		a_record_that_does_not_fit_ends_the_journal_but_keeps_the_ones_before, 0, 6);
	tcase_add_test(
		damaged, a_record_of_an_unknown_type_and_an_unknown_section_are_passed_over);

	TCase *const cases[] = { round_trip, threads, full, folders, damaged };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		tcase_add_checked_fixture(cases[i], set_up, remove_folder);
		tcase_set_timeout(cases[i], 60);
		suite_add_tcase(suite, cases[i]);
	}
	return run_suite(suite);
}
