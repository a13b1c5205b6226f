#define _GNU_SOURCE
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/compiler.h"
#include "base/settings.h"
#include "run_suite.h"

static struct settings s;
static char why[512];

static bool parse(const char *text)
{
	why[0] = '\0';
	return settings_parse(&s, text, why, sizeof(why));
}

START_TEST(nothing_said_means_cpu_and_heap_at_their_default_rates)
{
	static const char *const nothings[] = { NULL, "", ",", ",,," };

	ck_assert(parse(nothings[_i]));
	ck_assert(!s.cpu_off);
	ck_assert(!s.off && !s.raw && !s.verbose);
	ck_assert_uint_eq(s.freq_hz, SETTINGS_FREQ_DEFAULT);
	ck_assert_uint_eq(s.heap_bytes, SETTINGS_HEAP_DEFAULT);
	ck_assert_uint_eq(s.duration_ns, 0);
	ck_assert_str_eq(s.file, SETTINGS_FILE_DEFAULT);
	ck_assert_str_eq(s.spool, "");
	ck_assert_uint_eq(s.keep, KEEP_AUTO);
	ck_assert_uint_eq(s.keep_limit, SETTINGS_KEEP_LIMIT_DEFAULT);
}
END_TEST

START_TEST(every_setting_is_read_and_the_last_one_counts)
{
	ck_assert(parse("freq=7,cpu,raw,verbose,off,freq=250,duration=1.5s,file=/tmp/%e.pb.gz,"
			"spool=/dev/shm/x,session=18446744073709551615,recorder=4294967295"));
	ck_assert(!s.cpu_off && s.raw && s.verbose && s.off);
	ck_assert_uint_eq(s.freq_hz, 250);
	ck_assert_uint_eq(s.duration_ns, 1500000000);
	ck_assert_str_eq(s.file, "/tmp/%e.pb.gz");
	ck_assert_str_eq(s.spool, "/dev/shm/x");
	ck_assert_uint_eq(s.session, UINT64_MAX);
	ck_assert_uint_eq(s.recorder_pid, UINT32_MAX);
}
END_TEST

START_TEST(each_kind_can_be_had_alone)
{
	ck_assert(parse("cpu=off,heap=64k"));
	ck_assert(s.cpu_off);
	ck_assert_uint_eq(s.heap_bytes, 65536);
	ck_assert(parse("cpu=off,cpu=on,heap=off"));
	ck_assert(!s.cpu_off);
	ck_assert_uint_eq(s.heap_bytes, 0);
	ck_assert(parse("heap=1"));
	ck_assert_uint_eq(s.heap_bytes, 1);
}
END_TEST

static const struct {
	const char *text;
	uint64_t ns;
} durations[] = {
	{ "10", 10000000000 },
	{ "10s", 10000000000 },
	{ "500ms", 500000000 },
	{ "1000us", 1000000 },
	{ "2m", 120000000000 },
	{ "1h", 3600000000000 },
	{ "0.25s", 250000000 },
	{ "1.123456789999s", 1123456789 },
	{ "365.0s", 365000000000 },
};

START_TEST(a_duration_has_a_unit_or_is_in_seconds)
{
	char text[100];

	snprintf(text, sizeof(text), "duration=%s", durations[_i].text);
	ck_assert(parse(text));
	ck_assert_uint_eq(s.duration_ns, durations[_i].ns);
}
END_TEST

static const struct {
	const char *text;
	uint64_t bytes;
} sizes[] = {
	{ "0", 0 },
	{ "4096", 4096 },
	{ "512k", 524288 },
	{ "64m", 67108864 },
	{ "2G", 2147483648 },
};

START_TEST(a_size_has_a_unit_or_is_in_bytes)
{
	char text[100];

	snprintf(text, sizeof(text), "keep-limit=%s", sizes[_i].text);
	ck_assert(parse(text));
	ck_assert_uint_eq(s.keep_limit, sizes[_i].bytes);
}
END_TEST

static const struct {
	const char *text;
	uint32_t choice;
} choices[] = { { "auto", KEEP_AUTO }, { "never", KEEP_NEVER }, { "always", KEEP_ALWAYS } };

START_TEST(a_choice_is_one_of_its_words)
{
	char text[100];

	snprintf(text, sizeof(text), "keep=%s", choices[_i].text);
	ck_assert(parse(text));
	ck_assert_uint_eq(s.keep, choices[_i].choice);
}
END_TEST

