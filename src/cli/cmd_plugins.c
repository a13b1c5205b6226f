#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/commands.h"
#include "cli/input.h"
#include "cli/message.h"
#include "cli/options.h"
#include "cli/pipeline.h"
#include "cli/plugin_print.h"
#include "cli/spool_folder.h"

struct plugins_options {
	bool all, json, verbose;
};

static const struct option_row rows[] = {
	{ 'a', "all", OPTION_FLAG, offsetof(struct plugins_options, all), NULL, NULL,
		"the program and libraries that others need, too" },
	{ 'j', "json", OPTION_FLAG, offsetof(struct plugins_options, json), NULL, NULL,
		"print a JSON document" },
	{ 'v', "verbose", OPTION_FLAG, offsetof(struct plugins_options, verbose), NULL, NULL,
		"print whole build-IDs, and when each generation came and went" },
	{ .name = NULL },
};

static const struct command_line line = {
	.command = "plugins",
	.synopsis = "PROFILE...|SPOOL|PID",
	.purpose = "For each plugin: what it costs, how it came and went, what it left open.",
	.rows = rows,
};

/* False: one line was said. */
static bool add_profile(
	struct plugin_table *table, const struct profile *p, const char *path, bool *is_ours)
{
	const int r = plugin_table_add(table, p);

	if (r)
		message("%s holds the same kind of samples as a file before it: one of each kind, "
			"of one process",
			path);
	*is_ours |= life_find_comment(p, PERF_MAP_COMMENT) != NULL;
	return r == 0;
}

/* -1: not known. */
static int64_t count_descriptors(const char *pid)
{
	char *path = xasprintf("/proc/%s/fd", pid);
	DIR *folder = opendir(path);
	const struct dirent *entry;
	int64_t count = 0;

	free(path);
	if (!folder)
		return -1;
	while ((entry = readdir(folder)))
		count += entry->d_name[0] != '.';
	closedir(folder);
	return count;
}

static bool add_file(struct plugin_table *table, const char *path, bool *is_ours)
{
	struct profile *profiles[INPUT_KINDS_MAX];
	size_t count;
	bool ok = true;

	if (input_open_kinds(path, profiles, &count))
		return false;
	for (size_t i = 0; i < count; i++) {
		ok = ok && add_profile(table, profiles[i], path, is_ours);
		profile_free(profiles[i]);
	}
	if (ok && spool_folder_is_process(path))
		plugin_table_set_descriptors(table, count_descriptors(path));
	return ok;
}

/* What the files do not tell, in one line.  False: nothing at all. */
static bool say_what_is_missing(const struct plugin_table *table, const char *path, bool is_ours)
{
	const bool has_any = table->has_cpu || table->has_heap || table->has_lives;

	if (!has_any)
		message("%s holds neither CPU time nor allocations", path);
	else if (!table->has_lives && is_ours)
		message("%s: no library was loaded after the start", path);
	else if (!table->has_lives)
		message("%s does not tell of loads, as plugprof's own profiles do: costs are by "
			"the label \"plugin\", if there are any",
			path);
	return has_any;
}

static void print(struct plugin_table *table, const struct plugins_options *options)
{
	plugin_table_sort(table);
	if (!options->all)
		plugin_table_keep_plugins(table);
	if (options->json)
		plugin_print_json(stdout, table);
	else
		plugin_print(stdout, table, options->verbose);
}

int cmd_plugins(int argc, char **argv)
{
	struct plugins_options options = { .all = false };
	struct plugin_table table = { .has_cpu = false };
	enum options_outcome outcome;
	bool is_ours = false, ok = true;
	int first;

	outcome = options_parse(&line, argc, argv, &options, &first);
	if (outcome != OPTIONS_GO_ON)
		return outcome == OPTIONS_DONE ? EXIT_OK : EXIT_USAGE;
	if (!argv[first]) {
		options_complain(&line, "needs a profile, a spool or a process");
		return EXIT_USAGE;
	}
	for (char **path = argv + first; *path && ok; path++)
		ok = add_file(&table, *path, &is_ours);
	ok = ok && say_what_is_missing(&table, argv[first], is_ours);
	if (ok)
		print(&table, &options);
	plugin_table_free(&table);
	return ok && fflush(stdout) == 0 ? EXIT_OK : EXIT_OWN_ERROR;
}
