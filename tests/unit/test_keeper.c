/* What a host's libraries leave in the store: src/agent/keeper.c and base/content_id.c. */
#define _GNU_SOURCE
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../fixtures/build_fixture.h"
#include "agent/keeper.h"
#include "base/build_id.h"
#include "base/content_id.h"
#include "base/compiler.h"
#include "base/store.h"
#include "run_suite.h"
#include "symbol/binary.h"
#include "symbol/kept_file.h"

static char store[256];

static void build_libraries(void)
{
	fixture_begin();
	fixture_run("cp $FIXTURES/plugin.c $FIXTURES/places.h .");
	fixture_run("$CC -O2 -g -shared -fPIC -Wl,--build-id plugin.c -o one.so");
	fixture_run("$CC -O2 -g -shared -fPIC -Wl,--build-id -DREBUILT plugin.c -o two.so");
	fixture_run("$CC -O2 -g -shared -fPIC -Wl,--build-id=none plugin.c -o nameless.so");
	fixture_run("$CC -O2 -g -shared -fPIC -Wl,--build-id=none -DREBUILT plugin.c "
		    "-o nameless_too.so");
}

/* keeper_start() is for once a process, so each test, a process of its own, calls it. */
static void begin(enum keep_mode mode, uint64_t limit)
{
	struct settings settings = { .keep = mode, .keep_limit = limit };

	snprintf(store, sizeof(store), "%s/store", fixture_path("."));
	setenv(STORE_VARIABLE, store, 1);
	fixture_run("rm -rf store");
	keeper_start(&settings);
}

static struct build_id id_of(const char *name)
{
	struct build_id id;
	struct binary *b;

	ck_assert_int_eq(binary_open(fixture_path(name), &b), 0);
	id = *binary_build_id(b);
	binary_close(b);
	return id;
}

static uint64_t content_of(const char *name)
{
	struct binary *b;
	uint64_t id;

	ck_assert_int_eq(binary_open(fixture_path(name), &b), 0);
	id = binary_content_id(b);
	binary_close(b);
	return id;
}

static bool is_kept(const struct build_id *id, uint64_t content_id)
{
	const char *const stores[] = { store, NULL };
	struct binary *found = kept_file_open(stores, id, content_id, NULL);

	binary_close(found);
	return found != NULL;
}

static enum spool_kept keep(const char *path, const struct build_id *id)
{
	struct keeper_result result = { SPOOL_KEPT_NOT_YET, 0 };

	ck_assert(keeper_keep_module(path, id, false, &result));
	return result.kept;
}

START_TEST(a_library_is_kept_before_it_is_loaded_and_found_again)
{
	const struct build_id one = id_of("one.so"), two = id_of("two.so");

	begin(KEEP_AUTO, 1 << 20);
	keeper_keep_path(fixture_path("one.so"));
	ck_assert(is_kept(&one, 0));
	ck_assert(!is_kept(&two, 0));
	ck_assert_int_eq(keep("/gone.so", &one), SPOOL_KEPT_THERE);
}
END_TEST

START_TEST(what_is_no_library_is_not_kept)
{
	begin(KEEP_AUTO, 1 << 20);
	fixture_run("echo text >text.so; head -c 70 one.so >cut.so; : >empty.so; mkfifo fifo.so");
	keeper_keep_path(fixture_path("text.so"));
	keeper_keep_path(fixture_path("cut.so"));
	keeper_keep_path(fixture_path("empty.so"));
	keeper_keep_path(fixture_path("fifo.so"));
	keeper_keep_path(fixture_path("."));
	keeper_keep_path("/nowhere/x.so");
	ck_assert_int_ne(access(store, F_OK), 0);
}
END_TEST

START_TEST(a_module_is_kept_from_its_path_only_while_that_is_its_build)
{
	const struct build_id one = id_of("one.so"), two = id_of("two.so");

	begin(KEEP_AUTO, 1 << 20);
	ck_assert_int_eq(keep(fixture_path("two.so"), &one), SPOOL_KEPT_REPLACED);
	ck_assert_int_eq(keep("/nowhere/one.so", &one), SPOOL_KEPT_GONE);
	ck_assert(!is_kept(&one, 0) && !is_kept(&two, 0));
	ck_assert_int_ne(keep(fixture_path("one.so"), &one), SPOOL_KEPT_THERE);
	ck_assert(is_kept(&one, 0));
}
END_TEST

START_TEST(a_kept_copy_stays_when_the_file_is_written_to_in_place)
{
	const struct build_id one = id_of("one.so");

	begin(KEEP_AUTO, 1 << 20);
	fixture_run("cp one.so changing.so");
	keeper_keep_path(fixture_path("changing.so"));
	fixture_run("cp two.so changing.so");
	ck_assert(is_kept(&one, 0));
}
END_TEST

/* As a hard link, or a foreign hand, may leave it. */
START_TEST(an_entry_that_is_another_build_by_now_is_replaced)
{
	const struct build_id one = id_of("one.so");
	char entry[512], command[1200];

	begin(KEEP_AUTO, 1 << 20);
	keeper_keep_path(fixture_path("one.so"));
	ck_assert(store_entry(store, &one, STORE_KEPT_SUFFIX, entry, sizeof(entry)));
	snprintf(command, sizeof(command), "cp two.so '%s'", entry);
	fixture_run("%s", command);
	ck_assert(!is_kept(&one, 0));
	ck_assert_int_ne(keep(fixture_path("one.so"), &one), SPOOL_KEPT_THERE);
	ck_assert(is_kept(&one, 0));
}
END_TEST

