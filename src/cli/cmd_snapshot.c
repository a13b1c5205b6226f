#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/finish.h"
#include "cli/input.h"
#include "cli/message.h"
#include "cli/options.h"
#include "cli/output_name.h"
#include "cli/spool_folder.h"

#define NAME_DEFAULT "%e.%p.heap.pb.gz"

struct snapshot_options {
	const char *output;
	bool raw, quiet;
};

static const struct option_row rows[] = {
	{ 'o', "output", OPTION_TEXT, offsetof(struct snapshot_options, output), NULL, "NAME",
		"name of the profile, with the words of record (default " NAME_DEFAULT
		", or the next that is free)" },
	{ 0, "raw", OPTION_FLAG, offsetof(struct snapshot_options, raw), NULL, NULL,
		"write addresses without names" },
	{ 'q', "quiet", OPTION_FLAG, offsetof(struct snapshot_options, quiet), NULL, NULL,
		"say nothing but errors" },
	{ .name = NULL },
};

static const struct command_line line = {
	.command = "snapshot",
	.synopsis = "PID-OR-SPOOL",
	.purpose = "Write the heap of a process that is being recorded, as it is now.  The process "
		   "goes on.",
	.rows = rows,
};

/* A name that was asked for is replaced, one of our own making is not. */
static char *name_for(const struct spool_reader *spool, const struct snapshot_options *options)
{
	char *name = output_name_expand(
		options->output ? options->output : NAME_DEFAULT, spool, true);
	char *unused;

	if (options->output)
		return name;
	unused = output_name_unused(name, spool_reader_header(spool)->pid);
	free(name);
	return unused;
}

static int write_snapshot(
	const struct spool_reader *spool, const char *of, const struct snapshot_options *options)
{
	struct summary summary = { .processes = 0 };
	char *name;
	int r;

	r = input_check_heap(spool, of);
	if (r)
		return r;
	name = name_for(spool, options);
	r = finish_snapshot(spool, name, options->raw ? FINISH_RAW : 0, &summary);
	if (r == 0 && !options->quiet)
		summary_print(&summary);
	summary_free(&summary);
	free(name);
	return r;
}

int cmd_snapshot(int argc, char **argv)
{
	static struct snapshot_options options;
	enum options_outcome outcome;
	struct spool_reader *spool = NULL;
	char *path;
	int first, r;

	outcome = options_parse(&line, argc, argv, &options, &first);
	if (outcome != OPTIONS_GO_ON)
		return outcome == OPTIONS_DONE ? EXIT_OK : EXIT_USAGE;
	if (!argv[first] || argv[first + 1]) {
		options_complain(&line, "needs the number of one process, or one spool");
		return EXIT_USAGE;
	}
	path = spool_folder_is_process(argv[first]) ? spool_folder_find_process(argv[first]) :
						      xstrdup(argv[first]);
	if (!path)
		return EXIT_OWN_ERROR;
	r = spool_reader_open(path, &spool);
	if (r == -EBADMSG)
		message("%s is no spool", path);
	else if (r)
		message_errno(r, "cannot read %s", path);
	else
		r = write_snapshot(spool, argv[first], &options);
	spool_reader_free(spool);
	free(path);
	return r ? EXIT_OWN_ERROR : EXIT_OK;
}
