#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/compiler.h"
#include "base/file.h"
#include "base/xalloc.h"
#include "cli/addresses.h"
#include "cli/commands.h"
#include "cli/input.h"
#include "cli/message.h"
#include "cli/options.h"
#include "cli/pipeline.h"
#include "cli/places.h"
#include "cli/report_json.h"
#include "cli/stores.h"

struct symbolize_options {
	const char *output, *symbols;
	const char *object, *build_id, *format, *demangle;
	bool strict, quiet, verbose, json;
};

#define ROW(letter, name, kind, field, argument, help)                                          \
	{                                                                                       \
		letter, name, kind, offsetof(struct symbolize_options, field), NULL, argument,  \
			help                                                                    \
	}
static const struct option_row rows[] = {
	ROW('o', "output", OPTION_TEXT, output, "FILE",
		"where to write; - or nothing is standard output"),
	ROW('s', "symbols", OPTION_TEXT, symbols, "FOLDERS",
		"look for debug files there too, and first; folders with : between"),
	ROW('e', "obj", OPTION_TEXT, object, "FILE",
		"name addresses of this library, from the command line or stdin"),
	ROW(0, "build-id", OPTION_TEXT, build_id, "HEX",
		"name addresses of the build with this build-ID"),
	ROW(0, "format", OPTION_TEXT, format, "FORMAT",
		"how to print addresses: text (default), json, llvm"),
	ROW(0, "json", OPTION_FLAG, json, NULL,
		"print on standard output what became of each library, as a JSON document"),
	ROW(0, "demangle", OPTION_TEXT, demangle, "STYLE",
		"none, simple (default, without parameters), full"),
	ROW(0, "strict", OPTION_FLAG, strict, NULL,
		"end with status 3 when something has no name, and say why"),
	ROW('q', "quiet", OPTION_FLAG, quiet, NULL, "say nothing but errors"),
	ROW('v', "verbose", OPTION_FLAG, verbose, NULL,
		"tell of each library where its symbols were looked for"),
	{ .name = NULL },
};
#undef ROW

static const struct command_line line = {
	.command = "symbolize",
	.synopsis = "SPOOL-OR-PROFILE | --obj=FILE [ADDRESS...]",
	.purpose = "Give every address of a spool or pprof profile its function, file and line.",
	.rows = rows,
};

struct word {
	const char *text;
	int value;
};

/* The number of TEXT in WORDS; -1: it is none of them, which was said. */
static int choose(const char *option, const char *text, const struct word *words, size_t count)
{
	char *what;

	for (size_t i = 0; i < count; i++)
		if (strcmp(words[i].text, text) == 0)
			return words[i].value;
	what = xasprintf("--%s is not %.40s", option, text);
	options_complain(&line, what);
	free(what);
	return -1;
}

static int choose_format(const char *text)
{
	static const struct word words[] = { { "text", FORMAT_TEXT }, { "json", FORMAT_JSON },
		{ "llvm", FORMAT_LLVM } };

	return choose("format", text, words, ARRAY_SIZE(words));
}

static int choose_demangle(const char *text)
{
	static const struct word words[] = { { "none", DEMANGLE_NONE },
		{ "simple", DEMANGLE_SIMPLE }, { "full", DEMANGLE_FULL } };

	return choose("demangle", text, words, ARRAY_SIZE(words));
}

static enum places_detail detail_of(const struct symbolize_options *options)
{
	return options->verbose ? PLACES_ALL :
		options->quiet	? PLACES_NONE :
				  PLACES_WARNINGS;
}

/* What is told of each library once all is named. */
struct telling {
	enum places_detail detail;
	struct json json; /* to memory: nothing is printed of what cannot be written */
	char *text; /* what that holds; NULL: nobody asked for JSON */
	size_t size;
};

static void telling_begin(struct telling *t, const struct symbolize_options *options,
	const char *input)
{
	*t = (struct telling){ .detail = detail_of(options) };
	if (!options->json)
		return;
	t->json.to = open_memstream(&t->text, &t->size);
	json_begin_object(&t->json, NULL);
	json_text(&t->json, "file", input);
	json_text(&t->json, "output", options->output);
	json_begin_list(&t->json, "search");
}

static void tell_of_module(void *context, struct symbol_module *m)
{
	struct telling *t = context;

	places_tell(&t->detail, m);
	if (t->json.to)
		places_json(&t->json, m);
}

/* IS_WHOLE: print it.  0 or -errno. */
static int telling_end(struct telling *t, bool is_whole)
{
	int r = 0;

	if (!t->json.to)
		return 0;
	if (fclose(t->json.to) != 0)
		r = -errno;
	else if (is_whole)
		r = file_write(STDOUT_FILENO, t->text, t->size);
	free(t->text);
	return r;
}

