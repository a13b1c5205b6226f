#define _GNU_SOURCE
#include "base/settings.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/compiler.h"
#include "base/hash.h"

#define FIELD(field) offsetof(struct settings, field)
#define SECOND_NS UINT64_C(1000000000)

const struct setting settings_table[] = {
	{ "off", SETTING_FLAG, FIELD(off), 0, 1, NULL, "do nothing: as if not preloaded" },
	{ "cpu", SETTING_CHOICE, FIELD(cpu_off), 0, 1, "on|off", "sample CPU time (default on)" },
	{ "heap", SETTING_SIZE, FIELD(heap_bytes), 0, (uint64_t)1 << 40, "SIZE",
		"sample allocations, one in SIZE bytes on average (default 512k); 1 records each, "
		"off none" },
	{ "raw", SETTING_FLAG, FIELD(raw), 0, 1, NULL,
		"write addresses without names, for plugprof symbolize" },
	{ "verbose", SETTING_FLAG, FIELD(verbose), 0, 1, NULL,
		"say on stderr what was written, and how well each library is named" },
	{ "freq", SETTING_NUMBER, FIELD(freq_hz), 1, SETTINGS_FREQ_MAX, "HZ",
		"samples per second of CPU time (default 99)" },
	{ "duration", SETTING_DURATION, FIELD(duration_ns), 1000000, 365 * 86400 * SECOND_NS,
		"TIME", "stop sampling after TIME: 10s, 500ms, 2m" },
	{ "mmap", SETTING_FLAG, FIELD(mmap), 0, 1, NULL,
		"record each mapping of mmap, mremap, brk too, in the heap profile" },
	{ "file", SETTING_TEXT, FIELD(file), 1, SETTINGS_TEXT_MAX - 1, "NAME",
		"name of the profile; %p pid, %e program, %h host, %t time, %n number "
		"(default " SETTINGS_FILE_DEFAULT ")" },
	{ "spool", SETTING_TEXT, FIELD(spool), 1, SETTINGS_TEXT_MAX - 1, "FOLDER",
		"where samples are kept until written; best on tmpfs" },
	{ "keep", SETTING_CHOICE, FIELD(keep), 0, KEEP_ALWAYS, "auto|never|always",
		"keep the files of libraries loaded later, before they can vanish: by a link or a "
		"copy up to the limit, not at all, or whatever their size" },
	{ "keep-limit", SETTING_SIZE, FIELD(keep_limit), 0, UINT64_MAX, "SIZE",
		"copy no library that is larger (default 64m)" },
	{ "generations", SETTING_FLAG, FIELD(generations), 0, 1, NULL,
		"label each sample with its plugin's generation: how often it was loaded by then" },
	{ "go-labels", SETTING_CHOICE, FIELD(go_labels_off), 0, 1, "on|off",
		"label each sample as runtime/pprof has labelled the goroutine (default on)" },
	{ "follow", SETTING_CHOICE, FIELD(follow), 0, FOLLOW_NONE, "both|fork|exec|none",
		"record what the program starts, too: what it forks, what it runs by exec" },
	{ "include", SETTING_TEXT, FIELD(include), 1, SETTINGS_PATTERNS_MAX - 1, "NAMES",
		"record only programs with such a name: python3*, or more with : between" },
	{ "exclude", SETTING_TEXT, FIELD(exclude), 1, SETTINGS_PATTERNS_MAX - 1, "NAMES",
		"record no program with such a name" },
	{ "session", SETTING_NUMBER, FIELD(session), 0, UINT64_MAX, NULL, NULL },
	{ "recorder", SETTING_NUMBER, FIELD(recorder_pid), 0, UINT32_MAX, NULL, NULL },
	{ "pid-namespace", SETTING_NUMBER, FIELD(recorder_namespace), 0, UINT64_MAX, NULL, NULL },
	{ "recorder-folder", SETTING_NUMBER, FIELD(recorder_folder), 0, UINT64_MAX, NULL, NULL },
};
const size_t settings_count = ARRAY_SIZE(settings_table);

void settings_default(struct settings *s)
{
	*s = (struct settings){
		.freq_hz = SETTINGS_FREQ_DEFAULT,
		.heap_bytes = SETTINGS_HEAP_DEFAULT,
		.keep_limit = SETTINGS_KEEP_LIMIT_DEFAULT,
	};
	strcpy(s->file, SETTINGS_FILE_DEFAULT);
}

/* --- small text, without stdio: the agent reads its settings too --- */

struct text {
	char *at, *end; /* END: the last byte, kept for the NUL */
};

static void put(struct text *t, const char *from)
{
	while (*from && t->at < t->end)
		*t->at++ = *from++;
	*t->at = '\0';
}

