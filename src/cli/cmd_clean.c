#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/store.h"
#include "cli/commands.h"
#include "cli/message.h"
#include "cli/options.h"
#include "cli/size_text.h"
#include "cli/store_clean.h"

#define DAY_S 86400
#define DEFAULT_AGE_S (30 * (uint64_t)DAY_S)
#define DEFAULT_SIZE ((uint64_t)1 << 30)

struct clean_options {
	const char *older_than, *max_size, *store;
	bool dry_run, maps, quiet, verbose;
};

static const struct option_row rows[] = {
	{ 0, "older-than", OPTION_TEXT, offsetof(struct clean_options, older_than), NULL, "AGE",
		"remove what was kept before that: 30d, 12h, 90m" },
	{ 0, "max-size", OPTION_TEXT, offsetof(struct clean_options, max_size), NULL, "SIZE",
		"remove the oldest until the rest fits: 512m, 1g" },
	{ 'n', "dry-run", OPTION_FLAG, offsetof(struct clean_options, dry_run), NULL, NULL,
		"say what would be removed" },
	{ 0, "maps", OPTION_FLAG, offsetof(struct clean_options, maps), NULL, NULL,
		"symbol maps, too" },
	{ 0, "store", OPTION_TEXT, offsetof(struct clean_options, store), NULL, "FOLDER",
		"clean this folder (default: those of PLUGPROF_SYMBOLS, or your own)" },
	{ 'q', "quiet", OPTION_FLAG, offsetof(struct clean_options, quiet), NULL, NULL,
		"say nothing but errors" },
	{ 'v', "verbose", OPTION_FLAG, offsetof(struct clean_options, verbose), NULL, NULL,
		"say each file" },
	{ .name = NULL },
};

static const struct command_line line = {
	.command = "clean",
	.synopsis = "",
	.purpose = "Remove library files that recordings kept: without options those older than 30 "
		   "days,\nand then the oldest of more than 1 GiB.",
	.rows = rows,
};

/* --- options --- */

struct unit {
	char letter;
	uint64_t factor;
};

/* A number and its unit, one of UNITS (to a letter 0); "0" needs none. */
static bool read_with_unit(const char *text, const struct unit *units, uint64_t *value)
{
	const size_t digits = strspn(text, "0123456789");
	const uint64_t number = digits && digits < 20 ? strtoull(text, NULL, 10) : 0;

	if (digits == 0 || digits >= 20)
		return false;
	if (!text[digits] && number == 0) {
		*value = 0;
		return true;
	}
	for (; units->letter; units++)
		if (text[digits] == units->letter && !text[digits + 1])
			return !__builtin_mul_overflow(number, units->factor, value);
	return false;
}

static bool complain(const char *option, const char *value, const char *example)
{
	char *what = xasprintf("--%s wants %s, not \"%s\"", option, example, value);

	options_complain(&line, what);
	free(what);
	return false;
}

static bool read_limits(const struct clean_options *o, const struct timespec *now,
	struct clean_limits *limits)
{
	static const struct unit ages[] = { { 'd', DAY_S }, { 'h', 3600 }, { 'm', 60 }, { 0, 0 } };
	static const struct unit sizes[] = {
		{ 'k', 1 << 10 }, { 'm', 1 << 20 }, { 'g', 1 << 30 }, { 0, 0 }
	};
	const bool by_default = !o->older_than && !o->max_size;
	uint64_t age_s = by_default ? DEFAULT_AGE_S : UINT64_MAX;

	limits->with_maps = o->maps;
	limits->size_max = by_default ? DEFAULT_SIZE : UINT64_MAX;
	if (o->older_than && !read_with_unit(o->older_than, ages, &age_s))
		return complain("older-than", o->older_than, "an age such as 30d, 12h or 90m");
	if (o->max_size && !read_with_unit(o->max_size, sizes, &limits->size_max))
		return complain("max-size", o->max_size, "a size such as 512m or 1g");
	limits->before = *now;
	limits->before.tv_sec = age_s > (uint64_t)now->tv_sec ? 0 : now->tv_sec - (time_t)age_s;
	return true;
}

/* --- folders --- */

/* False: one line was said. */
static bool add_folder(struct stored_files *files, const char *folder, bool must_be_there)
{
	int r = stored_files_add(files, folder);

	if (r == 0 || (r == -ENOENT && !must_be_there))
		return true;
	if (r == -ELOOP)
		message("%s is a symbolic link: name the folder that it points to", folder);
	else if (r == -EPERM)
		message("%s belongs to another user, who may clean it", folder);
	else
		message_errno(r, "cannot clean %s", folder);
	return false;
}

