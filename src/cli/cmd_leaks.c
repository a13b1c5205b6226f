#define _GNU_SOURCE
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/settings.h"
#include "cli/commands.h"
#include "cli/input.h"
#include "cli/leaks.h"
#include "cli/message.h"
#include "cli/options.h"
#include "cli/pipeline.h"
#include "cli/plain_text.h"
#include "cli/size_text.h"

#define STACKS_DEFAULT 3
#define FRAMES_MAX 16 /* of a stack that is shown */
#define BUILDS_MAX 8 /* or loads, of a plugin that is replaced again and again */

struct leaks_options {
	const char *since, *fail_above, *plugin, *stacks;
	bool quiet;
};

static const struct option_row rows[] = {
	{ 0, "since", OPTION_TEXT, offsetof(struct leaks_options, since), NULL, "BEFORE",
		"show what has grown since this heap profile" },
	{ 0, "fail-above", OPTION_TEXT, offsetof(struct leaks_options, fail_above), NULL, "SIZE",
		"end with status 3 when more than SIZE (64m) is shown in all" },
	{ 'p', "plugin", OPTION_TEXT, offsetof(struct leaks_options, plugin), NULL, "NAME",
		"this plugin alone; (host) is the program" },
	{ 'n', "stacks", OPTION_TEXT, offsetof(struct leaks_options, stacks), NULL, "COUNT",
		"stacks shown of each plugin (default 3)" },
	{ 'q', "quiet", OPTION_FLAG, offsetof(struct leaks_options, quiet), NULL, NULL,
		"print no result: the status tells" },
	{ .name = NULL },
};

static const struct command_line line = {
	.command = "leaks",
	.synopsis = "HEAP-PROFILE...|SPOOL|PID",
	.purpose = "Tell which plugins hold memory, also after they were unloaded.",
	.rows = rows,
};

/* The error is one standard deviation. */
static void print_amount(const struct leaks *l, const struct leak_amount *amount, int indent)
{
	char text[32], deviation[32] = "";

	if (l->period > 1 && amount->bytes > 0)
		snprintf(deviation, sizeof(deviation), "+-%.0f%%",
			100 * sqrt(amount->variance) / (double)amount->bytes);
	printf("%*s%10s %10lld %7s  ", indent, "", size_text(amount->bytes, text, sizeof(text)),
		(long long)amount->objects, deviation);
}

static void print_leak(const struct leaks *l, const struct leak *leak)
{
	print_amount(l, &leak->amount, 2);
	for (size_t i = 0; i < leak->frames.count && i < FRAMES_MAX; i++)
		printf("%s%s\n", i ? "                                    " : "",
			plain_text(leak->frames.items[i]));
	if (leak->frames.count > FRAMES_MAX)
		printf("                                    ... %zu more\n",
			leak->frames.count - FRAMES_MAX);
}

/* "codec.so #2 (a1b2c3d4e5f6): held by an unloaded plugin" */
static void print_owner(const struct leak *leak)
{
	plain_put(stdout, leak->plugin);
	if (leak->generation[0])
		printf(" %s", leak->generation);
	if (leak->build[0])
		printf(" (%s)", leak->build);
	printf("%s\n", leak->is_unloaded ? ": held by an unloaded plugin" : "");
}

/* They differ in build or load alone. */
static bool are_of_one_plugin(const struct leak_group *a, const struct leak_group *b)
{
	return a->one->is_unloaded == b->one->is_unloaded &&
		strcmp(a->one->plugin, b->one->plugin) == 0;
}

/* How many builds of the same plugin are shown before the group at INDEX. */
static size_t builds_before(const struct leaks *l, size_t index)
{
	size_t count = 0;

	for (size_t i = 0; i < index; i++)
		count += are_of_one_plugin(&l->groups.items[i], &l->groups.items[index]);
	return count;
}

/* Those behind the group at INDEX, in one line. */
static void print_more_builds(const struct leaks *l, size_t index)
{
	struct leak_amount sum = { .bytes = 0 };
	size_t count = 0;

	for (size_t i = index + 1; i < l->groups.count; i++)
		if (are_of_one_plugin(&l->groups.items[i], &l->groups.items[index])) {
			leak_amount_add(&sum, &l->groups.items[i].amount);
			count++;
		}
	if (count == 0)
		return;
	print_amount(l, &sum, 0);
	plain_put(stdout, l->groups.items[index].one->plugin);
	printf(": %zu more builds or loads%s\n", count,
		l->groups.items[index].one->is_unloaded ? " that were unloaded" : "");
}