static void put_number(struct text *t, uint64_t number)
{
	char digits[21];
	char *at = digits + 20;

	*at = '\0';
	do
		*--at = (char)('0' + number % 10);
	while (number /= 10);
	put(t, at);
}

static bool refuse(char *why, size_t size, const char *const *parts)
{
	struct text t = { why, why + size - 1 };

	for (; *parts; parts++)
		put(&t, *parts);
	return false;
}

#define REFUSE(why, size, ...) refuse(why, size, (const char *const[]){ __VA_ARGS__, NULL })

static bool read_number(const char *text, uint64_t *number, const char **rest)
{
	*number = 0;
	if (*text < '0' || *text > '9')
		return false;
	for (; *text >= '0' && *text <= '9'; text++)
		if (__builtin_mul_overflow(*number, 10, number) ||
			__builtin_add_overflow(*number, (uint64_t)(*text - '0'), number))
			return false;
	*rest = text;
	return true;
}

static bool read_duration(const char *text, uint64_t *ns)
{
	static const struct {
		const char *name;
		uint64_t ns;
	} units[] = { { "", SECOND_NS }, { "s", SECOND_NS }, { "ms", 1000000 },
		{ "us", 1000 }, { "m", 60 * SECOND_NS }, { "h", 3600 * SECOND_NS } };
	uint64_t fraction = 0, scale = 1;
	const char *unit;

	if (!read_number(text, ns, &unit))
		return false;
	if (*unit == '.')
		for (unit++; *unit >= '0' && *unit <= '9'; unit++) {
			if (scale < 1000000000) {
				fraction = fraction * 10 + (uint64_t)(*unit - '0');
				scale *= 10;
			}
		}
	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		if (strcmp(unit, units[i].name) == 0)
			return !__builtin_mul_overflow(*ns, units[i].ns, ns) &&
			       !__builtin_add_overflow(*ns,
				       (uint64_t)((unsigned __int128)fraction * units[i].ns /
						  scale),
				       ns);
	return false;
}

static bool read_size(const char *text, uint64_t *bytes)
{
	static const char units[] = "kmg";
	const char *unit, *found;

	if (strcmp(text, "off") == 0) {
		*bytes = 0;
		return true;
	}
	if (!read_number(text, bytes, &unit))
		return false;
	if (!*unit)
		return true;
	found = strchr(units, *unit | 0x20);
	return found && !unit[1] &&
		!__builtin_mul_overflow(
			*bytes, UINT64_C(1) << (10 * (found - units + 1)), bytes);
}

/* The length of the word at WORDS, which ends at '|' or the end. */
static size_t choice_length(const char *words)
{
	const char *bar = strchr(words, '|');

	return bar ? (size_t)(bar - words) : strlen(words);
}

static bool read_choice(const char *text, const char *words, uint64_t *number)
{
	for (*number = 0;; ++*number) {
		const size_t length = choice_length(words);

		if (strlen(text) == length && memcmp(text, words, length) == 0)
			return true;
		if (!words[length])
			return false;
		words += length + 1;
	}
}

static bool read_value(const struct setting *row, const char *value, uint64_t *number)
{
	const char *rest;

	switch (row->kind) {
	case SETTING_DURATION:
		return read_duration(value, number);
	case SETTING_SIZE:
		return read_size(value, number);
	case SETTING_CHOICE:
		return read_choice(value, row->argument, number);
	default:
		return read_number(value, number, &rest) && !*rest;
	}
}

static void describe_range(const struct setting *row, char *text, size_t size)
{
	struct text t = { text, text + size - 1 };

	if (row->kind == SETTING_DURATION) {
		put(&t, "a time such as 10s, 500ms or 2m");
		return;
	}
	if (row->kind == SETTING_SIZE) {
		put(&t, row->maximum == UINT64_MAX ? "a size such as 4096, 512k or 64m" :
						    "a size from 1 to 1024g, or off");
		return;
	}
	if (row->kind == SETTING_CHOICE) {
		put(&t, "one of ");
		put(&t, row->argument);
		return;
	}
	put(&t, "a number from ");
	put_number(&t, row->minimum);
	put(&t, " to ");
	put_number(&t, row->maximum);
}

static bool set_row(struct settings *s, const struct setting *row, const char *value, char *why,
	size_t why_size)
{
	void *field = (char *)s + row->offset;
	char range[80];
	uint64_t number;

	if (row->kind == SETTING_FLAG) {
		if (value)
			return REFUSE(why, why_size, "\"", row->name, "\" takes no value");
		*(bool *)field = true;
		return true;
	}
	if (!value && row->kind == SETTING_CHOICE && strncmp(row->argument, "on|", 3) == 0)
		value = "on";
	if (!value || !*value)
		return REFUSE(why, why_size, "\"", row->name, "\" needs a value");
	if (row->kind == SETTING_TEXT) {
		if (strlen(value) > row->maximum)
			return REFUSE(why, why_size, "\"", row->name, "\" is too long");
		strcpy(field, value);
		return true;
	}
	if (!read_value(row, value, &number) || number < row->minimum ||
		number > row->maximum) {
		describe_range(row, range, sizeof(range));
		return REFUSE(why, why_size, row->name, ": \"", value, "\" is not ", range);
	}
	if (row->maximum <= UINT32_MAX)
		*(uint32_t *)field = (uint32_t)number;
	else
		*(uint64_t *)field = number;
	return true;
}

