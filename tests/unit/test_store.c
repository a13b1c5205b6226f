#define _GNU_SOURCE
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/compiler.h"
#include "base/store.h"
#include "run_suite.h"

static char folder[STORE_PATH_MAX];

static void set_up(void)
{
	unsetenv(STORE_VARIABLE);
	setenv("XDG_CACHE_HOME", "/cache", 1);
	setenv("HOME", "/home/me", 1);
}

START_TEST(the_store_is_in_the_cache_then_at_home_then_in_var_tmp)
{
	char homeless[64];

	snprintf(homeless, sizeof(homeless), "/var/tmp/plugprof-%u", geteuid());
	ck_assert(store_folder(0, folder));
	ck_assert_str_eq(folder, "/cache/plugprof");
	setenv("XDG_CACHE_HOME", "relative", 1);
	ck_assert(store_folder(0, folder));
	ck_assert_str_eq(folder, "/home/me/.cache/plugprof");
	ck_assert(store_folder(1, folder));
	ck_assert_str_eq(folder, homeless);
	ck_assert(!store_folder(2, folder));
	unsetenv("HOME");
	ck_assert(store_folder(0, folder));
	ck_assert_str_eq(folder, homeless);
	ck_assert(!store_folder(1, folder));
}
END_TEST

START_TEST(a_list_of_stores_replaces_the_default)
{
	setenv(STORE_VARIABLE, ":/one/:/two:/three//:", 1);
	ck_assert(store_folder(0, folder));
	ck_assert_str_eq(folder, "/one");
	ck_assert(store_folder(1, folder));
	ck_assert_str_eq(folder, "/two");
	ck_assert(store_folder(2, folder));
	ck_assert_str_eq(folder, "/three");
	ck_assert(!store_folder(3, folder));
	setenv(STORE_VARIABLE, "::", 1);
	ck_assert(store_folder(0, folder));
	ck_assert_str_eq(folder, "/cache/plugprof");
}
END_TEST

START_TEST(a_folder_whose_name_is_too_long_is_none)
{
	char *list = malloc(2 * STORE_PATH_MAX);

	memset(list, 'x', 2 * STORE_PATH_MAX);
	list[0] = '/';
	list[STORE_PATH_MAX] = '\0';
	setenv(STORE_VARIABLE, list, 1);
	ck_assert(!store_folder(0, folder));
	list[STORE_PATH_MAX - 1] = '\0';
	setenv(STORE_VARIABLE, list, 1);
	ck_assert(store_folder(0, folder));
	free(list);
}
END_TEST

START_TEST(an_entry_lies_under_its_build_id)
{
	struct build_id id = { .size = 4, .bytes = { 0xab, 0xcd, 0xef, 0x01 } };
	char path[64];

	ck_assert(store_entry("/store", &id, STORE_KEPT_SUFFIX, path, sizeof(path)));
	ck_assert_str_eq(path, "/store/ab/cdef01.elf");
	ck_assert(store_entry("/store", &id, STORE_KEPT_SUFFIX, path, 21));
	ck_assert(!store_entry("/store", &id, STORE_KEPT_SUFFIX, path, 20));
	id.size = 1;
	ck_assert(!store_entry("/store", &id, STORE_KEPT_SUFFIX, path, sizeof(path)));
}
END_TEST

START_TEST(a_folder_that_others_can_write_to_is_trusted_only_when_named)
{
	char own[] = "/tmp/plugprof-store.XXXXXX";

	ck_assert_ptr_nonnull(mkdtemp(own));
	ck_assert(store_is_trusted(own));
	ck_assert_int_eq(chmod(own, 0777), 0);
	ck_assert(!store_is_trusted(own));
	setenv(STORE_VARIABLE, own, 1);
	ck_assert(store_is_trusted(own));
	ck_assert_int_eq(rmdir(own), 0);
	ck_assert(!store_is_trusted(own));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("store");
	TCase *tests = tcase_create("store");

	tcase_add_checked_fixture(tests, set_up, NULL);
	tcase_add_test(tests, the_store_is_in_the_cache_then_at_home_then_in_var_tmp);
	tcase_add_test(tests, a_list_of_stores_replaces_the_default);
	tcase_add_test(tests, a_folder_whose_name_is_too_long_is_none);
	tcase_add_test(tests, an_entry_lies_under_its_build_id);
	tcase_add_test(tests, a_folder_that_others_can_write_to_is_trusted_only_when_named);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
