/* recover: the profiles of processes that did not live to write theirs.  finish: the same for
 * one spool, as the agent starts it when its process ends. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/finish.h"
#include "cli/message.h"
#include "cli/options.h"
#include "cli/output_name.h"
#include "cli/spool_folder.h"

struct recover_options {
	struct settings settings; /* of which only the spool folder is asked */
	const char *output;
	bool raw, quiet, verbose;
};

static void say_recovered(const struct spool_reader *spool, const struct summary *summary)
{
	const char *program = spool_reader_text(spool, SPOOL_TEXT_EXECUTABLE);
	const unsigned int pid = spool_reader_header(spool)->pid;

	if (spool_reader_header(spool)->counters[SPOOL_COUNT_SAMPLES])
		message("wrote %s: %llu samples of %s (pid %u)", summary->file,
			(unsigned long long)summary->ticks, program, pid);
	else
		message("wrote %s: heap of %s (pid %u)", summary->file, program, pid);
	if (summary->heap_file)
		message("wrote %s: heap of %s (pid %u)", summary->heap_file, program, pid);
}

/* Where it says that its profile goes is not for another user to say. */
static bool is_foreign(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && st.st_uid != geteuid();
}

/* Write one process's profile where it wanted it, or to TEMPLATE, and delete the spool.  Never over
 * another file.  False: something failed and was said. */
static bool recover_one(
	const struct found_spool *found, const struct recover_options *options, bool announce)
{
	const struct spool_header *h = spool_reader_header(found->reader);
	const char *template = options->output ?
		options->output :
		spool_reader_text(found->reader, SPOOL_TEXT_OUTPUT);
	struct summary summary = { .processes = 0 };
	char *wanted, *path;
	int r;

	if (!spool_has_samples(h)) {
		unlink(found->path);
		return true;
	}
	if (!options->output && is_foreign(found->path)) {
		message("%s is another user's: say where its profile goes with -o NAME",
			found->path);
		return false;
	}
	wanted = finish_name(found->reader, template, options->output != NULL);
	path = output_name_unused(wanted, h->pid);
	r = finish_spool(found->reader, path,
		(options->raw || spool_wants_raw(found->reader) ? FINISH_RAW : 0u) |
			(options->verbose ? FINISH_TELL_PLACES : 0u),
		&summary);
	if (r == 0) {
		if (!spool_reader_is_cut_short(found->reader))
			unlink(found->path);
		if (announce)
			summary_print(&summary);
		else if (!options->quiet)
			say_recovered(found->reader, &summary);
	}
	summary_free(&summary);
	free(wanted);
	free(path);
	return r == 0;
}

static bool is_abandoned(
	const struct spool_header *header, const char *path, const void *context)
{
	(void)context;
	return !spool_is_in_use(header, path);
}

static int open_spool(const char *path, struct found_spool *found)
{
	int r = spool_reader_open(path, &found->reader);

	if (r == -EBADMSG)
		message("%s is no spool", path);
	else if (r == -EPROTO)
		message("%s was written by another version of plugprof", path);
	else if (r == -ENODATA)
		message("%s is not filled in yet", path);
	else if (r)
		message_errno(r, "cannot read %s", path);
	else if (spool_reader_is_cut_short(found->reader))
		message("%s was cut short: only what is whole in it is written", path);
	found->path = (char *)path;
	return r;
}

static const struct option_row recover_rows[] = {
	{ 'o', "output", OPTION_TEXT, offsetof(struct recover_options, output), NULL, "NAME",
		"name of the profiles, as with record (default: what the process was told)" },
	{ 0, "spool", OPTION_SETTING, offsetof(struct recover_options, settings), "spool", NULL,
		NULL },
	{ 0, "raw", OPTION_FLAG, offsetof(struct recover_options, raw), NULL, NULL,
		"write addresses without names" },
	{ 'q', "quiet", OPTION_FLAG, offsetof(struct recover_options, quiet), NULL, NULL,
		"say nothing but errors" },
	{ .name = NULL },
};

static const struct command_line recover_line = {
	.command = "recover",
	.synopsis = "[SPOOL...]",
	.purpose = "Write the profiles of processes that were killed; of all there are, or of "
		   "these "
		   "spools.",
	.rows = recover_rows,
};

