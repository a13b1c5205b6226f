/* What Go's runtime has in memory, written here by hand. */
#define _GNU_SOURCE
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/go_runtime.h"
#include "agent/labels.h"
#include "agent/plugprof.h"
#include "base/compiler.h"
#include "base/go_layout.h"
#include "run_suite.h"
#include "spool_fixture.h"

struct text {
	const char *start;
	uint64_t size;
};
#define TEXT(literal) { literal, sizeof(literal) - 1 }

struct pair {
	struct text key, value;
};

struct list {
	const struct pair *start;
	uint64_t count, capacity;
};

struct bucket {
	uint8_t hashes[8];
	struct text keys[8], values[8];
	const struct bucket *next;
};

struct map {
	uint64_t count;
	uint8_t flags, log2;
	uint16_t overflows;
	uint32_t seed;
	const struct bucket *buckets, *old_buckets;
};

/* The runtime. */
static __thread uint64_t locals[5]; /* the running g is in the third */
static uint64_t scheduler[64], user[64], m[64];
static const struct go_layout *layout;

static void load_program(const char *version)
{
	static _Alignas(16) struct {
		char other[48];
		char magic[14];
		uint8_t pointer_size, flags;
		char rest[16];
		uint8_t size;
		char version[47];
	} info = { .magic = "\xff Go buildinf:", .pointer_size = 8, .flags = 2 };
	const Elf64_Phdr headers[] = {
		{ .p_type = PT_LOAD, .p_flags = PF_R | PF_W, .p_vaddr = (uint64_t)&info,
			.p_filesz = sizeof(info), .p_memsz = sizeof(info) },
		{ .p_type = PT_TLS, .p_memsz = sizeof(locals) },
	};
	const struct loaded_object program = { .name = "",
		.headers = headers,
		.header_count = ARRAY_SIZE(headers),
		.map_start = (uint64_t)&info,
		.map_end = (uint64_t)(&info + 1),
		.tls = locals,
		.flags = SPOOL_MODULE_MAIN };

	info.size = (uint8_t)strlen(version);
	memcpy(info.version, version, strlen(version));
	go_runtime_add(&program);
}

static void start_go(const char *version)
{
	load_program(version);
	layout = go_layout_find(version, strlen(version));
	ck_assert_ptr_nonnull(layout);
	locals[0] = 8; /* C's own */
	locals[1] = (uint64_t)locals;
	locals[2] = (uint64_t)scheduler;
	scheduler[GO_LAYOUT_G_M / 8] = user[GO_LAYOUT_G_M / 8] = (uint64_t)m;
	m[layout->m_procid / 8] = (uint64_t)gettid();
	m[layout->m_curg / 8] = (uint64_t)user;
}

static void set_labels(const void *labels)
{
	user[layout->g_labels / 8] = (uint64_t)labels;
}

static void set_up(void)
{
	const struct spool_identity identity = { .period_ns = 1 };

	make_folder();
	ck_assert_int_eq(spool_create(&w, folder, &identity, path, sizeof(path)), 0);
	spool_begin(&w);
	labels_start();
	go_runtime_start(&w);
}

static void tear_down(void)
{
	labels_thread_ends();
	remove_folder();
}

/* Of a sample of this thread, now. */
static const char *labels_now(void)
{
	const spool_frame note = labels_note(&w);

	return labels_of(&note, 1);
}

static uint64_t samples_that_lack_labels(void)
{
	struct spool_reader *r = read_back();
	const uint64_t lost = spool_reader_labels_lost(r);

	spool_reader_free(r);
	return lost;
}

static const struct pair two_pairs[] = { { TEXT("tenant"), TEXT("blue") },
	{ TEXT("span"), TEXT("00f1") } };
static const struct list two = { two_pairs, 2, 2 };

START_TEST(a_list_of_labels_is_read)
{
	start_go("go1.26.8");
	ck_assert_str_eq(labels_now(), "");
	set_labels(&two);
	ck_assert_str_eq(labels_now(), "span=00f1 tenant=blue");
	set_labels(NULL);
	ck_assert_str_eq(labels_now(), "");
}
END_TEST