/* What is refused, and a part of the reason given. */
static const struct {
	const char *text, *why;
} refused[] = {
	{ "frequency=3", "unknown setting \"frequency\"" },
	{ "Freq=3", "unknown setting" },
	{ "freq", "\"freq\" needs a value" },
	{ "freq=", "\"freq\" needs a value" },
	{ "freq=0", "freq: \"0\" is not a number from 1 to 10000" },
	{ "freq=10001", "is not a number from 1 to 10000" },
	{ "freq=-1", "\"-1\"" },
	{ "freq= 5", "\" 5\"" },
	{ "freq=5Hz", "\"5Hz\"" },
	{ "freq=18446744073709551617", "is not a number" },
	{ "cpu=1", "cpu: \"1\" is not one of on|off" },
	{ "heap", "\"heap\" needs a value" },
	{ "heap=many", "heap: \"many\" is not a size from 1 to 1024g, or off" },
	{ "heap=1025g", "is not a size from 1" },
	{ "off=", "\"off\" takes no value" },
	{ "duration=10x", "is not a time such as" },
	{ "duration=s", "is not a time" },
	{ "duration=0", "is not a time" },
	{ "duration=1us", "is not a time" },
	{ "duration=366000h", "is not a time" },
	{ "duration=99999999999999999h", "is not a time" },
	{ "file=", "\"file\" needs a value" },
	{ "cpu,,nonsense", "\"nonsense\"" },
	{ "keep=sometimes", "keep: \"sometimes\" is not one of auto|never|always" },
	{ "keep=au", "is not one of" },
	{ "keep-limit=5q", "is not a size such as" },
	{ "keep-limit=99999999999g", "is not a size" },
};

START_TEST(what_cannot_be_meant_is_refused_by_name)
{
	ck_assert(!parse(refused[_i].text));
	ck_assert_msg(strstr(why, refused[_i].why), "%s: %s", refused[_i].text, why);
	ck_assert_ptr_null(strchr(why, '\n'));
}
END_TEST

START_TEST(a_reason_that_does_not_fit_is_cut)
{
	char small[10];

	memset(small, 'x', sizeof(small));
	ck_assert(!settings_parse(&s, "a-very-long-word-that-nobody-knows", small, sizeof(small)));
	ck_assert_uint_eq(strlen(small), sizeof(small) - 1);
}
END_TEST

START_TEST(a_comma_or_backslash_in_a_text_is_escaped)
{
	ck_assert(parse("file=a\\,b\\\\c,freq=5"));
	ck_assert_str_eq(s.file, "a,b\\c");
	ck_assert_uint_eq(s.freq_hz, 5);
	/* One at the very end stands for itself. */
	ck_assert(parse("file=a\\"));
	ck_assert_str_eq(s.file, "a\\");
	ck_assert(parse("file=a=b"));
	ck_assert_str_eq(s.file, "a=b");
}
END_TEST

START_TEST(a_text_is_as_long_as_its_field_and_no_longer)
{
	static char text[SETTINGS_TEXT_MAX + 100] = "file=";

	memset(text + 5, 'x', SETTINGS_TEXT_MAX - 1);
	ck_assert(parse(text));
	ck_assert_uint_eq(strlen(s.file), SETTINGS_TEXT_MAX - 1);
	text[5 + SETTINGS_TEXT_MAX - 1] = 'x';
	ck_assert(!parse(text));
	ck_assert_ptr_nonnull(strstr(why, "too long"));
	memset(text + 5, 'x', SETTINGS_TEXT_MAX + 90);
	ck_assert(!parse(text));
	ck_assert_ptr_nonnull(strstr(why, "too long"));
}
END_TEST

static const char *const round_trips[] = {"", "off", "freq=1,duration=10.5s,raw",
	"file=\\,\\\\\\,.pb.gz,spool=/x y/\\,",
	"verbose,session=1234567890123,recorder=42,freq=10000", "duration=365h",
	"keep=never,keep-limit=0,generations", "keep=always,keep-limit=3g"};