START_TEST(a_library_above_the_limit_is_linked_or_left)
{
	const struct build_id one = id_of("one.so");
	struct stat file, kept;
	char entry[512];
	enum spool_kept how;

	begin(KEEP_AUTO, 100);
	how = keep(fixture_path("one.so"), &one);
	ck_assert(how == SPOOL_KEPT_HARD_LINK || how == SPOOL_KEPT_REFLINK);
	ck_assert(store_entry(store, &one, STORE_KEPT_SUFFIX, entry, sizeof(entry)));
	ck_assert_int_eq(stat(fixture_path("one.so"), &file), 0);
	ck_assert_int_eq(stat(entry, &kept), 0);
	ck_assert(how == SPOOL_KEPT_REFLINK || file.st_ino == kept.st_ino);
}
END_TEST

START_TEST(nothing_is_kept_when_that_is_set)
{
	const struct build_id one = id_of("one.so");

	begin(KEEP_NEVER, 1 << 20);
	keeper_keep_path(fixture_path("one.so"));
	ck_assert_int_eq(keep(fixture_path("one.so"), &one), SPOOL_KEPT_NEVER);
	ck_assert_int_ne(access(store, F_OK), 0);
}
END_TEST

/* A write above RLIMIT_FSIZE would be SIGXFSZ, which ends the host. */
START_TEST(a_limit_of_file_sizes_is_not_run_into)
{
	const struct build_id one = id_of("one.so");
	enum spool_kept how;

	begin(KEEP_ALWAYS, 0);
	ck_assert_int_eq(
		setrlimit(RLIMIT_FSIZE, &(struct rlimit){ .rlim_cur = 1000, .rlim_max = 1000 }), 0);
	how = keep(fixture_path("one.so"), &one);
	ck_assert(how == SPOOL_KEPT_HARD_LINK || how == SPOOL_KEPT_FAILED);
}
END_TEST

START_TEST(a_store_that_others_can_write_to_is_not_used)
{
	const struct build_id one = id_of("one.so");
	struct keeper_result result;

	begin(KEEP_AUTO, 1 << 20);
	fixture_run("mkdir store; chmod 0777 store");
	ck_assert(keeper_keep_module(fixture_path("one.so"), &one, false, &result));
	ck_assert_int_eq(result.kept, SPOOL_KEPT_FAILED);
	ck_assert_int_eq(result.error, EPERM);
}
END_TEST

START_TEST(errno_and_descriptors_are_left_alone)
{
	int before, after;

	begin(KEEP_AUTO, 1 << 20);
	before = dup(0);
	close(before);
	errno = 4711;
	keeper_keep_path(fixture_path("one.so"));
	keeper_keep_path("/nowhere/x.so");
	ck_assert_int_eq(errno, 4711);
	after = dup(0);
	close(after);
	ck_assert_int_eq(before, after);
}
END_TEST

START_TEST(a_library_without_build_id_is_known_by_its_contents)
{
	static const struct build_id none = { .size = 0 };
	const uint64_t content = content_of("nameless.so"), other = content_of("nameless_too.so");
	struct keeper_result result;
	struct build_id key;

	ck_assert_uint_ne(content, 0);
	ck_assert_uint_ne(content, other);
	begin(KEEP_AUTO, 1 << 20);
	keeper_keep_path(fixture_path("nameless.so"));
	ck_assert(is_kept(&none, content));
	ck_assert(!is_kept(&none, other));
	content_id_to_key(other, &key);
	ck_assert(keeper_keep_module(fixture_path("nameless.so"), &key, true, &result));
	ck_assert_int_eq(result.kept, SPOOL_KEPT_REPLACED);
	ck_assert(keeper_keep_module(fixture_path("nameless_too.so"), &key, true, &result));
	ck_assert(is_kept(&none, other));
}
END_TEST

START_TEST(the_content_id_is_the_same_after_strip_g)
{
	fixture_run("strip -g -o bare.so nameless.so");
	ck_assert_uint_eq(content_of("bare.so"), content_of("nameless.so"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("keeper");
	TCase *tests = tcase_create("keeper");

	tcase_add_unchecked_fixture(tests, build_libraries, fixture_end);
	tcase_add_test(tests, a_library_is_kept_before_it_is_loaded_and_found_again);
	tcase_add_test(tests, what_is_no_library_is_not_kept);
	tcase_add_test(tests, a_module_is_kept_from_its_path_only_while_that_is_its_build);
	tcase_add_test(tests, a_kept_copy_stays_when_the_file_is_written_to_in_place);
	tcase_add_test(tests, an_entry_that_is_another_build_by_now_is_replaced);
	tcase_add_test(tests, a_library_above_the_limit_is_linked_or_left);
	tcase_add_test(tests, nothing_is_kept_when_that_is_set);
	tcase_add_test(tests, a_limit_of_file_sizes_is_not_run_into);
	tcase_add_test(tests, a_store_that_others_can_write_to_is_not_used);
	tcase_add_test(tests, errno_and_descriptors_are_left_alone);
	tcase_add_test(tests, a_library_without_build_id_is_known_by_its_contents);
	tcase_add_test(tests, the_content_id_is_the_same_after_strip_g);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