bool settings_set(
	struct settings *s, const char *name, const char *value, char *why, size_t why_size)
{
	for (size_t i = 0; i < settings_count; i++)
		if (strcmp(name, settings_table[i].name) == 0)
			return set_row(s, &settings_table[i], value, why, why_size);
	return REFUSE(why, why_size, "unknown setting \"", name, "\"; see libplugprof(7)");
}

/* The next word of *TEXT up to a comma, with backslashes taken off. */
static bool next_word(const char **text, char *word, size_t size)
{
	const char *at = *text;
	size_t used = 0;

	for (; *at && *at != ','; at++) {
		if (*at == '\\' && at[1])
			at++;
		if (used + 1 >= size)
			return false;
		word[used++] = *at;
	}
	word[used] = '\0';
	*text = *at ? at + 1 : at;
	return true;
}

bool settings_parse(struct settings *s, const char *text, char *why, size_t why_size)
{
	char word[SETTINGS_TEXT_MAX + 32];

	settings_default(s);
	while (text && *text) {
		char *value;

		if (!next_word(&text, word, sizeof(word)))
			return REFUSE(why, why_size, "a word is too long");
		if (!word[0])
			continue;
		value = strchr(word, '=');
		if (value)
			*value++ = '\0';
		if (!settings_set(s, word, value, why, why_size))
			return false;
	}
	return true;
}

static void put_escaped(struct text *t, const char *from)
{
	for (; *from; from++) {
		char one[3] = { *from == ',' || *from == '\\' ? '\\' : *from, *from, '\0' };

		if (one[0] != '\\')
			one[1] = '\0';
		put(t, one);
	}
}

static uint64_t number_of(const struct settings *s, const struct setting *row)
{
	const void *field = (const char *)s + row->offset;

	if (row->kind == SETTING_FLAG || row->kind == SETTING_TEXT)
		return *(const char *)field != 0; /* said at all */
	return row->maximum <= UINT32_MAX ? *(const uint32_t *)field : *(const uint64_t *)field;
}

static void put_choice(struct text *t, const char *words, uint64_t number)
{
	char word[32] = "";

	while (number--)
		words += choice_length(words) + 1;
	strncat(word, words, choice_length(words));
	put(t, word);
}

static void put_setting(struct text *t, const struct settings *s, const struct setting *row)
{
	const uint64_t number = number_of(s, row);

	if (row->kind == SETTING_TEXT && !number)
		return;
	put(t, row->name);
	if (row->kind != SETTING_FLAG)
		put(t, "=");
	switch (row->kind) {
	case SETTING_FLAG:
		break;
	case SETTING_TEXT:
		put_escaped(t, (const char *)s + row->offset);
		break;
	case SETTING_CHOICE:
		put_choice(t, row->argument, number);
		break;
	case SETTING_DURATION:
		put_number(t, number / 1000);
		put(t, "us");
		break;
	default:
		put_number(t, number);
	}
	put(t, ",");
}

bool settings_format(const struct settings *s, char *text, size_t size)
{
	struct text t = { text, text + size - 1 };
	struct settings as_usual;

	settings_default(&as_usual);
	*text = '\0';
	for (size_t i = 0; i < settings_count; i++)
		if (settings_table[i].kind == SETTING_TEXT ||
			number_of(s, &settings_table[i]) !=
				number_of(&as_usual, &settings_table[i]))
			put_setting(&t, s, &settings_table[i]);
	if (t.at == t.end)
		return false;
	if (t.at > text)
		t.at[-1] = '\0'; /* the last comma */
	return true;
}

uint64_t settings_folder_identity(const char *folder)
{
	struct stat st;

	return stat(folder, &st) == 0 ? hash_mix(hash_add(st.st_dev, st.st_ino)) : 0;
}

void settings_spool_folder(char folder[static SETTINGS_TEXT_MAX])
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	struct text t = { folder, folder + SETTINGS_TEXT_MAX - 1 };
	struct stat st;

	if (runtime && runtime[0] == '/' && strlen(runtime) < SETTINGS_TEXT_MAX - 64 &&
		stat(runtime, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid()) {
		put(&t, runtime);
		put(&t, "/plugprof");
		return;
	}
	put(&t, "/dev/shm/plugprof-");
	put_number(&t, geteuid());
}