static void print_group(const struct leaks *l, const struct leak_group *group, size_t stacks)
{
	print_amount(l, &group->amount, 0);
	print_owner(group->one);
	for (size_t at = 0; at < group->leaks.count && at < stacks; at++)
		print_leak(l, &l->items.items[group->leaks.items[at]]);
	if (group->leaks.count > stacks && stacks)
		printf("%34s  ... %zu more stacks\n", "", group->leaks.count - stacks);
}

static void print_leaks(const struct leaks *l, size_t stacks)
{
	printf("%10s %10s %7s  %s\n", l->profiles > 1 ? "growth" : "in use", "objects",
		l->period > 1 ? "error" : "", "plugin");
	for (size_t i = 0; i < l->groups.count; i++) {
		const size_t before = builds_before(l, i);

		if (before < BUILDS_MAX)
			print_group(l, &l->groups.items[i], stacks);
		if (before == BUILDS_MAX - 1)
			print_more_builds(l, i);
	}
	print_amount(l, &l->amount, 0);
	printf("in all\n");
	if (l->stacks_by_chance) {
		print_amount(l, &l->by_chance, 0);
		printf("not counted: %u stack%s whose growth may be chance\n", l->stacks_by_chance,
			l->stacks_by_chance == 1 ? "" : "s");
	}
}

/* What is too low is no answer without this, so it is said to those who want no other, too. */
static void say_what_is_missing(const struct profile *p, const char *path)
{
	for (size_t i = 0; i < p->comments.count; i++) {
		const char *comment = profile_string(p, p->comments.items[i]);

		if (strncmp(comment, PIPELINE_UNSEEN_COMMENT, strlen(PIPELINE_UNSEEN_COMMENT)) == 0)
			message("%s: %s", path, comment);
	}
}

/* All in the order they were taken, of which one at least must tell of plugin ONLY, if that is not
 * NULL.  False: one line was said. */
static bool add_profiles(struct leaks *l, const char *since, char **paths, const char *only)
{
	const char *const first = since ? since : *paths++;
	const char *path = first, *last;
	bool is_told_of = !only;

	l->compares = since;
	do {
		struct profile *p;

		if (input_open_heap(path, &p))
			return false;
		leaks_add(l, p);
		say_what_is_missing(p, path);
		is_told_of |= only && leaks_profile_tells_of(p, only);
		profile_free(p);
		last = path;
		path = *paths;
	} while (*paths++);
	if (!is_told_of)
		message("%s tells of no plugin %s; those it had: plugprof plugins %s", last, only,
			last);
	else if (!leaks_are_of_one_program(l))
		message("%s and %s are of two programs, %s and %s: nothing in them compares", first,
			last, l->program_before, l->program);
	return is_told_of && leaks_are_of_one_program(l);
}

static bool read_options(const struct leaks_options *o, uint64_t *limit, size_t *stacks)
{
	struct settings size;
	char why[256], *end;

	*limit = UINT64_MAX;
	*stacks = STACKS_DEFAULT;
	if (o->fail_above) {
		if (!settings_set(&size, "keep-limit", o->fail_above, why, sizeof(why))) {
			options_complain(
				&line, "--fail-above wants a size such as 4096, 512k or 64m");
			return false;
		}
		*limit = size.keep_limit;
	}
	if (o->stacks) {
		*stacks = strtoul(o->stacks, &end, 10);
		if (*end || o->stacks[0] < '0' || o->stacks[0] > '9') {
			options_complain(&line, "-n wants a number of stacks");
			return false;
		}
	}
	return true;
}

int cmd_leaks(int argc, char **argv)
{
	static struct leaks_options options;
	enum options_outcome outcome;
	struct leaks leaks = { .profiles = 0 };
	uint64_t limit;
	size_t stacks;
	int first, status = EXIT_OK;

	outcome = options_parse(&line, argc, argv, &options, &first);
	if (outcome != OPTIONS_GO_ON)
		return outcome == OPTIONS_DONE ? EXIT_OK : EXIT_USAGE;
	if (!argv[first] || (argv[first + 1] && !options.since)) {
		options_complain(&line, "needs one heap profile, or several with --since");
		return EXIT_USAGE;
	}
	if (!read_options(&options, &limit, &stacks))
		return EXIT_USAGE;
	if (!add_profiles(&leaks, options.since, argv + first, options.plugin)) {
		leaks_free(&leaks);
		return EXIT_OWN_ERROR;
	}
	leaks_sum(&leaks, options.plugin);
	if (!options.quiet)
		print_leaks(&leaks, stacks);
	if (leaks.unloaded_bytes > 0 ||
		(leaks.amount.bytes > 0 && (uint64_t)leaks.amount.bytes > limit))
		status = EXIT_FINDINGS;
	leaks_free(&leaks);
	return fflush(stdout) == 0 ? status : EXIT_OWN_ERROR;
}