START_TEST(what_is_formatted_is_read_back_the_same)
{
	static char text[3 * SETTINGS_TEXT_MAX];
	struct settings before;

	ck_assert(parse(round_trips[_i]));
	before = s;
	ck_assert(settings_format(&s, text, sizeof(text)));
	ck_assert(parse(text));
	ck_assert_uint_eq(s.off, before.off);
	ck_assert_uint_eq(s.raw, before.raw);
	ck_assert_uint_eq(s.verbose, before.verbose);
	ck_assert_uint_eq(s.freq_hz, before.freq_hz);
	ck_assert_uint_eq(s.duration_ns, before.duration_ns);
	ck_assert_uint_eq(s.session, before.session);
	ck_assert_uint_eq(s.recorder_pid, before.recorder_pid);
	ck_assert_uint_eq(s.keep, before.keep);
	ck_assert_uint_eq(s.keep_limit, before.keep_limit);
	ck_assert_uint_eq(s.generations, before.generations);
	ck_assert_str_eq(s.file, before.file);
	ck_assert_str_eq(s.spool, before.spool);
}
END_TEST

START_TEST(a_format_that_does_not_fit_is_refused_within_its_memory)
{
	ck_assert(parse("file=12345678901234567890,raw"));
	for (size_t size = 1; size < 20; size++) {
		char *text = malloc(size);

		ck_assert(!settings_format(&s, text, size));
		free(text);
	}
}
END_TEST

START_TEST(the_table_names_each_setting_once_and_helps_with_it)
{
	for (size_t i = 0; i < settings_count; i++) {
		const struct setting *row = &settings_table[i];

		ck_assert_uint_lt(row->offset, sizeof(struct settings));
		ck_assert_uint_le(row->minimum, row->maximum);
		ck_assert(row->kind == SETTING_FLAG || row->argument || !row->help);
		for (size_t n = 0; n < i; n++)
			ck_assert_str_ne(row->name, settings_table[n].name);
	}
}
END_TEST

START_TEST(spools_are_in_the_runtime_folder_when_it_is_ours)
{
	char folder[SETTINGS_TEXT_MAX], expected[200], runtime[] = "/tmp/test_settings.XXXXXX";

	ck_assert_ptr_nonnull(mkdtemp(runtime));
	setenv("XDG_RUNTIME_DIR", runtime, 1);
	settings_spool_folder(folder);
	snprintf(expected, sizeof(expected), "%s/plugprof", runtime);
	ck_assert_str_eq(folder, expected);
	rmdir(runtime);
}
END_TEST

START_TEST(else_they_are_in_shared_memory_under_our_name)
{
	static const char *const unusable[] = { NULL, "", "relative", "/nowhere/at/all",
		"/proc/self/exe" };
	char folder[SETTINGS_TEXT_MAX], expected[100];

	if (unusable[_i])
		setenv("XDG_RUNTIME_DIR", unusable[_i], 1);
	else
		unsetenv("XDG_RUNTIME_DIR");
	settings_spool_folder(folder);
	snprintf(expected, sizeof(expected), "/dev/shm/plugprof-%u", (unsigned)geteuid());
	ck_assert_str_eq(folder, expected);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("settings");
	TCase *tests = tcase_create("settings");

	tcase_add_loop_test(tests, nothing_said_means_cpu_and_heap_at_their_default_rates, 0, 4);
	tcase_add_test(tests, each_kind_can_be_had_alone);
	tcase_add_test(tests, every_setting_is_read_and_the_last_one_counts);
	tcase_add_loop_test(
		tests, a_duration_has_a_unit_or_is_in_seconds, 0, ARRAY_SIZE(durations));
	tcase_add_loop_test(tests, what_cannot_be_meant_is_refused_by_name, 0, ARRAY_SIZE(refused));
	tcase_add_test(tests, a_reason_that_does_not_fit_is_cut);
	tcase_add_test(tests, a_comma_or_backslash_in_a_text_is_escaped);
	tcase_add_test(tests, a_text_is_as_long_as_its_field_and_no_longer);
	tcase_add_loop_test(
		tests, what_is_formatted_is_read_back_the_same, 0, ARRAY_SIZE(round_trips));
	tcase_add_loop_test(tests, a_size_has_a_unit_or_is_in_bytes, 0, ARRAY_SIZE(sizes));
	tcase_add_loop_test(tests, a_choice_is_one_of_its_words, 0, ARRAY_SIZE(choices));
	tcase_add_test(tests, a_format_that_does_not_fit_is_refused_within_its_memory);
	tcase_add_test(tests, the_table_names_each_setting_once_and_helps_with_it);
	tcase_add_test(tests, spools_are_in_the_runtime_folder_when_it_is_ours);
	tcase_add_loop_test(tests, else_they_are_in_shared_memory_under_our_name, 0, 5);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