/* How well it went, and with --strict of each library that has frames without names why.  The
 * exit status. */
static int tell(
	const struct profile *p, const struct symbolize_options *options, struct telling *telling)
{
	struct report report;
	int status = EXIT_OK;

	report_make(p, &report);
	if (options->json) {
		json_end_list(&telling->json);
		report_json(&telling->json, &report);
		json_end_object(&telling->json);
	}
	if (options->strict && report.resolved < report.frames)
		status = EXIT_UNRESOLVED;
	for (size_t i = 0; status && i < report.modules.count; i++) {
		const struct module_report *m = &report.modules.items[i];

		if (m->resolved < m->frames)
			message("%s: %lld of %lld frames have no name%s%s",
				m->path[0] ? m->path : "(no file)",
				(long long)(m->frames - m->resolved), (long long)m->frames,
				m->reason[0] ? ": " : "", m->reason);
	}
	if (!options->quiet)
		message("%.1f%% of frames resolved; plugprof inspect tells more",
			report.frames ? 100.0 * (double)report.resolved / (double)report.frames
				      : 100.0);
	report_free(&report);
	return status;
}

static int symbolize_profile(const struct symbolize_options *options,
	const struct symbolizer_options *how, const char *input)
{
	struct telling telling;
	struct profile *p;
	int r;

	if (input_open(input, &p))
		return EXIT_OWN_ERROR;
	telling_begin(&telling, options, input);
	pipeline_symbolize_with(p, how, tell_of_module, &telling);
	r = pipeline_write(p, options->output);
	if (r) {
		message_errno(r, "cannot write %s", options->output);
		telling_end(&telling, false);
		r = EXIT_OWN_ERROR;
	} else {
		const int status = tell(p, options, &telling);

		r = telling_end(&telling, true);
		if (r)
			message_errno(r, "cannot write to standard output");
		r = r ? EXIT_OWN_ERROR : status;
	}
	profile_free(p);
	return r;
}

static int symbolize_addresses(const struct symbolize_options *options,
	const struct symbolizer_options *how, char **addresses)
{
	struct address_request request = { .path = options->object ? options->object : "",
		.options = *how,
		.detail = detail_of(options),
		.addresses = addresses };
	struct symbol_folders folders;
	size_t unresolved = 0;
	int r;
	int format = choose_format(options->format);

	if (format < 0)
		return EXIT_USAGE;
	request.format = (enum address_format)format;
	if (options->build_id && !build_id_from_hex(options->build_id, &request.build_id)) {
		options_complain(&line, "--build-id is an even number of hexadecimal digits");
		return EXIT_USAGE;
	}
	if (options->object && access(options->object, R_OK) < 0) {
		message_errno(-errno, "cannot read %s", options->object);
		return EXIT_OWN_ERROR;
	}
	symbol_folders_find(&folders, &request.options, NULL);
	r = addresses_symbolize(&request, &unresolved);
	symbol_folders_free(&folders);
	if (r)
		return EXIT_OWN_ERROR;
	return options->strict && unresolved ? EXIT_UNRESOLVED : EXIT_OK;
}

int cmd_symbolize(int argc, char **argv)
{
	struct symbolize_options options = {
		.output = "-", .format = "text", .demangle = "simple" };
	const enum options_outcome outcome =
		options_parse(&line, argc, argv, &options, &argc);
	struct symbolizer_options how = { .stores = NULL };
	struct folders folders;
	int demangle, status;

	if (outcome != OPTIONS_GO_ON)
		return outcome == OPTIONS_DONE ? EXIT_OK : EXIT_USAGE;
	argv += argc;
	demangle = choose_demangle(options.demangle);
	if (demangle < 0)
		return EXIT_USAGE;
	folders_split(&folders, options.symbols);
	how.debug_folders = folders.list.items;
	how.demangle = (enum demangle_style)demangle;
	if (options.json)
		options.format = "json"; /* the same of addresses */
	if (options.object || options.build_id) {
		status = symbolize_addresses(&options, &how, argv);
	} else if (!argv[0] || argv[1]) {
		options_complain(&line, "needs one spool or profile");
		status = EXIT_USAGE;
	} else if (options.json && strcmp(options.output, "-") == 0) {
		options_complain(&line, "--json is for standard output: name the profile with -o");
		status = EXIT_USAGE;
	} else if (strcmp(options.output, "-") == 0 && isatty(STDOUT_FILENO)) {
		options_complain(&line, "a profile is no text for a terminal: name a file with -o");
		status = EXIT_USAGE;
	} else {
		status = symbolize_profile(&options, &how, argv[0]);
	}
	folders_free(&folders);
	return status;
}
