/*
 * Command lines as tables: each subcommand lists its options once, and parsing, --help and the
 * error messages follow from the list.
 */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/settings.h"

enum option_kind {
	OPTION_FLAG, /* sets the bool at OFFSET */
	OPTION_TEXT, /* sets the const char * at OFFSET to the argument */
	OPTION_SETTING, /* sets the row SETTING of the struct settings at OFFSET */
};

struct option_row {
	char letter; /* 0: none */
	const char *name;
	enum option_kind kind;
	size_t offset; /* in the command's own struct */
	const char *setting; /* OPTION_SETTING: name in settings_table, which has the help too */
	const char *argument; /* OPTION_TEXT: for help */
	const char *help;
};

struct command_line {
	const char *command; /* "record" */
	const char *synopsis; /* what follows the options: "[--] PROGRAM [ARGUMENT...]" */
	const char *purpose; /* one line */
	const struct option_row *rows; /* to one without a name */
	bool stops_at_first_word; /* what follows belongs to a program */
};

enum options_outcome { OPTIONS_GO_ON, OPTIONS_DONE, OPTIONS_BAD };

/* Parse ARGV[1..] into TARGET; *FIRST is the index of the first word that is no option (words are
 * moved behind the options).  OPTIONS_DONE: --help was printed.  OPTIONS_BAD: one line was said. */
enum options_outcome options_parse(
	const struct command_line *line, int argc, char **argv, void *target, int *first);

/* "try plugprof COMMAND --help" in one line, with what is wrong. */
void options_complain(const struct command_line *line, const char *what);

#endif
