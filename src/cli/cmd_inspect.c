#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/input.h"
#include "cli/message.h"
#include "cli/options.h"
#include "cli/pipeline.h"
#include "cli/plain_text.h"
#include "cli/report_json.h"

struct inspect_options {
	bool verbose, json;
};

static const struct option_row rows[] = {
	{ 'v', "verbose", OPTION_FLAG, offsetof(struct inspect_options, verbose), NULL, NULL,
		"print whole build-IDs and the profile's comments" },
	{ 0, "json", OPTION_FLAG, offsetof(struct inspect_options, json), NULL, NULL,
		"print a JSON document" },
	{ .name = NULL },
};

static const struct command_line line = {
	.command = "inspect",
	.synopsis = "PROFILE-OR-SPOOL",
	.purpose = "For each library: how many of its frames have a name, or why they have none.",
	.rows = rows,
};

static void print_comments(const struct profile *p)
{
	for (size_t i = 0; i < p->comments.count; i++) {
		const char *comment = profile_string(p, p->comments.items[i]);

		if (comment[0] != '#') {
			plain_put(stdout, comment);
			putchar('\n');
		}
	}
}

static void print_report(const struct report *report, bool verbose)
{
	const int id_width = verbose ? 40 : 12;

	printf("%8s %8s %-*s %-14s %s\n", "frames", "named", id_width, "build-id", "verdict",
		"library");
	for (size_t i = 0; i < report->modules.count; i++) {
		const struct module_report *m = &report->modules.items[i];

		char *text = xasprintf("%8lld %7.1f%% %-*.*s %-14s %s%s%s", (long long)m->frames,
			m->frames ? 100.0 * (double)m->resolved / (double)m->frames : 100.0,
			id_width, id_width, m->build_id[0] ? m->build_id : "-",
			m->verdict[0] ? m->verdict : "-", m->path, m->reason[0] ? ": " : "",
			m->reason);

		puts(plain_text(text));
		free(text);
	}
	printf("%8lld %7.1f%% in all\n", (long long)report->frames,
		report->frames ? 100.0 * (double)report->resolved / (double)report->frames : 100.0);
}

static void print_json(const struct report *report, const char *input)
{
	struct json j = { .to = stdout };

	json_begin_object(&j, NULL);
	json_text(&j, "file", input);
	report_json(&j, report);
	json_end_object(&j);
}

/* A spool, and a raw profile, is named first, in memory: the question is what would come of it. */
static bool has_names(const struct profile *p)
{
	for (size_t i = 0; i < p->mappings.count; i++)
		if (p->mappings.items[i].has_functions)
			return true;
	return p->mappings.count == 0;
}

int cmd_inspect(int argc, char **argv)
{
	struct inspect_options options = { .verbose = false };
	enum options_outcome outcome;
	struct report report;
	struct profile *p;
	int first;

	outcome = options_parse(&line, argc, argv, &options, &first);
	if (outcome != OPTIONS_GO_ON)
		return outcome == OPTIONS_DONE ? EXIT_OK : EXIT_USAGE;
	if (!argv[first] || argv[first + 1]) {
		options_complain(&line, "needs one profile or spool");
		return EXIT_USAGE;
	}
	if (input_open(argv[first], &p))
		return EXIT_OWN_ERROR;
	if (!has_names(p))
		pipeline_symbolize(p, NULL);
	report_make(p, &report);
	if (options.json) {
		print_json(&report, argv[first]);
	} else {
		if (options.verbose)
			print_comments(p);
		print_report(&report, options.verbose);
	}
	report_free(&report);
	profile_free(p);
	return fflush(stdout) == 0 ? EXIT_OK : EXIT_OWN_ERROR;
}
