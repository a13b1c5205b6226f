#define _GNU_SOURCE
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../fixtures/build_fixture.h"
#include "base/file.h"
#include "run_suite.h"
#include "symbol/binary.h"
#include "symbol/debug_file.h"

static void build(void)
{
	fixture_begin();
	fixture_run("cp $FIXTURES/plugin.c $FIXTURES/places.h .");
	fixture_run("$CC -O2 -g -shared -fPIC -Wl,--build-id=0x0123456789abcdef plugin.c"
		    " -o plugin.so");
	fixture_run("objcopy --only-keep-debug plugin.so plugin.debug");
	fixture_run("$CC -O2 -g -shared -fPIC -Wl,--build-id=none plugin.c -o anonymous.so");
}

static struct binary *open_binary(const char *name)
{
	struct binary *b = NULL;

	ck_assert_int_eq(binary_open(fixture_path(name), &b), 0);
	ck_assert_str_eq(binary_path(b), fixture_path(name));
	return b;
}

START_TEST(the_build_id_is_read_also_from_a_debug_file)
{
	static const char *const names[] = { "plugin.so", "plugin.debug" };
	struct binary *b = open_binary(names[_i]);
	char hex[BUILD_ID_HEX_SIZE];

	ck_assert_str_eq(build_id_to_hex(binary_build_id(b), hex), "0123456789abcdef");
	binary_close(b);
}
END_TEST

START_TEST(a_file_without_build_id_has_an_empty_one)
{
	struct binary *b = open_binary("anonymous.so");

	ck_assert_uint_eq(binary_build_id(b)->size, 0);
	binary_close(b);
}
END_TEST

START_TEST(a_missing_file_is_not_the_same_as_a_bad_one)
{
	struct binary *b = NULL;

	fixture_run("echo no ELF >bad.so");
	ck_assert_int_eq(binary_open(fixture_path("missing.so"), &b), -ENOENT);
	ck_assert_int_eq(binary_open(fixture_path("bad.so"), &b), -ENOEXEC);
	ck_assert_int_eq(binary_open_memory("", 0, "", &b), -ENOEXEC);
	ck_assert_ptr_null(b);
}
END_TEST

START_TEST(a_file_in_memory_is_as_good_as_on_disk)
{
	struct file_bytes file;
	struct binary *b = NULL;
	struct binary_section text;

	ck_assert_int_eq(file_map(fixture_path("plugin.so"), &file), 0);
	ck_assert_int_eq(binary_open_memory(file.data, file.size, "name", &b), 0);
	file_unmap(&file);
	ck_assert(binary_find_section(b, ".text", &text));
	ck_assert_uint_gt(bytes_left(&text.bytes), 0);
	binary_close(b);
}
END_TEST

START_TEST(a_section_in_a_debug_file_is_there_but_empty)
{
	struct binary *b = open_binary("plugin.debug");
	struct binary_section section;

	ck_assert(binary_find_section(b, ".text", &section));
	ck_assert_uint_eq(bytes_left(&section.bytes), 0);
	ck_assert(binary_find_section(b, ".debug_info", &section));
	ck_assert_uint_gt(bytes_left(&section.bytes), 0);
	ck_assert(!binary_find_section(b, ".nothing", &section));
	binary_close(b);
}
END_TEST

START_TEST(a_section_is_where_its_vaddr_says)
{
	struct binary *b = open_binary("plugin.so");
	struct binary_section text;
	struct bytes loaded;

	ck_assert(binary_find_section(b, ".text", &text));
	ck_assert(binary_bytes_at(b, text.vaddr, &loaded));
	ck_assert_ptr_eq(loaded.at, text.bytes.at);
	ck_assert_uint_ge(binary_code_end(b, text.vaddr),
		text.vaddr + bytes_left(&text.bytes));
	ck_assert_uint_eq(binary_code_end(b, 0), 0);
	ck_assert(!binary_bytes_at(b, UINT64_MAX, &loaded));
	binary_close(b);
}
END_TEST

START_TEST(offsets_outside_code_have_no_vaddr)
{
	struct binary *b = open_binary("plugin.so");
	uint64_t vaddr;

	ck_assert(!binary_vaddr_in_mapping(b, 0, 4096, 16, &vaddr));
	ck_assert(!binary_vaddr_in_mapping(b, UINT64_MAX, 0, UINT64_MAX, &vaddr));
	binary_close(b);
}
END_TEST

/* As profilers do that merge all of a library's lines in /proc/PID/maps into one. */
START_TEST(in_a_mapping_of_the_whole_image_offsets_are_vaddrs)
{
	static const char *const names[] = { "plugin.so", "plugin.debug" };
	struct binary *b = open_binary(names[_i]);
	const uint64_t code = fixture_vaddr("plugin.so", "plugin_outer");
	uint64_t vaddr = 0;

	ck_assert(binary_vaddr_in_mapping(b, 0, 1 << 20, code, &vaddr));
	ck_assert_uint_eq(vaddr, code);
	binary_close(b);
}
END_TEST

START_TEST(each_byte_of_a_file_may_be_wrong)
{
	struct file_bytes file;
	uint8_t *copy;

	ck_assert_int_eq(file_map(fixture_path("plugin.so"), &file), 0);
	copy = malloc(file.size);
	for (size_t at = 0; at < 1024; at++) {
		struct binary *b = NULL;
		struct binary_section section;
		uint64_t vaddr;

		memcpy(copy, file.data, file.size);
		copy[at] ^= 0xff;
		if (binary_open_memory(copy, file.size, "broken", &b) < 0)
			continue;
		binary_find_section(b, ".eh_frame", &section);
		binary_vaddr_in_mapping(b, 0x1000, 0x1000, 0x100, &vaddr);
		binary_close(debug_file_by_link(NULL, b, binary_path(b), NULL));
		binary_close(b);
	}
	free(copy);
	file_unmap(&file);
}
END_TEST

START_TEST(a_debug_link_cannot_leave_its_folder)
{
	struct binary *b;

	fixture_run("mkdir -p inside && cp plugin.debug ./xx.debug && "
		    "objcopy --add-gnu-debuglink=xx.debug plugin.so inside/plugin.so && "
		    "sed -i 's#xx.debug#../x.debu#' inside/plugin.so && cp xx.debug x.debu");
	b = open_binary("inside/plugin.so");
	ck_assert_ptr_null(debug_file_by_link(NULL, b, binary_path(b), NULL));
	binary_close(b);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("binary");
	TCase *tests = tcase_create("files");

	tcase_add_unchecked_fixture(tests, build, fixture_end);
	tcase_set_timeout(tests, 60);
	tcase_add_loop_test(tests, the_build_id_is_read_also_from_a_debug_file, 0, 2);
	tcase_add_test(tests, a_file_without_build_id_has_an_empty_one);
	tcase_add_test(tests, a_missing_file_is_not_the_same_as_a_bad_one);
	tcase_add_test(tests, a_file_in_memory_is_as_good_as_on_disk);
	tcase_add_test(tests, a_section_in_a_debug_file_is_there_but_empty);
	tcase_add_test(tests, a_section_is_where_its_vaddr_says);
	tcase_add_test(tests, offsets_outside_code_have_no_vaddr);
	tcase_add_loop_test(tests, in_a_mapping_of_the_whole_image_offsets_are_vaddrs, 0, 2);
	tcase_add_test(tests, each_byte_of_a_file_may_be_wrong);
	tcase_add_test(tests, a_debug_link_cannot_leave_its_folder);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
