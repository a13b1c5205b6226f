#include <string.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/input.h"
#include "cli/message.h"
#include "cli/options.h"
#include "cli/output_name.h"
#include "cli/pipeline.h"
#include "cli/report.h"

struct symbolize_options {
	const char *output, *symbols;
	bool quiet;
};

static const struct option_row rows[] = {
	{ 'o', "output", OPTION_TEXT, offsetof(struct symbolize_options, output), NULL, "FILE",
		"where to write; - or nothing is standard output" },
	{ 's', "symbols", OPTION_TEXT, offsetof(struct symbolize_options, symbols), NULL, "FOLDER",
		"look for debug files in FOLDER/.build-id/ab/cdef.debug too" },
	{ 'q', "quiet", OPTION_FLAG, offsetof(struct symbolize_options, quiet), NULL, NULL,
		"say nothing but errors" },
	{ .name = NULL },
};

static const struct command_line line = {
	.command = "symbolize",
	.synopsis = "SPOOL-OR-PROFILE",
	.purpose = "Give every address of a spool or pprof profile its function, file and line.",
	.rows = rows,
};

static void say_how_it_went(const struct profile *p)
{
	struct report report;

	report_make(p, &report);
	message("%.1f%% of frames resolved; plugprof inspect tells more",
		report.frames ? 100.0 * (double)report.resolved / (double)report.frames : 100.0);
	report_free(&report);
}

int cmd_symbolize(int argc, char **argv)
{
	struct symbolize_options options = { .output = "-" };
	const char *folders[2] = { NULL, NULL };
	enum options_outcome outcome;
	struct profile *p;
	int first, r;

	outcome = options_parse(&line, argc, argv, &options, &first);
	if (outcome != OPTIONS_GO_ON)
		return outcome == OPTIONS_DONE ? EXIT_OK : EXIT_USAGE;
	if (!argv[first] || argv[first + 1]) {
		options_complain(&line, "needs one spool or profile");
		return EXIT_USAGE;
	}
	if (strcmp(options.output, "-") == 0 && isatty(STDOUT_FILENO)) {
		options_complain(&line, "a profile is no text for a terminal: name a file with -o");
		return EXIT_USAGE;
	}
	folders[0] = options.symbols;
	if (input_open(argv[first], &p))
		return EXIT_OWN_ERROR;
	pipeline_symbolize(p, options.symbols ? folders : NULL);
	r = pipeline_write(p, options.output);
	if (r)
		message_errno(r, "cannot write %s", options.output);
	else if (!options.quiet)
		say_how_it_went(p);
	profile_free(p);
	return r ? EXIT_OWN_ERROR : EXIT_OK;
}
