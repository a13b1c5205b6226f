#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/path.h"
#include "base/xalloc.h"
#include "cli/commands.h"
#include "cli/input.h"
#include "cli/message.h"
#include "cli/options.h"
#include "cli/pipeline.h"
#include "pprof/profile_merge.h"

struct merge_options {
	const char *output;
	bool by_profile, quiet;
};

static const struct option_row rows[] = {
	{ 'o', "output", OPTION_TEXT, offsetof(struct merge_options, output), NULL, "FILE",
		"where to write; - is standard output" },
	{ 0, "by-profile", OPTION_FLAG, offsetof(struct merge_options, by_profile), NULL, NULL,
		"give each sample a label, " PROFILE_MERGE_LABEL ", with its file's name" },
	{ 'q', "quiet", OPTION_FLAG, offsetof(struct merge_options, quiet), NULL, NULL,
		"say nothing but errors" },
	{ .name = NULL },
};

static const struct command_line line = {
	.command = "merge",
	.synopsis = "-o FILE PROFILE...",
	.purpose = "Add profiles of one kind up: what all processes, or all runs, came to.",
	.rows = rows,
};

/* "host.1234.cpu.pb.gz" without its folder and ending: the caller's to free(). */
static char *origin_of(const char *path)
{
	const char *name = path_base_name(path);
	const char *ending = strstr(name, ".pb");

	return ending && ending > name ? xstrndup(name, (size_t)(ending - name)) : xstrdup(name);
}

/* A pattern such as *.pb.gz finds the output of the last time, too: all would count twice. */
static bool is_output(const char *path, const char *output)
{
	struct stat a, b;

	return stat(path, &a) == 0 && stat(output, &b) == 0 && S_ISREG(a.st_mode) &&
		a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* Of the first file and what it says: what the others are compared with. */
struct first {
	const char *path;
	int64_t period;
	bool complained;
};

/* Times add up all the same; what counts samples counts unlike ones. */
static void compare_periods(struct first *first, const char *path, int64_t period)
{
	if (first->complained || first->period == period)
		return;
	message("%s was sampled every %lld units, %s every %lld: their numbers of samples do not "
		"compare",
		path, (long long)period, first->path, (long long)first->period);
	first->complained = true;
}

static int add_file(struct profile_merge *m, const char *path,
	const struct merge_options *options, struct first *first)
{
	char *origin = options->by_profile ? origin_of(path) : NULL, *why = NULL;
	struct profile *p;
	int r = input_open(path, &p);

	if (r == 0) {
		pipeline_settle(p);
		if (!first->path)
			*first = (struct first){ .path = path, .period = p->period };
		r = profile_merge_add(m, p, origin, &why);
		if (r)
			message("cannot add %s to %s: %s; merge each kind by itself", path,
				first->path, why);
		else if (!options->quiet)
			compare_periods(first, path, p->period);
		profile_free(p);
	}
	free(origin);
	free(why);
	return r;
}

static int merge(char **paths, const struct merge_options *options)
{
	struct profile_merge *m = profile_merge_new();
	struct first first = { .path = NULL };
	struct profile *sum;
	unsigned int count = 0;
	int r = 0;

	for (; r == 0 && paths[count]; count++)
		r = add_file(m, paths[count], options, &first);
	sum = profile_merge_take(m);
	profile_merge_free(m);
	if (r == 0) {
		r = pipeline_write(sum, options->output);
		if (r)
			message_errno(r, "cannot write %s", options->output);
		else if (!options->quiet)
			message("wrote %s: %u profile%s", options->output, count,
				count == 1 ? "" : "s");
	}
	profile_free(sum);
	return r ? EXIT_OWN_ERROR : EXIT_OK;
}

int cmd_merge(int argc, char **argv)
{
	struct merge_options options = { .output = NULL };
	const enum options_outcome outcome = options_parse(&line, argc, argv, &options, &argc);

	if (outcome != OPTIONS_GO_ON)
		return outcome == OPTIONS_DONE ? EXIT_OK : EXIT_USAGE;
	argv += argc;
	if (!argv[0]) {
		options_complain(&line, "needs profiles");
		return EXIT_USAGE;
	}
	if (!options.output) {
		options_complain(&line, "needs -o FILE, where to write their sum");
		return EXIT_USAGE;
	}
	if (strcmp(options.output, "-") == 0 && isatty(STDOUT_FILENO)) {
		options_complain(&line, "a profile is no text for a terminal: name a file with -o");
		return EXIT_USAGE;
	}
	for (char **path = argv; *path; path++)
		if (is_output(*path, options.output)) {
			message("%s is what is to be written, and cannot be added to itself: leave "
				"it out, or remove it",
				*path);
			return EXIT_USAGE;
		}
	return merge(argv, &options);
}
