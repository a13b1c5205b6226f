#define _GNU_SOURCE
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/build_id.h"
#include "base/bytes.h"
#include "base/compiler.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/sha256.h"
#include "base/table.h"
#include "base/vec.h"
#include "run_suite.h"

/* --- bytes --- */

START_TEST(numbers_are_read_little_endian_one_behind_the_other)
{
	static const uint8_t data[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };
	struct bytes b = bytes_over(data, sizeof(data));

	ck_assert_uint_eq(bytes_u8(&b), 1);
	ck_assert_uint_eq(bytes_u16(&b), 0x0302);
	ck_assert_uint_eq(bytes_u32(&b), 0x07060504);
	ck_assert_uint_eq(bytes_u64(&b), 0x0f0e0d0c0b0a0908);
	ck_assert(bytes_ok(&b));
	ck_assert_uint_eq(bytes_left(&b), 0);
}
END_TEST

START_TEST(a_read_past_the_end_breaks_the_cursor_for_good)
{
	static const uint8_t data[] = { 1, 2, 3 };
	struct bytes b = bytes_over(data, sizeof(data));

	ck_assert_uint_eq(bytes_u32(&b), 0);
	ck_assert(!bytes_ok(&b));
	ck_assert_uint_eq(bytes_left(&b), 0);
	ck_assert_uint_eq(bytes_u8(&b), 0);
	ck_assert_ptr_null(bytes_take(&b, 0));
	ck_assert_ptr_null(bytes_string(&b));
	ck_assert(!bytes_skip(&b, SIZE_MAX));
}
END_TEST

static const struct {
	uint8_t bytes[11];
	size_t size;
	uint64_t uleb;
	int64_t sleb;
} lebs[] = {
	{ { 0 }, 1, 0, 0 },
	{ { 0x3f }, 1, 63, 63 },
	{ { 0x40 }, 1, 64, -64 },
	{ { 0x7f }, 1, 127, -1 },
	{ { 0x80, 0x01 }, 2, 128, 128 },
	{ { 0xe5, 0x8e, 0x26 }, 3, 624485, 624485 },
	{ { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01 }, 10, UINT64_MAX, -1 },
	{ { 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x7f }, 10, (uint64_t)1 << 63,
		INT64_MIN },
	/* More digits than 64 bits have. */
	{ { 0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x7f }, 11, 1, 1 },
};

START_TEST(a_leb128_is_read_to_its_end)
{
	struct bytes b = bytes_over(lebs[_i].bytes, lebs[_i].size);

	ck_assert_uint_eq(bytes_uleb128(&b), lebs[_i].uleb);
	ck_assert_uint_eq(bytes_left(&b), 0);
	b = bytes_over(lebs[_i].bytes, lebs[_i].size);
	ck_assert_int_eq(bytes_sleb128(&b), lebs[_i].sleb);
	ck_assert(bytes_ok(&b));
	b = bytes_over(lebs[_i].bytes, lebs[_i].size - 1);
	bytes_uleb128(&b);
	ck_assert(!bytes_ok(&b));
}
END_TEST

START_TEST(a_string_ends_inside_or_is_none)
{
	struct bytes b = bytes_over("one\0two", 7);

	ck_assert_str_eq(bytes_string(&b), "one");
	ck_assert_ptr_null(bytes_string(&b));
	ck_assert(!bytes_ok(&b));
}
END_TEST

/* --- build-IDs --- */

#define NOTE(owner_size, desc_size, type) owner_size, 0, 0, 0, desc_size, 0, 0, 0, type, 0, 0, 0
#define GNU 'G', 'N', 'U', 0
#define GO 'G', 'o', 0, 0

/* No program headers: a Go build-ID alone. */
static void find_notes(
	const uint8_t *notes, size_t size, size_t align, struct build_id *id, bool *is_go)
{
	uint8_t *copy = malloc(size); /* its end is ASan's to watch */
	struct build_notes found = { .is_go = false };

	memcpy(copy, notes, size);
	build_notes_add(&found, copy, size, size, align);
	build_id_of_notes(&found, NULL, 0, id);
	if (is_go)
		*is_go = found.is_go;
	free(copy);
}

