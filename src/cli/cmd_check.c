#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/commands.h"
#include "cli/json.h"
#include "cli/message.h"
#include "cli/options.h"
#include "pprof/profile_check.h"
#include "pprof/profile_io.h"

struct check_options {
	bool json, quiet;
};

static const struct option_row rows[] = {
	{ 0, "json", OPTION_FLAG, offsetof(struct check_options, json), NULL, NULL,
		"print findings as JSON, an object a line" },
	{ 'q', "quiet", OPTION_FLAG, offsetof(struct check_options, quiet), NULL, NULL,
		"print errors only" },
	{ .name = NULL },
};

static const struct command_line line = {
	.command = "check",
	.synopsis = "PROFILE...",
	.purpose = "Tell what go tool pprof, Parca and Pyroscope would find wrong in a profile.",
	.rows = rows,
};

struct checked {
	const char *path;
	const struct check_options *options;
	size_t counts[FINDING_KINDS];
};

static const char *const kinds[] = {
	[FINDING_ERROR] = "error",
	[FINDING_WARNING] = "warning",
};

static void print_json(const struct checked *c, const struct profile_finding *finding)
{
	printf("{\"file\":");
	json_string(stdout, c->path);
	printf(",\"kind\":\"%s\",\"record\":", kinds[finding->kind]);
	json_string(stdout, finding->record);
	printf(",\"text\":");
	json_string(stdout, finding->text);
	printf("}\n");
}

static void print_finding(void *context, const struct profile_finding *finding)
{
	struct checked *c = context;

	c->counts[finding->kind]++;
	if (c->options->quiet && finding->kind != FINDING_ERROR)
		return;
	if (c->options->json)
		print_json(c, finding);
	else
		printf("%s: %s: %s: %s\n", c->path, kinds[finding->kind], finding->record,
			finding->text);
}

/* The exit status. */
static int check_file(const char *path, const struct check_options *options)
{
	struct checked c = { .path = path, .options = options };
	const int descriptor = strcmp(path, "-") == 0 ? dup(STDIN_FILENO)
						      : open(path, O_RDONLY | O_CLOEXEC);
	uint8_t *data;
	size_t size;
	int r = descriptor < 0 ? -errno : 0;

	if (r == 0) {
		r = file_read_all(descriptor, PROFILE_SIZE_MAX, &data, &size);
		close(descriptor);
	}
	if (r) {
		message_errno(r, "cannot read %s", path);
		return EXIT_OWN_ERROR;
	}
	profile_check(data, size, print_finding, &c);
	free(data);
	if (!options->json && !options->quiet)
		printf("%s: %zu errors, %zu warnings\n", path, c.counts[FINDING_ERROR],
			c.counts[FINDING_WARNING]);
	return c.counts[FINDING_ERROR] ? EXIT_OWN_ERROR : EXIT_OK;
}

int cmd_check(int argc, char **argv)
{
	struct check_options options = { .json = false };
	const enum options_outcome outcome = options_parse(&line, argc, argv, &options, &argc);
	int status = EXIT_OK;

	if (outcome != OPTIONS_GO_ON)
		return outcome == OPTIONS_DONE ? EXIT_OK : EXIT_USAGE;
	argv += argc;
	if (!argv[0]) {
		options_complain(&line, "needs a profile");
		return EXIT_USAGE;
	}
	for (; *argv; argv++)
		if (check_file(*argv, &options) != EXIT_OK)
			status = EXIT_OWN_ERROR;
	return fflush(stdout) == 0 ? status : EXIT_OWN_ERROR;
}
