#define _GNU_SOURCE
#include "agent/follow.h"

#include <errno.h>
#include <fnmatch.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "base/path.h"

#define PRELOAD "LD_PRELOAD="

/* NAMES: the program's file, and what it was started as.  PATTERNS have colons between them. */
static bool is_one_of(const char *patterns, const char *const names[static 2])
{
	char pattern[SETTINGS_PATTERNS_MAX];

	while (*patterns) {
		const size_t length = strcspn(patterns, ":");

		memcpy(pattern, patterns, length);
		pattern[length] = '\0';
		for (int i = 0; i < 2; i++)
			if (fnmatch(pattern, names[i], 0) == 0)
				return true;
		patterns += length + (patterns[length] == ':');
	}
	return false;
}

bool follow_wants_program(const struct settings *s)
{
	char file[PATH_MAX];
	const char *names[] = { "", program_invocation_short_name };
	ssize_t length;

	if (!s->include[0] && !s->exclude[0])
		return true;
	length = readlink("/proc/self/exe", file, sizeof(file) - 1);
	file[length > 0 ? length : 0] = '\0';
	names[0] = path_base_name(file);
	if (s->include[0] && !is_one_of(s->include, names))
		return false;
	return !is_one_of(s->exclude, names);
}

bool follow_wants_exec(const struct settings *s)
{
	return s->follow == FOLLOW_BOTH || s->follow == FOLLOW_EXEC;
}

bool follow_wants_fork(const struct settings *s)
{
	return s->follow == FOLLOW_BOTH || s->follow == FOLLOW_FORK;
}

/* Of a list with colons or spaces between, as ld.so reads it. */
static void remove_from_list(char *list, const char *name)
{
	char *const start = list;
	char *to = list;
	bool is_ours = false;

	while (*list) {
		const size_t length = strcspn(list, ": ");
		const char *slash = memrchr(list, '/', length);
		const char *base = slash ? slash + 1 : list;
		const size_t taken = length + (list[length] != '\0');

		is_ours = (size_t)(list + length - base) == strlen(name) &&
			memcmp(base, name, strlen(name)) == 0;
		if (!is_ours) {
			memmove(to, list, taken);
			to += taken;
		}
		list += taken;
	}
	if (is_ours && to > start)
		to--; /* what separated it from those before */
	*to = '\0';
}

void follow_hide_from_programs(const char *path)
{
	const size_t prefix = sizeof(PRELOAD) - 1;

	for (char **variable = environ; variable && *variable; variable++)
		if (strncmp(*variable, PRELOAD, prefix) == 0)
			remove_from_list(*variable + prefix, path_base_name(path));
}