START_TEST(the_build_id_is_found_among_other_notes)
{
	static const uint8_t notes[] = { NOTE(4, 5, 1), GNU, 1, 2, 3, 4, 5, 0, 0, 0,
		NOTE(4, 4, 4), GO, 'i', 'd', 'i', 'd', NOTE(4, 3, 3), GNU, 0xab, 0xcd, 0xef, 0 };
	struct build_id id;
	bool is_go;

	find_notes(notes, sizeof(notes), 4, &id, &is_go);
	ck_assert_uint_eq(id.size, 3);
	ck_assert_mem_eq(id.bytes, ((uint8_t[]){ 0xab, 0xcd, 0xef }), 3);
	ck_assert(is_go);
	for (size_t size = 1; size < sizeof(notes) - 4; size++) {
		find_notes(notes, size, 4, &id, &is_go);
		ck_assert_uint_eq(id.size, 0);
	}
}
END_TEST

START_TEST(a_note_segment_aligned_to_8_pads_to_8)
{
	static const uint8_t notes[] = { NOTE(4, 4, 5), GNU, 1, 2, 3, 4, 0, 0, 0, 0, NOTE(4, 2, 3),
		GNU, 0x12, 0x34 };
	struct build_id id;

	find_notes(notes, sizeof(notes), 8, &id, NULL);
	ck_assert_uint_eq(id.size, 2);
	find_notes(notes, sizeof(notes), 4, &id, NULL);
	ck_assert_uint_eq(id.size, 0);
}
END_TEST

START_TEST(notes_with_hostile_sizes_are_passed_over_or_end_the_search)
{
	static const uint8_t sizes[] = { 0, 1, 0x7f, 0x80, 0xff };
	uint8_t notes[] = { NOTE(4, 4, 3), GNU, 1, 2, 3, 4 };
	struct build_id id;

	for (size_t at = 0; at < 8; at++)
		for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
			const uint8_t before = notes[at];

			notes[at] = sizes[i];
			find_notes(notes, sizeof(notes), 4, &id, NULL);
			ck_assert_uint_le(id.size, BUILD_ID_SIZE_MAX);
			notes[at] = before;
		}
}
END_TEST

/* --- Go's build-ID --- */

#define GO_TEXT "Pm3Wc5FXGlGwqD0tXKZ1/main/LnDS8e5m_d-KLm8YzWmQ"

/* The identity of a file with a note of Go's that says TEXT, one of GNU's behind it when BEHIND,
 * and a segment of so many bytes. */
static void identity_of(const char *text, bool behind, uint64_t memory_size, struct build_id *id)
{
	static const uint8_t gnu[] = { NOTE(4, 3, 3), GNU, 0xab, 0xcd, 0xef, 0 };
	const uint32_t header[] = { 4, (uint32_t)strlen(text), 4 };
	const size_t size = sizeof(header) + 4 + strlen(text);
	const size_t padded = (size + 3) & ~(size_t)3;
	const Elf64_Phdr segments[] = { { .p_type = PT_NOTE, .p_memsz = size },
		{ .p_type = PT_LOAD, .p_vaddr = 0x400000, .p_memsz = memory_size } };
	struct build_notes found = { .is_go = false };
	uint8_t *notes = calloc(1, padded + sizeof(gnu));

	memcpy(notes, header, sizeof(header));
	memcpy(notes + sizeof(header), "Go\0", 4);
	memcpy(notes + sizeof(header) + 4, text, strlen(text));
	memcpy(notes + padded, gnu, behind ? sizeof(gnu) : 0);
	build_notes_add(&found, notes, size, padded + sizeof(gnu), 4);
	ck_assert(found.is_go);
	build_id_of_notes(&found, segments, ARRAY_SIZE(segments), id);
	free(notes);
}