static bool recover_named(char **paths, const struct recover_options *options)
{
	bool ok = true;

	for (; *paths; paths++) {
		struct found_spool found;

		if (open_spool(*paths, &found)) {
			ok = false;
			continue;
		}
		if (spool_is_in_use(spool_reader_header(found.reader), *paths)) {
			message("%s belongs to process %u, which runs; for a profile of it so far: "
				"plugprof symbolize %s -o NAME",
				*paths, spool_reader_header(found.reader)->pid, *paths);
			spool_reader_free(found.reader);
			ok = false;
			continue;
		}
		ok &= recover_one(&found, options, false);
		spool_reader_free(found.reader);
	}
	return ok;
}

static bool recover_all(const struct recover_options *options)
{
	char folder[SETTINGS_TEXT_MAX];
	found_spools found = { .count = 0 };
	bool ok = true;
	int r;

	settings_spool_folder(folder);
	if (options->settings.spool[0])
		strcpy(folder, options->settings.spool);
	r = spool_folder_list(folder, is_abandoned, NULL, &found);
	if (r) {
		message_errno(r, "cannot list %s", folder);
		return false;
	}
	if (found.count == 0 && !options->quiet)
		message("nothing to recover in %s", folder);
	for (size_t i = 0; i < found.count; i++)
		ok &= recover_one(&found.items[i], options, false);
	found_spools_free(&found);
	return ok;
}

int cmd_recover(int argc, char **argv)
{
	static struct recover_options options;
	enum options_outcome outcome;
	char why[256];
	int first;
	bool ok;

	if (!settings_parse(&options.settings, getenv(SETTINGS_VARIABLE), why, sizeof(why)))
		settings_default(&options.settings);
	outcome = options_parse(&recover_line, argc, argv, &options, &first);
	if (outcome != OPTIONS_GO_ON)
		return outcome == OPTIONS_DONE ? EXIT_OK : EXIT_USAGE;
	ok = argv[first] ? recover_named(argv + first, &options) : recover_all(&options);
	return ok ? EXIT_OK : EXIT_OWN_ERROR;
}

/* --- finish --- */

static const struct option_row finish_rows[] = {
	{ 'q', "quiet", OPTION_FLAG, offsetof(struct recover_options, quiet), NULL, NULL,
		"say nothing but errors" },
	{ 'v', "verbose", OPTION_FLAG, offsetof(struct recover_options, verbose), NULL, NULL,
		"say what was written" },
	{ .name = NULL },
};

static const struct command_line finish_line = {
	.command = "finish",
	.synopsis = "SPOOL",
	.purpose = "Write the profile of a process that just ended.",
	.rows = finish_rows,
};

struct same_process {
	uint32_t pid;
	uint64_t start_ticks;
	const char *path;
};

/* Left by the same process when it was another program, or by anybody when it has no samples. */
static bool is_leftover(const struct spool_header *h, const char *path, const void *context)
{
	const struct same_process *p = context;

	return strcmp(path, p->path) != 0 && !spool_is_in_use(h, path) &&
		((h->pid == p->pid && h->process_start_ticks == p->start_ticks) ||
			!spool_has_samples(h));
}

int cmd_finish(int argc, char **argv)
{
	struct recover_options options = { .quiet = false };
	struct found_spool found;
	enum options_outcome outcome;
	found_spools others = { .count = 0 };
	char *folder;
	int first;
	bool ok;

	outcome = options_parse(&finish_line, argc, argv, &options, &first);
	if (outcome != OPTIONS_GO_ON)
		return outcome == OPTIONS_DONE ? EXIT_OK : EXIT_USAGE;
	if (!argv[first] || argv[first + 1]) {
		options_complain(&finish_line, "needs one spool");
		return EXIT_USAGE;
	}
	if (open_spool(argv[first], &found))
		return EXIT_OWN_ERROR;
	/* Somebody's program has just ended: nobody waits for a network now. */
	unsetenv("DEBUGINFOD_URLS");
	ok = recover_one(&found, &options, options.verbose);
	options.quiet = true;
	folder = xstrdup(argv[first]);
	if (strrchr(folder, '/')) {
		const struct spool_header *h = spool_reader_header(found.reader);
		const struct same_process same = { h->pid, h->process_start_ticks, argv[first] };

		*strrchr(folder, '/') = '\0';
		if (spool_folder_list(folder, is_leftover, &same, &others) == 0)
			for (size_t i = 0; i < others.count; i++)
				ok &= recover_one(&others.items[i], &options, false);
		found_spools_free(&others);
	}
	free(folder);
	spool_reader_free(found.reader);
	return ok ? EXIT_OK : EXIT_OWN_ERROR;
}
