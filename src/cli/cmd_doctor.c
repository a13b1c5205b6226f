#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/doctor_process.h"
#include "cli/message.h"
#include "cli/options.h"
#include "cli/stores.h"

struct doctor_options {
	const char *host, *symbols;
	bool json, verbose;
};

static const struct option_row rows[] = {
	{ 0, "host", OPTION_TEXT, offsetof(struct doctor_options, host), NULL, "PROGRAM",
		"the program that opens the library: do the two fit?" },
	{ 's', "symbols", OPTION_TEXT, offsetof(struct doctor_options, symbols), NULL,
		"FOLDERS",
		"look for debug files and maps there too, and first; with : between" },
	{ 0, "json", OPTION_FLAG, offsetof(struct doctor_options, json), NULL, NULL,
		"print a JSON document" },
	{ 'v', "verbose", OPTION_FLAG, offsetof(struct doctor_options, verbose), NULL, NULL,
		"of a process, tell what is good as well" },
	{ .name = NULL },
};

static const struct command_line line = {
	.command = "doctor",
	.synopsis = "FILE.so...|PID...",
	.purpose = "Why would a library have no names, or not load well?  What to do about it.",
	.rows = rows,
};

/* What the whole run shares. */
struct doctor_run {
	struct doctor_options options;
	struct symbolizer_options places;
	struct inspection *host; /* NULL: none was given */
	struct doctor_report report;
};

/* One line on stderr; the result is for the exit status. */
static int complain(const char *path, int error, const char *kind)
{
	if (error == -ENOEXEC)
		message("%s is %s", path, kind);
	else if (error == -ENODATA)
		message("%s is empty", path);
	else if (error == -EINVAL)
		message("%s is no regular file", path);
	else
		message_errno(error, "cannot read %s", path);
	return EXIT_OWN_ERROR;
}

static int examine_file(struct doctor_run *run, const char *path)
{
	struct closure closure = { .library_path = getenv("LD_LIBRARY_PATH") };
	struct doctor_case c = {
		.name = path, .places = &run->places, .host = run->host, .closure = &closure
	};
	struct findings findings = { .items = { .count = 0 } };
	struct inspection *library;
	const char *kind;
	const int r = inspection_open(path, &run->places, &library, &kind);

	if (r < 0)
		return complain(path, r, kind);
	if (run->host)
		closure_add(&closure, run->host->path);
	c.library = library;
	c.loaded = closure_add(&closure, path);
	doctor_examine(&c, &findings);
	doctor_report_add(&run->report, &c, &findings);
	findings_free(&findings);
	closure_free(&closure);
	inspection_free(library);
	return EXIT_OK;
}

static bool is_pid(const char *word)
{
	return word[0] && strlen(word) < 10 && strspn(word, "0123456789") == strlen(word);
}

static int open_host(struct doctor_run *run)
{
	const char *path = run->options.host, *kind;
	const int r = path ? inspection_open(path, &run->places, &run->host, &kind) : 0;

	if (r < 0)
		return complain(path, r, kind);
	if (path && !run->host->binary) {
		message("%s is no x86-64 program", path);
		return EXIT_OWN_ERROR;
	}
	return EXIT_OK;
}

static int examine_all(struct doctor_run *run, char **words)
{
	struct doctor_report *report = &run->report;
	int status = EXIT_OK;

	report->as_json = run->options.json;
	doctor_report_begin(report);
	for (; *words; words++) {
		const bool is_process = is_pid(*words);
		int r;

		report->titled |= is_process || words[1];
		report->quiet_when_good = is_process && !run->options.verbose;
		r = is_process ? doctor_examine_process((unsigned int)strtoul(*words, NULL, 10),
					 run->host, &run->places, report) :
				 examine_file(run, *words);
		if (r != EXIT_OK)
			status = r;
	}
	doctor_report_end(report);
	return status == EXIT_OK && report->problem_count > 0 ? EXIT_FINDINGS : status;
}

int cmd_doctor(int argc, char **argv)
{
	struct doctor_run run = { .options = { .json = false } };
	struct symbol_folders places;
	struct folders folders;
	enum options_outcome outcome;
	int first, status;

	outcome = options_parse(&line, argc, argv, &run.options, &first);
	if (outcome != OPTIONS_GO_ON)
		return outcome == OPTIONS_DONE ? EXIT_OK : EXIT_USAGE;
	if (!argv[first]) {
		options_complain(&line, "needs a library or the ID of a process");
		return EXIT_USAGE;
	}
	folders_split(&folders, run.options.symbols);
	run.places = (struct symbolizer_options){ .debug_folders = folders.list.items };
	symbol_folders_find(&places, &run.places, NULL);
	run.places.fetching = NULL; /* it tells how things are, and changes nothing */
	status = open_host(&run);
	if (status == EXIT_OK)
		status = examine_all(&run, argv + first);
	symbol_folders_free(&places);
	folders_free(&folders);
	inspection_free(run.host);
	return fflush(stdout) == 0 ? status : EXIT_OWN_ERROR;
}
