/* Symbol maps: what is written is read again, and no bytes lead astray. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "mapstore/gsym_writer.h"
#include "mapstore/map_reader.h"
#include "mapstore/map_writer.h"
#include "unit/map_repack.h"
#include "run_suite.h"

#define PIECES 3000
#define BASE 0x400000u

static const struct map_source source = { .build_id = { 4, { 0xab, 0xcd, 0xef, 0x01 } },
	.name = "codec.so",
	.size_bytes = 1234,
	.machine = 62,
	.has_lines = true };

static uint8_t *data;
static size_t size;
static struct map_frame frames[MAP_DEPTH_MAX];

/* What piece NUMBER looks like: all of it follows from the number. */
static void names_of(uint32_t number, char linkage_name[32], char file[32])
{
	snprintf(linkage_name, 32, "_ZN5codec%uE", number % 700);
	snprintf(file, 32, "/src/part%u.c", number % 40);
}

static uint32_t add_location(struct map_writer *w, uint32_t number, uint32_t caller)
{
	char linkage_name[32], file[32];
	struct map_location l = { .line = number % 5000, .column = number % 90, .caller = caller };

	names_of(number, linkage_name, file);
	l.function = map_writer_function(w, map_writer_string(w, linkage_name),
		number % 3 ? 0 : map_writer_string(w, file), number % 100);
	l.file = map_writer_string(w, file);
	return map_writer_location(w, &l);
}

/* Pieces of 16 bytes, every tenth missing, each with a chain of NUMBER % 4 callers. */
static void add_pieces(struct map_writer *w)
{
	for (uint32_t i = PIECES; i-- > 0;) {
		uint32_t caller = 0;

		for (uint32_t depth = i % 4; depth > 0; depth--)
			caller = add_location(w, i + depth * 7919, caller);
		if (i % 10)
			map_writer_range(w, BASE + 16 * i, BASE + 16 * i + 16,
				add_location(w, i, caller));
	}
}

static void write_map(void)
{
	struct map_writer *w = map_writer_new();

	add_pieces(w);
	ck_assert_int_eq(map_writer_finish(w, &source, &data, &size), 0);
	map_writer_free(w);
}

static void free_map(void)
{
	free(data);
}

static struct map_reader *open_map(void)
{
	struct map_reader *map;

	ck_assert_int_eq(map_reader_open(data, size, &map), 0);
	return map;
}

static void assert_string(struct map_reader *map, uint32_t number, const char *expected)
{
	const char *text = map_reader_string(map, number);

	ck_assert_ptr_nonnull(text);
	ck_assert_str_eq(text, expected);
}

static void assert_frame(struct map_reader *map, const struct map_frame *f, uint32_t number)
{
	struct map_function function;
	char linkage_name[32], file[32];

	names_of(number, linkage_name, file);
	ck_assert(map_reader_function(map, f->function, &function));
	assert_string(map, function.linkage_name, linkage_name);
	assert_string(map, f->file, file);
	if (number % 3)
		ck_assert_uint_eq(function.name, 0);
	else
		assert_string(map, function.name, file);
	ck_assert_uint_eq(f->line, number % 5000);
	ck_assert_uint_eq(f->column, number % 90);
	ck_assert_uint_eq(function.start_line, number % 100);
}

START_TEST(every_address_has_the_frames_that_were_written)
{
	struct map_reader *map = open_map();

	for (uint32_t at = 0; at < 16 * PIECES; at += 5) {
		const uint32_t i = at / 16;
		const size_t count = map_reader_find(map, BASE + at, frames);

		if (i % 10 == 0) {
			ck_assert_uint_eq(count, 0);
			continue;
		}
		ck_assert_uint_eq(count, i % 4 + 1);
		assert_frame(map, &frames[0], i);
		for (uint32_t depth = 1; depth <= i % 4; depth++)
			assert_frame(map, &frames[depth], i + depth * 7919);
	}
	map_reader_free(map);
}
END_TEST

