#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/store.h"
#include "base/xalloc.h"
#include "cli/commands.h"
#include "cli/map_files.h"
#include "cli/map_gsym.h"
#include "cli/map_show.h"
#include "cli/message.h"
#include "cli/options.h"
#include "cli/stores.h"

struct map_options {
	const char *output, *symbols, *jobs, *gsym;
	bool all, dump, verify, json, quiet;
};

#define ROW(letter, name, kind, field, argument, help)                                          \
	{                                                                                       \
		letter, name, kind, offsetof(struct map_options, field), NULL, argument, help   \
	}
static const struct option_row rows[] = {
	ROW('o', "output", OPTION_TEXT, output, "STORE",
		"the store to put maps into; else the first of PLUGPROF_SYMBOLS"),
	ROW('s', "symbols", OPTION_TEXT, symbols, "FOLDERS",
		"look for debug files there too, and first; folders with : between"),
	ROW('a', "all", OPTION_FLAG, all, NULL,
		"map every library and program below the folders that are named"),
	ROW('j', "jobs", OPTION_TEXT, jobs, "N", "so many at a time with --all"),
	ROW(0, "gsym", OPTION_TEXT, gsym, "FILE",
		"write the map of one library to FILE as GSYM, for other tools"),
	ROW(0, "dump", OPTION_FLAG, dump, NULL, "print what is in a map"),
	ROW(0, "json", OPTION_FLAG, json, NULL, "with --dump: an object a line"),
	ROW(0, "verify", OPTION_FLAG, verify, NULL, "check maps, or all maps below folders"),
	ROW('q', "quiet", OPTION_FLAG, quiet, NULL, "say nothing but errors"),
	{ .name = NULL },
};
#undef ROW

static const struct command_line line = {
	.command = "map",
	.synopsis = "LIBRARY... | --all FOLDER... | --gsym FILE LIBRARY | --dump MAP | "
		    "--verify MAP...",
	.purpose = "Make symbol maps of libraries, kept by build-ID, to name profiles with later.",
	.rows = rows,
};

/* The store to write to, the caller's to free(); NULL: there is none, which was said. */
static char *choose_store(const struct map_options *options)
{
	char folder[STORE_PATH_MAX];

	if (options->output)
		return xstrdup(options->output);
	if (store_folder(0, folder))
		return xstrdup(folder);
	options_complain(&line, "no store is known here: name one with -o");
	return NULL;
}

static bool read_jobs(const char *text, int *jobs)
{
	char *end;
	const long value = text ? strtol(text, &end, 10) : sysconf(_SC_NPROCESSORS_ONLN);

	*jobs = (int)value;
	return !text || (*end == '\0' && value >= 1 && value <= 256);
}

static int make_maps(const struct map_options *options, char *const *paths)
{
	struct map_request request = { .is_all = options->all, .is_quiet = options->quiet };
	struct folders folders;
	char *store;
	int status;

	if (!read_jobs(options->jobs, &request.jobs)) {
		options_complain(&line, "--jobs is a number from 1 to 256");
		return EXIT_USAGE;
	}
	store = choose_store(options);
	if (!store)
		return EXIT_USAGE;
	folders_split(&folders, options->symbols);
	request.store = store;
	request.debug_folders = folders.list.items;
	status = map_files(&request, paths);
	folders_free(&folders);
	free(store);
	return status;
}

static int export_map(const struct map_options *options, const char *path)
{
	struct folders folders;
	int status;

	folders_split(&folders, options->symbols);
	status = map_gsym(options->gsym, path, folders.list.items);
	folders_free(&folders);
	return status;
}

int cmd_map(int argc, char **argv)
{
	struct map_options options = { .all = false };
	const enum options_outcome outcome = options_parse(&line, argc, argv, &options, &argc);

	if (outcome != OPTIONS_GO_ON)
		return outcome == OPTIONS_DONE ? EXIT_OK : EXIT_USAGE;
	argv += argc;
	if (!argv[0]) {
		options_complain(&line, "needs a library, a folder with --all, or a map");
		return EXIT_USAGE;
	}
	if (options.dump + options.verify + options.all + !!options.gsym > 1) {
		options_complain(&line, "--all, --dump, --gsym and --verify exclude each other");
		return EXIT_USAGE;
	}
	if (options.verify)
		return map_verify(argv, options.quiet);
	if ((options.dump || options.gsym) && argv[1]) {
		options_complain(&line, options.dump ? "--dump needs one map"
						     : "--gsym needs one library");
		return EXIT_USAGE;
	}
	if (options.gsym)
		return export_map(&options, argv[0]);
	return options.dump ? map_dump(argv[0], options.json) : make_maps(&options, argv);
}