static bool find_folders(struct stored_files *files, const char *named)
{
	char folder[STORE_PATH_MAX];
	bool ok = true;

	if (named)
		return add_folder(files, named, true);
	for (size_t i = 0; store_folder(i, folder); i++)
		ok &= add_folder(files, folder, false);
	return ok;
}

/* --- files --- */

struct sums {
	uint64_t removed, freed_bytes, left, left_bytes;
};

static char *age_text(const struct stored_file *file, const struct timespec *now)
{
	const long long hours = (long long)(now->tv_sec - file->kept.tv_sec) / 3600;

	return hours < 48 ? xasprintf("%lld hours", hours) : xasprintf("%lld days", hours / 24);
}

static void say_file(const struct stored_file *file, bool dry_run, const struct timespec *now)
{
	static const char *const reasons[] = {
		[STORED_LEFTOVER] = "left by a process that was killed",
		[STORED_OVERWRITTEN] = "not the build that its name says: it was written to",
		[STORED_OLD] = "old",
		[STORED_TOO_MUCH] = "the oldest of too much",
	};
	char *age = age_text(file, now);
	char text[32];

	printf("%s %s: %s, kept %s ago, %s\n", dry_run ? "would remove" : "removed", file->path,
		reasons[file->fate], age,
		file->size ? size_text((int64_t)file->size, text, sizeof(text)) :
			     "nothing freed: it has another name");
	free(age);
}

/* False: one line was said. */
static bool clean_file(const struct stored_files *files, const struct stored_file *file,
	const struct clean_options *o, const struct timespec *now, struct sums *sums)
{
	int r;

	if (file->fate == STORED_STAYS) {
		sums->left++;
		sums->left_bytes += file->size;
		return true;
	}
	r = o->dry_run ? 0 : stored_file_remove(files, file);
	if (r) {
		message_errno(r, "cannot remove %s", file->path);
		return false;
	}
	sums->removed++;
	sums->freed_bytes += file->size;
	if (o->verbose || (file->fate == STORED_OVERWRITTEN && !o->quiet))
		say_file(file, o->dry_run, now);
	return true;
}

static void say_sums(const struct sums *sums, bool dry_run)
{
	char freed[32], left[32];

	printf("%s %llu file%s, %s freed; %llu file%s, %s left\n",
		dry_run ? "would remove" : "removed", (unsigned long long)sums->removed,
		sums->removed == 1 ? "" : "s",
		size_text((int64_t)sums->freed_bytes, freed, sizeof(freed)),
		(unsigned long long)sums->left, sums->left == 1 ? "" : "s",
		size_text((int64_t)sums->left_bytes, left, sizeof(left)));
}

static bool clean(struct stored_files *files, const struct clean_options *o,
	const struct clean_limits *limits, const struct timespec *now)
{
	struct sums sums = { .removed = 0 };
	bool ok = true;

	stored_files_judge(files, limits, now);
	for (size_t i = 0; i < files->items.count; i++)
		ok &= clean_file(files, &files->items.items[i], o, now, &sums);
	if (!o->dry_run)
		stored_files_remove_parts(files, now);
	if (!o->quiet)
		say_sums(&sums, o->dry_run);
	return ok;
}

int cmd_clean(int argc, char **argv)
{
	struct clean_options options = { .dry_run = false };
	struct stored_files files = { .items = { .count = 0 } };
	struct clean_limits limits;
	enum options_outcome outcome;
	struct timespec now;
	int first;
	bool ok;

	outcome = options_parse(&line, argc, argv, &options, &first);
	if (outcome != OPTIONS_GO_ON)
		return outcome == OPTIONS_DONE ? EXIT_OK : EXIT_USAGE;
	if (argv[first]) {
		options_complain(&line, "takes no arguments: name a folder with --store");
		return EXIT_USAGE;
	}
	clock_gettime(CLOCK_REALTIME, &now);
	if (!read_limits(&options, &now, &limits))
		return EXIT_USAGE;
	ok = find_folders(&files, options.store);
	if (ok || files.folders.count)
		ok &= clean(&files, &options, &limits, &now);
	stored_files_free(&files);
	return ok && fflush(stdout) == 0 ? EXIT_OK : EXIT_OWN_ERROR;
}
