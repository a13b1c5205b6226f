#define _GNU_SOURCE
#include "cli/configuration.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "base/store.h"
#include "base/xalloc.h"
#include "cli/message.h"

#define SYSTEM_FILE "/etc/plugprof.conf"

enum key { STORE, SYMBOLS, KEY_COUNT };
static const char *const keys[KEY_COUNT] = { [STORE] = "store", [SYMBOLS] = "symbols" };
static char *values[KEY_COUNT]; /* with colons between what several lines give; NULL: none */

/* "~/maps" is below the home folder. */
static char *expand(const char *text)
{
	const char *home = getenv("HOME");

	return text[0] == '~' && text[1] == '/' && home ? xasprintf("%s%s", home, text + 1)
							: xstrdup(text);
}

static bool is_absolute_list(const char *list)
{
	for (const char *at = list; at; at = strchr(at, ':'))
		if ((at += *at == ':')[0] != '/')
			return false;
	return true;
}

static void add_value(enum key key, char *value)
{
	char *longer = values[key] ? xasprintf("%s:%s", values[key], value) : xstrdup(value);

	free(values[key]);
	values[key] = longer;
}

/* TEXT without blanks around it, in place. */
static char *trim(char *text)
{
	char *end;

	text += strspn(text, " \t\r\n");
	end = text + strlen(text);
	while (end > text && isspace((unsigned char)end[-1]))
		*--end = '\0';
	return text;
}

/* What is wrong with the line; NULL: nothing.  TEXT is taken apart. */
static const char *read_line(char *text, bool wanted[static KEY_COUNT])
{
	char *equals, *value;
	const char *name;

	text = trim(text);
	if (!text[0] || text[0] == '#')
		return NULL;
	equals = strchr(text, '=');
	if (!equals)
		return "is not \"store = FOLDER\" or \"symbols = FOLDER\"";
	*equals = '\0';
	name = trim(text);
	value = expand(trim(equals + 1));
	for (int key = 0; key < KEY_COUNT; key++) {
		const bool is_good = is_absolute_list(value);

		if (strcmp(name, keys[key]) != 0)
			continue;
		if (is_good && wanted[key])
			add_value((enum key)key, value);
		free(value);
		return is_good ? NULL : "needs a folder that begins with / or ~/";
	}
	free(value);
	return "sets what is not known; store and symbols are";
}

static void read_file(const char *path, bool say_why)
{
	FILE *file = fopen(path, "re");
	bool wanted[KEY_COUNT];
	char *text = NULL;
	size_t size = 0;

	if (!file) {
		if (errno != ENOENT && errno != ENOTDIR && say_why)
			message_errno(-errno, "cannot read %s", path);
		return;
	}
	/* The user's store stands in for the system's; folders with symbols add up. */
	for (int key = 0; key < KEY_COUNT; key++)
		wanted[key] = key != STORE || !values[key];
	for (int line = 1; getline(&text, &size, file) >= 0; line++) {
		const char *wrong = read_line(text, wanted);

		if (wrong && say_why)
			message("%s:%d: this line %s", path, line, wrong);
	}
	free(text);
	fclose(file);
}

static char *user_file(void)
{
	const char *folder = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");

	/* XDG Base Directory Specification: a relative path is to be ignored. */
	if (folder && folder[0] == '/')
		return xasprintf("%s/plugprof/config", folder);
	return home && home[0] == '/' ? xasprintf("%s/.config/plugprof/config", home) : NULL;
}

void configuration_read(bool say_why)
{
	char *path = user_file();

	if (path)
		read_file(path, say_why);
	free(path);
	read_file(SYSTEM_FILE, say_why);
	if (values[STORE])
		setenv(STORE_VARIABLE, values[STORE], 0);
}

const char *configuration_symbols(void)
{
	return values[SYMBOLS] ? values[SYMBOLS] : "";
}