START_TEST(a_map_is_read_through_its_chains_and_what_has_not_moved_yet)
{
	const struct bucket chained = { .hashes = { [5] = 77 },
		.keys = { [5] = TEXT("d") },
		.values = { [5] = TEXT("4") } };
	const struct bucket buckets[4] = {
		{ .hashes = { 5, 1, 200 },
			.keys = { TEXT("b"), TEXT("empty slot"), TEXT("a") },
			.values = { TEXT("2"), TEXT("?"), TEXT("1") } },
		{ .hashes = { [7] = 99 },
			.keys = { [7] = TEXT("c") },
			.values = { [7] = TEXT("3") },
			.next = &chained },
	};
	const struct bucket old[2] = {
		{ .hashes = { 2, 4, 4 }, .keys = { TEXT("moved") }, .values = { TEXT("?") } },
		{ .hashes = { 9 }, .keys = { TEXT("e") }, .values = { TEXT("5") } },
	};
	const struct map grown = { 5, 0, 2, 1, 0, buckets, old };
	const struct map small = { 2, 0, 0, 0, 0, buckets, NULL };
	const struct map *at = &grown;

	start_go("go1.19.8");
	set_labels(&at);
	ck_assert_str_eq(labels_now(), "a=1 b=2 c=3 d=4 e=5");
	at = &small;
	ck_assert_str_eq(labels_now(), "a=1 b=2");
	ck_assert_uint_eq(samples_that_lack_labels(), 0);
}
END_TEST

START_TEST(labels_of_the_thread_are_there_too_but_the_goroutines_count)
{
	start_go("go1.26.8");
	plugprof_set_label("tenant", "of the thread");
	plugprof_set_label("zone", "4");
	ck_assert_str_eq(labels_now(), "tenant=of the thread zone=4");
	set_labels(&two);
	ck_assert_str_eq(labels_now(), "span=00f1 tenant=blue zone=4");
	set_labels(NULL);
	ck_assert_str_eq(labels_now(), "tenant=of the thread zone=4");
}
END_TEST

START_TEST(labels_that_do_not_fit_are_left_out_and_counted)
{
	static char keys[70][8], value[1100];
	struct pair pairs[70];
	struct list list = { pairs, 16, 70 };

	for (int i = 0; i < 70; i++) {
		sprintf(keys[i], "k%02d", i);
		pairs[i] = (struct pair){ { keys[i], 3 }, TEXT("v") };
	}
	start_go("go1.24.1");
	set_labels(&list);
	ck_assert_uint_eq(strlen(labels_now()), 16 * sizeof("k00=v") - 1);
	ck_assert_uint_eq(samples_that_lack_labels(), 0);
	list.count = 70;
	ck_assert_uint_eq(strlen(labels_now()), 16 * sizeof("k00=v") - 1);
	ck_assert_uint_eq(samples_that_lack_labels(), 1);
	list.count = 2;
	memset(value, 'x', sizeof(value));
	pairs[0].value = (struct text){ value, sizeof(value) };
	ck_assert_str_eq(labels_now(), "k01=v");
	pairs[0].value.size = 1000;
	ck_assert_uint_eq(strlen(labels_now()), 1000 + strlen("k00= k01=v"));
	ck_assert_uint_eq(samples_that_lack_labels(), 2);
	pairs[1].value = pairs[0].value;
	ck_assert_uint_eq(strlen(labels_now()), 1000 + strlen("k00="));
	pairs[0].value = (struct text)TEXT("a\0b");
	pairs[1].value = (struct text)TEXT("");
	ck_assert_str_eq(labels_now(), "");
	ck_assert_uint_eq(samples_that_lack_labels(), 4);
}
END_TEST

static void *page_that_cannot_be_read(void)
{
	char *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(pages, MAP_FAILED);
	ck_assert_int_eq(mprotect(pages + 4096, 4096, PROT_NONE), 0);
	return pages + 4096;
}

START_TEST(whatever_is_in_gos_memory_it_is_never_read_where_there_is_none)
{
	char *const nowhere = page_that_cannot_be_read();
	const struct pair pairs[] = {
		{ { nowhere - 4, 8 }, TEXT("v") },
		{ { nowhere, 1 }, TEXT("v") },
		{ { (char *)UINT64_MAX, 8 }, TEXT("v") },
		{ { NULL, 1 }, TEXT("v") },
		{ TEXT("k"), { nowhere - 2, 3 } },
		{ TEXT("k"), { "v", UINT64_MAX } },
	};
	const struct list bad[] = { { pairs, ARRAY_SIZE(pairs), 0 }, { (void *)nowhere, 1, 1 },
		{ (void *)(nowhere - 16), 3, 3 }, { (void *)(UINT64_MAX - 7), UINT64_MAX, 0 } };

	start_go("go1.25.5");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		set_labels(&bad[i]);
		ck_assert_str_eq(labels_now(), "");
	}
	set_labels(nowhere);
	ck_assert_str_eq(labels_now(), "");
	set_labels((char *)&two + 1);
	ck_assert_str_eq(labels_now(), "");
	set_labels(&two);
	ck_assert_str_ne(labels_now(), "");
	m[layout->m_curg / 8] = (uint64_t)nowhere;
	ck_assert_str_eq(labels_now(), "");
	scheduler[GO_LAYOUT_G_M / 8] = (uint64_t)nowhere - 8;
	ck_assert_str_eq(labels_now(), "");
	locals[2] = (uint64_t)nowhere - 8;
	ck_assert_str_eq(labels_now(), "");
}
END_TEST

