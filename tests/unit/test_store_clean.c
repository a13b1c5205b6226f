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
#include "base/compiler.h"
#include "base/file.h"
#include "cli/store_clean.h"
#include "run_suite.h"
#include "symbol/binary.h"

#define HOUR_S 3600

static char store[] = "/tmp/test_clean.XXXXXX";
static struct stored_files files;
static struct timespec now;

static void set_up(void)
{
	strcpy(store + sizeof(store) - 7, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(store));
}

static void tear_down(void)
{
	char command[100];

	stored_files_free(&files);
	snprintf(command, sizeof(command), "rm -rf '%s'", store);
	ck_assert_int_eq(system(command), 0);
}

/* A file of that many KiB in the store. */
static void put(const char *name, size_t kib)
{
	char *path = xasprintf("%s/%s", store, name);
	char *slash = strrchr(path, '/');
	uint8_t *data = xcalloc(kib, 1024);

	*slash = '\0';
	mkdir(path, 0700);
	*slash = '/';
	ck_assert_int_eq(file_replace(path, data, 1024 * kib), 0);
	free(data);
	free(path);
}

static bool is_there(const char *name)
{
	char *path = xasprintf("%s/%s", store, name);
	const bool found = access(path, F_OK) == 0;

	free(path);
	return found;
}

/* What stays of the store, HOURS from now. */
static void clean(time_t hours, struct clean_limits limits)
{
	stored_files_free(&files);
	clock_gettime(CLOCK_REALTIME, &now);
	now.tv_sec += hours * HOUR_S;
	ck_assert_int_eq(stored_files_add(&files, store), 0);
	stored_files_judge(&files, &limits, &now);
	for (size_t i = 0; i < files.items.count; i++)
		if (files.items.items[i].fate != STORED_STAYS)
			ck_assert_int_eq(
				stored_file_remove(&files, &files.items.items[i]), 0);
	stored_files_remove_parts(&files, &now);
}

/* Maps are files whose contents nobody looks at here. */
static const struct clean_limits everything = {
	.before = { .tv_sec = INT32_MAX }, .size_max = UINT64_MAX, .with_maps = true
};
static const struct clean_limits nothing = { .size_max = UINT64_MAX, .with_maps = true };

START_TEST(what_is_too_old_goes_and_its_empty_folder)
{
	struct clean_limits limits = nothing;

	put("ab/cdef.psym", 4);
	clock_gettime(CLOCK_REALTIME, &limits.before);
	limits.before.tv_sec -= HOUR_S;
	clean(0, limits);
	ck_assert(is_there("ab/cdef.psym"));
	limits.before.tv_sec += 2 * HOUR_S;
	clean(0, limits);
	ck_assert(!is_there("ab/cdef.psym"));
	ck_assert(is_there("ab")); /* somebody may be about to use it */
	put("ab/cdef.psym", 4);
	clean(2, limits);
	ck_assert(!is_there("ab"));
}
END_TEST

START_TEST(the_oldest_go_until_the_rest_fits)
{
	struct clean_limits limits = nothing;

	put("ab/01.psym", 64);
	usleep(20000); /* the kernel's clock for files is coarse */
	put("00/02.psym", 64);
	put("cd/03.psym", 64);
	limits.size_max = 130 << 10;
	clean(0, limits);
	ck_assert(!is_there("ab/01.psym"));
	ck_assert(is_there("00/02.psym"));
	ck_assert(is_there("cd/03.psym"));
	limits.size_max = 0;
	clean(0, limits);
	ck_assert(!is_there("00/02.psym"));
	ck_assert(!is_there("cd/03.psym"));
}
END_TEST

START_TEST(a_second_name_of_a_file_takes_no_room_and_frees_none)
{
	struct clean_limits limits = nothing;
	char *from = xasprintf("%s/original", store), *to = xasprintf("%s/ab/01.psym", store);

	put("original", 64);
	put("ab/02.psym", 64);
	ck_assert_int_eq(link(from, to), 0);
	limits.size_max = 70 << 10;
	clean(0, limits);
	ck_assert_uint_eq(files.items.count, 2);
	ck_assert(is_there("ab/01.psym"));
	ck_assert(is_there("ab/02.psym"));
	limits.size_max = 0;
	clean(0, limits);
	ck_assert(is_there("ab/01.psym"));
	ck_assert(!is_there("ab/02.psym"));
	ck_assert_int_eq(unlink(from), 0);
	clean(0, limits); /* now it is the only one */
	ck_assert(!is_there("ab/01.psym"));
	free(from);
	free(to);
}
END_TEST

START_TEST(maps_stay_and_do_not_count_unless_asked_for)
{
	struct clean_limits limits = everything;

	put("ab/01.psym", 64);
	limits.with_maps = false;
	limits.size_max = 0;
	clean(0, limits);
	ck_assert(is_there("ab/01.psym"));
	limits.with_maps = true;
	clean(0, limits);
	ck_assert(!is_there("ab/01.psym"));
}
END_TEST

START_TEST(half_a_copy_goes_when_nobody_can_still_write_it)
{
	put("ab/123.0.tmp", 4);
	clean(0, everything);
	ck_assert(is_there("ab/123.0.tmp"));
	clean(2, nothing);
	ck_assert(!is_there("ab/123.0.tmp"));
}
END_TEST