START_TEST(a_go_file_is_known_by_gos_build_id_and_its_segments)
{
	struct build_id id, same, other;
	char hex[BUILD_ID_HEX_SIZE];

	identity_of(GO_TEXT, false, 0x1234, &id);
	/* printf %s TEXT; then 0x400000 and 0x1234 as 8 bytes each | sha256sum */
	ck_assert_str_eq(build_id_to_hex(&id, hex), "5d605341c59e05d7fb0a1351ed2d35fb534bc2ac");
	identity_of(GO_TEXT, false, 0x1234, &same);
	ck_assert(build_id_equal(&id, &same));
	identity_of(GO_TEXT, false, 0x1235, &other);
	ck_assert(!build_id_equal(&id, &other));
	identity_of("x" GO_TEXT, false, 0x1234, &other);
	ck_assert(!build_id_equal(&id, &other));
}
END_TEST

START_TEST(gnus_note_behind_the_segment_of_gos_comes_first)
{
	struct build_id id;

	identity_of(GO_TEXT, true, 0x1234, &id);
	ck_assert_uint_eq(id.size, 3);
	ck_assert_mem_eq(id.bytes, ((uint8_t[]){ 0xab, 0xcd, 0xef }), 3);
}
END_TEST

START_TEST(a_go_build_id_that_every_build_could_have_is_none)
{
	static const char *const texts[] = { "redacted", "", "LnDS8e5m_d-KLm8YzWmQ", "a/b/c",
		"main/LnDS8e5m_d=KLm8YzWmQ",
		"0123456789012345678901234567890123456789012345678901234567890123456789"
		"0123456789012345678901234567890123456789/LnDS8e5m_d-KLm8YzWmQ" };
	struct build_id id;

	identity_of(texts[_i], false, 0x1234, &id);
	ck_assert_uint_eq(id.size, 0);
}
END_TEST