/* From the middle of a piece, over a missing one, to the middle of another. */
START_TEST(what_is_folded_is_marked_and_nothing_else)
{
	static const uint32_t folded[][2] = { { 1000, 1008 }, { 16 * 18 + 5, 16 * 23 + 1 },
		{ 16, 20 }, { 16 * PIECES, 16 * PIECES + 100 } };
	struct map_writer *w = map_writer_new();
	struct map_reader *map;
	uint8_t *marked;
	size_t marked_size;

	for (size_t i = 0; i < sizeof(folded) / sizeof(folded[0]); i++)
		map_writer_fold(w, BASE + folded[i][0], BASE + folded[i][1]);
	add_pieces(w);
	ck_assert_int_eq(map_writer_finish(w, &source, &marked, &marked_size), 0);
	map_writer_free(w);
	ck_assert_int_eq(map_reader_open(marked, marked_size, &map), 0);
	for (uint32_t at = 0; at < 16 * PIECES; at++) {
		const uint32_t i = at / 16;
		const size_t count = map_reader_find(map, BASE + at, frames);
		bool is_folded = false;

		for (size_t f = 0; f < sizeof(folded) / sizeof(folded[0]); f++)
			is_folded |= at >= folded[f][0] && at < folded[f][1];
		ck_assert_uint_eq(count, i % 10 ? i % 4 + 1 : 0);
		if (count == 0)
			continue;
		assert_frame(map, &frames[0], i);
		ck_assert_uint_eq(frames[0].is_folded, is_folded);
	}
	map_reader_free(map);
	free(marked);
}
END_TEST

START_TEST(outside_the_ranges_nothing_is_known)
{
	struct map_reader *map = open_map();

	ck_assert_uint_eq(map_reader_find(map, 0, frames), 0);
	ck_assert_uint_eq(map_reader_find(map, BASE + 15, frames), 0);
	ck_assert_uint_eq(map_reader_find(map, BASE + 16 * PIECES, frames), 0);
	ck_assert_uint_eq(map_reader_find(map, BASE + (UINT64_C(1) << 32) + 16, frames), 0);
	ck_assert_uint_eq(map_reader_find(map, UINT64_MAX, frames), 0);
	map_reader_free(map);
}
END_TEST

static void count_pieces(void *context, uint64_t vaddr, uint64_t end,
	const struct map_frame *its_frames, size_t count)
{
	ck_assert_uint_eq((end - vaddr) % 16, 0);
	ck_assert_uint_gt(count, 0);
	*(uint64_t *)context += (end - vaddr) / 16;
}

START_TEST(a_visit_comes_by_every_range)
{
	struct map_reader *map = open_map();
	uint64_t pieces = 0;

	map_reader_visit(map, count_pieces, &pieces);
	ck_assert_uint_eq(pieces, PIECES / 10 * 9);
	map_reader_free(map);
}
END_TEST

START_TEST(the_header_tells_what_the_map_is_of)
{
	struct map_reader *map = open_map();
	const struct map_header *h = map_reader_header(map);
	struct build_id id;

	map_reader_build_id(map, &id);
	ck_assert(build_id_equal(&id, &source.build_id));
	ck_assert_str_eq(map_reader_string(map, h->source_name), "codec.so");
	ck_assert_uint_eq(h->source_size, 1234);
	ck_assert_uint_eq(h->has_lines, 1);
	map_reader_free(map);
}
END_TEST

START_TEST(torn_damaged_and_foreign_files_are_refused)
{
	struct map_reader *map;

	ck_assert_int_eq(map_reader_open(data, 10, &map), -ENOEXEC);
	ck_assert_int_eq(map_reader_open(data, size - 1, &map), -EBADMSG);
	ck_assert_int_eq(map_reader_open("\177ELF", 4, &map), -ENOEXEC);
	data[8]++;
	ck_assert_int_eq(map_reader_open(data, size, &map), -EPROTO);
	data[8]--;
	for (size_t at = 12; at < size; at += 97) {
		data[at] ^= 4;
		ck_assert_int_eq(map_reader_open(data, size, &map), -EBADMSG);
		data[at] ^= 4;
	}
}
END_TEST