START_TEST(what_nobody_of_ours_made_stays)
{
	static const char *const names[] = { "ab/README", "ab/xyz.elf", "ab/ABCD.psym",
		"ab/abc.psym", "ab/.psym", "ab/cd.psym.gz", "ab/x.tmp", "ab/1.tmp", "ab/1.2x.tmp",
		"ab/.1.tmp", "abc/cdef.psym", "AB/cdef.psym", "a/cdef.psym", "cdef.psym",
		"ab/00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
		"00112233445566778899.psym" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		put(names[i], 1);
	clean(2, everything);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		ck_assert_msg(is_there(names[i]), "%s is gone", names[i]);
}
END_TEST

START_TEST(no_link_is_followed)
{
	char *elsewhere = xasprintf("%s/elsewhere", store);
	char *part = xasprintf("%s/cd", store), *file = xasprintf("%s/ab/cd.psym", store);
	struct stored_files none = { .items = { .count = 0 } };
	char with_slash[100];

	put("elsewhere/01.psym", 4);
	put("ab/02.psym", 4);
	ck_assert_int_eq(symlink(elsewhere, part), 0);
	ck_assert_int_eq(symlink("../elsewhere/01.psym", file), 0);
	clean(2, everything);
	ck_assert(!is_there("ab/02.psym"));
	ck_assert(is_there("elsewhere/01.psym"));
	ck_assert(is_there("ab/cd.psym"));
	ck_assert(is_there("cd"));
	ck_assert_int_eq(stored_files_add(&none, part), -ELOOP);
	strcat(strcpy(with_slash, part), "//");
	ck_assert_int_eq(stored_files_add(&none, with_slash), -ELOOP);
	ck_assert_int_eq(stored_files_add(&none, "/nonexistent"), -ENOENT);
	ck_assert_uint_eq(none.folders.count, 0);
	free(elsewhere);
	free(part);
	free(file);
}
END_TEST

START_TEST(a_store_that_is_named_twice_counts_once)
{
	char *again = xasprintf("%s/.", store);

	put("ab/01.psym", 4);
	ck_assert_int_eq(stored_files_add(&files, store), 0);
	ck_assert_int_eq(stored_files_add(&files, again), 0);
	ck_assert_uint_eq(files.items.count, 1);
	free(again);
}
END_TEST

/* A real library, this program, under the name NAME in place of its build-ID's. */
static void put_program(const char *name)
{
	struct file_bytes bytes;
	char *path = xasprintf("%s/%s", store, name);

	put(name, 1);
	ck_assert_int_eq(file_map("/proc/self/exe", &bytes), 0);
	ck_assert_int_eq(file_replace(path, bytes.data, bytes.size), 0);
	file_unmap(&bytes);
	free(path);
}

START_TEST(a_file_that_is_not_the_build_of_its_name_goes)
{
	struct binary *self;
	char hex[BUILD_ID_HEX_SIZE];
	char *good, *content;

	ck_assert_int_eq(binary_open("/proc/self/exe", &self), 0);
	ck_assert_uint_gt(binary_build_id(self)->size, 1);
	build_id_to_hex(binary_build_id(self), hex);
	good = xasprintf("%.2s/%s.elf", hex, hex + 2);
	content = xasprintf("%.2s/%s.content.elf", hex, hex + 2);
	put_program(good);
	put_program(content); /* it has a build-ID, so none by content */
	put_program("ab/cdef.elf");
	put("ab/0123.elf", 4);
	clean(0, nothing);
	ck_assert(is_there(good));
	ck_assert(!is_there(content));
	ck_assert(!is_there("ab/cdef.elf"));
	ck_assert(!is_there("ab/0123.elf"));
	binary_close(self);
	free(good);
	free(content);
}
END_TEST

START_TEST(what_is_gone_by_then_is_no_error)
{
	struct clean_limits limits = everything;
	char *path = xasprintf("%s/ab/01.psym", store);

	put("ab/01.psym", 4);
	clock_gettime(CLOCK_REALTIME, &now);
	ck_assert_int_eq(stored_files_add(&files, store), 0);
	stored_files_judge(&files, &limits, &now);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(stored_file_remove(&files, &files.items.items[0]), 0);
	*strrchr(path, '/') = '\0';
	ck_assert_int_eq(rmdir(path), 0);
	ck_assert_int_eq(stored_file_remove(&files, &files.items.items[0]), 0);
	free(path);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("store_clean");
	TCase *tests = tcase_create("store_clean");

	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, what_is_too_old_goes_and_its_empty_folder);
	tcase_add_test(tests, the_oldest_go_until_the_rest_fits);
	tcase_add_test(tests, a_second_name_of_a_file_takes_no_room_and_frees_none);
	tcase_add_test(tests, maps_stay_and_do_not_count_unless_asked_for);
	tcase_add_test(tests, half_a_copy_goes_when_nobody_can_still_write_it);
	tcase_add_test(tests, what_nobody_of_ours_made_stays);
	tcase_add_test(tests, no_link_is_followed);
	tcase_add_test(tests, a_store_that_is_named_twice_counts_once);
	tcase_add_test(tests, a_file_that_is_not_the_build_of_its_name_goes);
	tcase_add_test(tests, what_is_gone_by_then_is_no_error);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