START_TEST(sha256_is_that_of_the_standard)
{
	static const struct {
		const char *text;
		size_t times;
		const char *digest;
	} examples[] = {
		{ "", 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
		{ "abc", 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
		{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
			"248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
		{ "aaaaaaaaaa", 100000,
			"cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0" },
	};
	uint8_t digest[SHA256_SIZE];
	struct build_id id = { .size = SHA256_SIZE };
	char hex[BUILD_ID_HEX_SIZE];
	struct sha256 s;

	sha256_begin(&s);
	for (size_t i = 0; i < examples[_i].times; i++)
		sha256_add(&s, examples[_i].text, strlen(examples[_i].text));
	sha256_end(&s, digest);
	memcpy(id.bytes, digest, sizeof(digest));
	ck_assert_str_eq(build_id_to_hex(&id, hex), examples[_i].digest);
}
END_TEST

START_TEST(hexadecimal_goes_both_ways)
{
	struct build_id id = { .size = 3, .bytes = { 0x00, 0xab, 0xff } }, back;
	char hex[BUILD_ID_HEX_SIZE];

	ck_assert_str_eq(build_id_to_hex(&id, hex), "00abff");
	ck_assert(build_id_from_hex("00ABff", &back));
	ck_assert(build_id_equal(&id, &back));
	ck_assert(!build_id_from_hex("", &back));
	ck_assert(!build_id_from_hex("a", &back));
	ck_assert(!build_id_from_hex("ag", &back));
	ck_assert(!build_id_from_hex("ab ", &back));
	ck_assert(build_id_equal(&id, &back));
}
END_TEST

START_TEST(the_longest_build_id_fits_and_a_longer_one_does_not)
{
	char hex[2 * BUILD_ID_SIZE_MAX + 3], again[BUILD_ID_HEX_SIZE];
	struct build_id id;

	memset(hex, 'a', sizeof(hex));
	hex[2 * BUILD_ID_SIZE_MAX] = '\0';
	ck_assert(build_id_from_hex(hex, &id));
	ck_assert_str_eq(build_id_to_hex(&id, again), hex);
	hex[2 * BUILD_ID_SIZE_MAX] = 'a';
	hex[2 * BUILD_ID_SIZE_MAX + 2] = '\0';
	ck_assert(!build_id_from_hex(hex, &id));
}
END_TEST

START_TEST(two_files_without_build_id_are_never_the_same)
{
	const struct build_id none = { .size = 0 };

	ck_assert(!build_id_equal(&none, &none));
}
END_TEST

/* --- hash, table, vec --- */

START_TEST(a_hash_tells_length_order_and_every_byte)
{
	uint8_t data[33] = { 0 };

	ck_assert_uint_ne(hash_bytes(data, 7), hash_bytes(data, 8));
	ck_assert_uint_ne(hash_add(hash_add(0, 1), 2), hash_add(hash_add(0, 2), 1));
	for (size_t i = 0; i < sizeof(data); i++) {
		const uint64_t before = hash_bytes(data, sizeof(data));

		data[i] ^= 1;
		ck_assert_uint_ne(hash_bytes(data, sizeof(data)), before);
	}
}
END_TEST

static bool is_number(const void *context, size_t index, const void *key)
{
	return ((const uint32_t *)context)[index] == *(const uint32_t *)key;
}

/* All under four hashes, so that most of them collide. */
START_TEST(a_table_finds_each_of_many_that_collide)
{
	VEC(uint32_t) numbers = { NULL };
	struct table t = { NULL };
	size_t index;

	for (uint32_t i = 0; i < 1000; i++) {
		ck_assert(!table_find(&t, i % 4, is_number, numbers.items, &i, &index));
		table_insert(&t, i % 4, numbers.count);
		*VEC_PUSH(&numbers) = i;
	}
	for (uint32_t i = 0; i < 1000; i++) {
		ck_assert(table_find(&t, i % 4, is_number, numbers.items, &i, &index));
		ck_assert_uint_eq(index, i);
		ck_assert(!table_find(&t, 5, is_number, numbers.items, &i, &index));
	}
	table_free(&t);
	ck_assert_uint_eq(t.count, 0);
	VEC_FREE(&numbers);
}
END_TEST

START_TEST(a_vec_keeps_what_was_pushed_and_gives_zeros)
{
	VEC(uint64_t) v = { NULL };

	for (uint64_t i = 0; i < 1000; i++) {
		uint64_t *item = VEC_PUSH(&v);

		ck_assert_uint_eq(*item, 0);
		*item = i + 1;
	}
	for (uint64_t i = 0; i < 1000; i++)
		ck_assert_uint_eq(v.items[i], i + 1);
	VEC_FREE(&v);
	ck_assert_ptr_null(v.items);
}
END_TEST

/* --- files --- */

static char folder[] = "/tmp/test_base.XXXXXX";
static char path[100];

static void set_up(void)
{
	strcpy(folder + sizeof(folder) - 7, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/file", folder);
}

static void tear_down(void)
{
	unlink(path);
	/* Nothing else has been left behind. */
	ck_assert_int_eq(rmdir(folder), 0);
}

START_TEST(a_file_is_replaced_whole_and_read_back)
{
	struct file_bytes bytes;
	struct stat st;

	ck_assert_int_eq(file_replace(path, "first", 5), 0);
	ck_assert_int_eq(file_replace(path, "second", 6), 0);
	ck_assert_int_eq(file_map(path, &bytes), 0);
	ck_assert_uint_eq(bytes.size, 6);
	ck_assert_mem_eq(bytes.data, "second", 6);
	file_unmap(&bytes);
	ck_assert_ptr_null(bytes.data);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
}
END_TEST

START_TEST(what_cannot_be_written_leaves_nothing_behind)
{
	ck_assert_int_eq(file_replace("/nowhere/at/all", "x", 1), -ENOENT);
	ck_assert_int_eq(file_replace(folder, "x", 1), -EISDIR);
	ck_assert_int_eq(file_replace("/dev/full", "x", 1), -ENOSPC);
	ck_assert_int_eq(file_replace("/dev/null", "x", 1), 0);
}
END_TEST

START_TEST(what_is_no_regular_file_or_empty_is_not_mapped)
{
	struct file_bytes bytes = { .size = 99 };

	ck_assert_int_eq(file_map("/nowhere/at/all", &bytes), -ENOENT);
	ck_assert_int_eq(file_map(folder, &bytes), -EISDIR);
	ck_assert_int_eq(file_map("/dev/null", &bytes), -EINVAL);
	ck_assert_int_eq(file_replace(path, "", 0), 0);
	ck_assert_int_eq(file_map(path, &bytes), -ENODATA);
	ck_assert_uint_eq(bytes.size, 99);
	unlink(path);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	ck_assert_int_eq(file_map(path, &bytes), -EINVAL);
}
END_TEST

START_TEST(a_descriptor_is_read_to_its_end_or_its_limit)
{
	static uint8_t data[200000];
	uint8_t *read = NULL;
	size_t size = 0;
	int descriptor;

	memset(data, 7, sizeof(data));
	ck_assert_int_eq(file_replace(path, data, sizeof(data)), 0);
	descriptor = open(path, O_RDONLY);
	ck_assert_int_eq(file_read_all(descriptor, sizeof(data), &read, &size), 0);
	ck_assert_uint_eq(size, sizeof(data));
	ck_assert_mem_eq(read, data, size);
	free(read);
	lseek(descriptor, 0, SEEK_SET);
	ck_assert_int_eq(file_read_all(descriptor, sizeof(data) - 1, &read, &size), -EFBIG);
	close(descriptor);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("base");
	TCase *memory = tcase_create("memory");
	TCase *files = tcase_create("files");

	tcase_add_test(memory, numbers_are_read_little_endian_one_behind_the_other);
	tcase_add_test(memory, a_read_past_the_end_breaks_the_cursor_for_good);
	tcase_add_loop_test(memory, a_leb128_is_read_to_its_end, 0, ARRAY_SIZE(lebs));
	tcase_add_test(memory, a_string_ends_inside_or_is_none);
	tcase_add_test(memory, the_build_id_is_found_among_other_notes);
	tcase_add_test(memory, a_note_segment_aligned_to_8_pads_to_8);
	tcase_add_test(memory, notes_with_hostile_sizes_are_passed_over_or_end_the_search);
	tcase_add_test(memory, hexadecimal_goes_both_ways);
	tcase_add_test(memory, a_go_file_is_known_by_gos_build_id_and_its_segments);
	tcase_add_test(memory, gnus_note_behind_the_segment_of_gos_comes_first);
	tcase_add_loop_test(memory, a_go_build_id_that_every_build_could_have_is_none, 0, 6);
	tcase_add_loop_test(memory, sha256_is_that_of_the_standard, 0, 4);
	tcase_add_test(memory, the_longest_build_id_fits_and_a_longer_one_does_not);
	tcase_add_test(memory, two_files_without_build_id_are_never_the_same);
	tcase_add_test(memory, a_hash_tells_length_order_and_every_byte);
	tcase_add_test(memory, a_table_finds_each_of_many_that_collide);
	tcase_add_test(memory, a_vec_keeps_what_was_pushed_and_gives_zeros);
	suite_add_tcase(suite, memory);
	tcase_add_checked_fixture(files, set_up, tear_down);
	tcase_add_test(files, a_file_is_replaced_whole_and_read_back);
	tcase_add_test(files, what_cannot_be_written_leaves_nothing_behind);
	tcase_add_test(files, what_is_no_regular_file_or_empty_is_not_mapped);
	tcase_add_test(files, a_descriptor_is_read_to_its_end_or_its_limit);
	suite_add_tcase(suite, files);
	return run_suite(suite);
}