static void ignore_range(void *context, uint64_t vaddr, uint64_t end,
	const struct map_frame *its_frames, size_t count)
{
}

static void ask_everything(const uint8_t *map, size_t map_size)
{
	uint8_t *copy = malloc(map_size); /* for ASan to watch */
	struct map_reader *reader;
	uint8_t *gsym;
	size_t gsym_size;

	memcpy(copy, map, map_size);
	map_set_checksums(copy, map_size);
	if (map_reader_open(copy, map_size, &reader) == 0) {
		for (uint32_t at = 0; at < 16 * PIECES; at += 1001)
			map_reader_find(reader, BASE + at, frames);
		map_reader_visit(reader, ignore_range, NULL);
		if (gsym_write(reader, &gsym, &gsym_size) == 0)
			free(gsym);
		map_reader_free(reader);
	}
	free(copy);
}

static uint64_t random_number;

static size_t change_bytes(void *context, uint8_t *bytes, size_t count)
{
	for (int i = 0; i < 2 && count > 0; i++) {
		random_number = hash_mix(random_number + 1);
		bytes[random_number % count] ^= (uint8_t)(random_number >> 40);
	}
	return count;
}

START_TEST(no_damage_with_right_checksums_leads_outside)
{
	for (int i = 0; i < 200; i++) {
		uint8_t *copy = malloc(size);

		memcpy(copy, data, size);
		change_bytes(NULL, copy, i % 2 ? sizeof(struct map_header) : size);
		ask_everything(copy, size);
		free(copy);
	}
}
END_TEST

START_TEST(no_damage_to_what_is_packed_leads_outside)
{
	for (int i = 0; i < 200; i++) {
		size_t changed_size;
		uint8_t *changed = map_repack(data, change_bytes, NULL, &changed_size);

		ck_assert_ptr_nonnull(changed);
		ask_everything(changed, changed_size);
		free(changed);
	}
}
END_TEST

static void add_long_names(struct map_writer *w)
{
	static char name[3000];

	for (uint32_t i = 0; i < 200; i++) {
		struct map_location l = { .line = i };

		for (size_t at = 0; at + 1 < sizeof(name); at++) {
			random_number = hash_mix(random_number + 1);
			name[at] = (char)('A' + random_number % 26);
		}
		l.function = map_writer_function(w, map_writer_string(w, name), 0, i);
		map_writer_range(
			w, BASE + 16 * i, BASE + 16 * i + 16, map_writer_location(w, &l));
	}
}

START_TEST(sections_of_many_pages_are_read_in_any_order)
{
	struct map_writer *w = map_writer_new();
	struct map_function function;
	struct map_reader *map;
	uint8_t *many;
	size_t many_size;

	add_long_names(w);
	ck_assert_int_eq(map_writer_finish(w, &source, &many, &many_size), 0);
	ck_assert_int_eq(map_reader_open(many, many_size, &map), 0);
	ck_assert_uint_gt(map_reader_header(map)->sections[MAP_STRINGS].size, 30 * MAP_PAGE_SIZE);
	for (uint32_t i = 0; i < 2000; i++) {
		const uint32_t piece = (uint32_t)(hash_mix(i) % 200);

		ck_assert_uint_eq(map_reader_find(map, BASE + 16 * piece + 3, frames), 1);
		ck_assert_uint_eq(frames[0].line, piece);
		ck_assert(map_reader_function(map, frames[0].function, &function));
		ck_assert_uint_eq(strlen(map_reader_string(map, function.linkage_name)), 2999);
	}
	map_reader_free(map);
	map_writer_free(w);
	free(many);
}
END_TEST