START_TEST(a_map_with_wild_pointers_has_no_labels)
{
	char *const nowhere = page_that_cannot_be_read();
	struct bucket ring = { .hashes = { 9 }, .keys = { { nowhere, 5 } } };
	const struct map bad[] = { { 1, 0, 0, 0, 0, (void *)nowhere, NULL },
		{ 1, 0, 200, 0, 0, &ring, NULL }, { 1, 0, 0, 0, 0, &ring, NULL },
		{ 1, 8, 0, 0, 0, NULL, (void *)(nowhere - 8) } };
	const struct map *at;

	ring.next = &ring;
	start_go("go1.23.1");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		at = &bad[i];
		set_labels(&at);
		ck_assert_str_eq(labels_now(), "");
	}
	at = NULL;
	ck_assert_str_eq(labels_now(), "");
}
END_TEST

START_TEST(a_goroutine_of_another_thread_lends_nothing)
{
	start_go("go1.26.8");
	set_labels(&two);
	m[layout->m_procid / 8]++;
	ck_assert_str_eq(labels_now(), "");
	m[layout->m_procid / 8]--;
	ck_assert_str_ne(labels_now(), "");
	user[GO_LAYOUT_G_M / 8] = (uint64_t)scheduler;
	ck_assert_str_eq(labels_now(), "");
}
END_TEST

static const char *unknown_version(void)
{
	static char text[100];
	struct spool_reader *r = read_back();

	snprintf(text, sizeof(text), "%s", spool_reader_text(r, SPOOL_TEXT_GO_UNKNOWN));
	spool_reader_free(r);
	return text;
}

START_TEST(an_unknown_version_is_told_and_nothing_is_read)
{
	load_program("go1.99.1");
	ck_assert_str_eq(unknown_version(), "go1.99.1");
	ck_assert_uint_eq(go_place_count, 0);
	ck_assert_str_eq(labels_now(), "");
}
END_TEST

START_TEST(a_known_version_needs_no_word)
{
	start_go("go1.21.13");
	ck_assert_str_eq(unknown_version(), "");
	ck_assert_uint_eq(go_place_count, 1);
}
END_TEST

START_TEST(versions_are_known_by_their_minor_number)
{
	static const char *const known[] = { "go1.18", "go1.18.10", "go1.21rc4", "go1.26.8",
		"go1.26.8 X:nodwarf5" };
	static const char *const unknown[] = { "", "go", "go1.", "go1.17.13", "go1.27.1", "go1.260",
		"go1.27-devel_0123abc", "go1.26-devel_0123abc", "devel go1.26-0123abc", "go2.19",
		"go1.26beta1", "go1.99999999999999999999" };

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		ck_assert_msg(go_layout_find(known[i], strlen(known[i])) != NULL, "%s", known[i]);
	for (size_t i = 0; i < ARRAY_SIZE(unknown); i++)
		ck_assert_msg(go_layout_find(unknown[i], strlen(unknown[i])) == NULL, "%s",
			unknown[i]);
	ck_assert_uint_eq(go_layout_find("go1.19.8", 6)->minor, 19);
	ck_assert_str_eq(GO_LAYOUT_KNOWN, "1.18 to 1.26");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("go_labels");
	TCase *cases = tcase_create("labels");

	tcase_add_checked_fixture(cases, set_up, tear_down);
	tcase_add_test(cases, a_list_of_labels_is_read);
	tcase_add_test(cases, a_map_is_read_through_its_chains_and_what_has_not_moved_yet);
	tcase_add_test(cases, labels_of_the_thread_are_there_too_but_the_goroutines_count);
	tcase_add_test(cases, labels_that_do_not_fit_are_left_out_and_counted);
	tcase_add_test(cases, whatever_is_in_gos_memory_it_is_never_read_where_there_is_none);
	tcase_add_test(cases, a_map_with_wild_pointers_has_no_labels);
	tcase_add_test(cases, a_goroutine_of_another_thread_lends_nothing);
	tcase_add_test(cases, an_unknown_version_is_told_and_nothing_is_read);
	tcase_add_test(cases, a_known_version_needs_no_word);
	tcase_add_test(cases, versions_are_known_by_their_minor_number);
	suite_add_tcase(suite, cases);
	return run_suite(suite);
}
