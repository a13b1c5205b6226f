#define _GNU_SOURCE
#include "cli/options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "cli/message.h"

#define HELP_LETTER 'h'
#define LONG_BASE 256 /* getopt's value for row i is LONG_BASE + i */

static const struct setting *setting_of(const struct option_row *row)
{
	for (size_t i = 0; i < settings_count; i++)
		if (row->setting && strcmp(settings_table[i].name, row->setting) == 0)
			return &settings_table[i];
	return NULL;
}

static const char *argument_of(const struct option_row *row)
{
	const struct setting *setting = setting_of(row);

	return setting ? setting->argument : row->argument;
}

static void print_row(const struct option_row *row)
{
	const struct setting *setting = setting_of(row);
	const char *argument = argument_of(row);
	char left[64];

	snprintf(left, sizeof(left), "%c%c%s--%s%s%s", row->letter ? '-' : ' ',
		row->letter ? row->letter : ' ', row->letter ? ", " : "  ", row->name,
		argument ? "=" : "", argument ? argument : "");
	printf("  %-26s %s\n", left, setting ? setting->help : row->help);
	if (setting)
		printf("  %-26s   or %s=%s%s%s\n", "", SETTINGS_VARIABLE, setting->name,
			argument ? "=" : "", argument ? argument : "");
}

static void print_help(const struct command_line *line)
{
	printf("usage: plugprof %s [options] %s\n%s\n\n", line->command, line->synopsis,
		line->purpose);
	for (const struct option_row *row = line->rows; row->name; row++)
		print_row(row);
	printf("  %-26s %s\n", "-h, --help", "print this");
}

void options_complain(const struct command_line *line, const char *what)
{
	message("%s: %s; try plugprof %s --help", line->command, what, line->command);
}

static bool apply(const struct command_line *line, const struct option_row *row,
	const char *value, void *target)
{
	void *field = (char *)target + row->offset;
	char why[SETTINGS_TEXT_MAX + 128];

	switch (row->kind) {
	case OPTION_FLAG:
		*(bool *)field = true;
		return true;
	case OPTION_TEXT:
		*(const char **)field = value;
		return true;
	case OPTION_SETTING:
		if (settings_set(field, row->setting, value, why, sizeof(why)))
			return true;
		options_complain(line, why);
		return false;
	}
	return false;
}

/* getopt's own tables, from ours. */
static struct option *make_long(const struct option_row *rows, size_t count, char *letters)
{
	struct option *options = xcalloc(count + 2, sizeof(*options));

	for (size_t i = 0; i < count; i++) {
		options[i] = (struct option){ .name = rows[i].name,
			.has_arg = argument_of(&rows[i]) ? required_argument : no_argument,
			.val = LONG_BASE + (int)i };
		if (!rows[i].letter)
			continue;
		*letters++ = rows[i].letter;
		if (options[i].has_arg)
			*letters++ = ':';
	}
	*letters++ = HELP_LETTER;
	*letters = '\0';
	options[count] = (struct option){ .name = "help", .val = HELP_LETTER };
	return options;
}

static const struct option_row *row_for(const struct option_row *rows, size_t count, int value)
{
	for (size_t i = 0; i < count; i++)
		if (value == LONG_BASE + (int)i || (rows[i].letter && value == rows[i].letter))
			return &rows[i];
	return NULL;
}

/* getopt tells which option it met, but for a letter only the letter. */
static void complain_unknown(const struct command_line *line, int result, char **argv)
{
	char *what;

	if (optopt && optopt < LONG_BASE)
		what = xasprintf(result == ':' ? "option -%c needs a value" : "unknown option -%c",
			optopt);
	else
		what = xasprintf(result == ':' ? "option %s needs a value" :
				optopt         ? "option %s takes no value" :
						 "unknown option %s",
			argv[optind - 1]);
	options_complain(line, what);
	free(what);
}

enum options_outcome options_parse(
	const struct command_line *line, int argc, char **argv, void *target, int *first)
{
	enum options_outcome outcome = OPTIONS_GO_ON;
	char letters[128] = ":";
	struct option *options;
	size_t count = 0;
	int value;

	while (line->rows[count].name)
		count++;
	if (line->stops_at_first_word)
		strcpy(letters, "+:");
	options = make_long(line->rows, count, letters + strlen(letters));
	optind = 1;
	opterr = 0;
	while (outcome == OPTIONS_GO_ON &&
		(value = getopt_long(argc, argv, letters, options, NULL)) != -1) {
		const struct option_row *row = row_for(line->rows, count, value);

		if (value == HELP_LETTER) {
			print_help(line);
			outcome = OPTIONS_DONE;
		} else if (!row) {
			complain_unknown(line, value, argv);
			outcome = OPTIONS_BAD;
		} else if (!apply(line, row, optarg, target)) {
			outcome = OPTIONS_BAD;
		}
	}
	free(options);
	*first = optind;
	return outcome;
}