#define FAR_PIECES 240000u
#define FAR_STEP 17000u /* that many lie within 4 GiB */

static uint32_t far_line(uint32_t piece)
{
	return (uint32_t)hash_mix(piece) & 0xfffffff;
}

/* What was unpacked is dropped again and again. */
START_TEST(a_map_larger_than_what_stays_unpacked_answers_in_any_order)
{
	struct map_writer *w = map_writer_new();
	const uint32_t name = map_writer_string(w, "f");
	struct map_location l = { .function = map_writer_function(w, name, 0, 1) };
	struct map_reader *map;
	uint8_t *large;
	size_t large_size;

	for (uint32_t i = 0; i < FAR_PIECES; i++) {
		const uint64_t start = BASE + (uint64_t)FAR_STEP * i;

		l.line = l.column = far_line(i);
		l.caller = map_writer_location(w, &l);
		l.column = 7;
		map_writer_range(w, start, start + 16, map_writer_location(w, &l));
		l.caller = 0;
	}
	ck_assert_int_eq(map_writer_finish(w, &source, &large, &large_size), 0);
	ck_assert_int_eq(map_reader_open(large, large_size, &map), 0);
	ck_assert_uint_gt(map_reader_header(map)->sections[MAP_RANGES].size, 2u << 20);
	ck_assert_uint_gt(map_reader_header(map)->sections[MAP_LOCATIONS].size, 2u << 20);
	for (uint32_t i = 0; i < 2000; i++) {
		const uint32_t piece = (uint32_t)(hash_mix(i) % FAR_PIECES);

		ck_assert_uint_eq(
			map_reader_find(map, BASE + (uint64_t)FAR_STEP * piece + 3, frames), 2);
		ck_assert_uint_eq(frames[0].line, far_line(piece));
		ck_assert_uint_eq(frames[0].column, 7);
		ck_assert_uint_eq(frames[1].column, far_line(piece));
	}
	map_reader_free(map);
	map_writer_free(w);
	free(large);
}
END_TEST

START_TEST(what_32_bits_cannot_count_is_refused)
{
	struct map_writer *w = map_writer_new();
	uint8_t *none = NULL;
	size_t none_size;

	ck_assert_int_eq(map_writer_finish(w, &source, &none, &none_size), -ENODATA);
	map_writer_range(w, 0x1000, 0x1010, add_location(w, 1, 0));
	map_writer_range(w, UINT64_C(1) << 40, (UINT64_C(1) << 40) + 8, add_location(w, 2, 0));
	ck_assert_int_eq(map_writer_finish(w, &source, &none, &none_size), -EOVERFLOW);
	ck_assert_ptr_null(none);
	map_writer_free(w);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("map");
	TCase *maps = tcase_create("maps");

	tcase_add_checked_fixture(maps, write_map, free_map);
	tcase_add_test(maps, every_address_has_the_frames_that_were_written);
	tcase_add_test(maps, what_is_folded_is_marked_and_nothing_else);
	tcase_add_test(maps, outside_the_ranges_nothing_is_known);
	tcase_add_test(maps, a_visit_comes_by_every_range);
	tcase_add_test(maps, the_header_tells_what_the_map_is_of);
	tcase_add_test(maps, torn_damaged_and_foreign_files_are_refused);
	tcase_add_test(maps, no_damage_with_right_checksums_leads_outside);
	tcase_add_test(maps, no_damage_to_what_is_packed_leads_outside);
	tcase_add_test(maps, sections_of_many_pages_are_read_in_any_order);
	tcase_add_test(maps, a_map_larger_than_what_stays_unpacked_answers_in_any_order);
	tcase_add_test(maps, what_32_bits_cannot_count_is_refused);
	suite_add_tcase(suite, maps);
	return run_suite(suite);
}
