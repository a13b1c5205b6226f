#define _GNU_SOURCE
#include "base/store.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool join(char *to, size_t size, const char *const *parts)
{
	size_t used = 0;

	for (; *parts; parts++) {
		const size_t length = strlen(*parts);

		if (length >= size - used)
			return false;
		memcpy(to + used, *parts, length + 1);
		used += length;
	}
	return true;
}

#define JOIN(to, size, ...) join(to, size, (const char *const[]){ __VA_ARGS__, NULL })

/* Folder number INDEX of LIST, empty ones not counted. */
static bool nth_folder(const char *list, size_t index, char folder[static STORE_PATH_MAX])
{
	for (;;) {
		const size_t length = strcspn(list, ":");

		if (length && index-- == 0) {
			if (length >= STORE_PATH_MAX)
				return false;
			memcpy(folder, list, length);
			folder[length] = '\0';
			while (strlen(folder) > 1 && folder[strlen(folder) - 1] == '/')
				folder[strlen(folder) - 1] = '\0';
			return true;
		}
		if (!list[length])
			return false;
		list += length + 1;
	}
}

static bool cache_folder(char folder[static STORE_PATH_MAX])
{
	const char *cache = getenv("XDG_CACHE_HOME");
	const char *home = getenv("HOME");

	/* XDG Base Directory Specification: a relative path is to be ignored. */
	if (cache && cache[0] == '/')
		return JOIN(folder, STORE_PATH_MAX, cache, "/plugprof");
	return home && home[0] == '/' &&
		JOIN(folder, STORE_PATH_MAX, home, "/.cache/plugprof");
}

/* For those who have no home, or none that they can write to, as servers do. */
static bool homeless_folder(char folder[static STORE_PATH_MAX])
{
	char uid[11];
	char *digit = uid + sizeof(uid) - 1;
	uid_t rest = geteuid();

	*digit = '\0';
	do
		*--digit = (char)('0' + rest % 10);
	while (rest /= 10);
	return JOIN(folder, STORE_PATH_MAX, "/var/tmp/plugprof-", digit);
}

bool store_folder(size_t index, char folder[static STORE_PATH_MAX])
{
	const char *list = getenv(STORE_VARIABLE);

	if (list && list[strspn(list, ":")])
		return nth_folder(list, index, folder);
	if (cache_folder(folder) && index-- == 0)
		return true;
	return index == 0 && homeless_folder(folder);
}

bool store_is_trusted(const char *folder)
{
	const char *list = getenv(STORE_VARIABLE);
	struct stat st;

	return stat(folder, &st) == 0 && S_ISDIR(st.st_mode) &&
		((list && list[strspn(list, ":")]) ||
			((st.st_uid == geteuid() || st.st_uid == 0) && !(st.st_mode & 022)));
}

bool store_entry(
	const char *folder, const struct build_id *id, const char *suffix, char *path, size_t size)
{
	char hex[BUILD_ID_HEX_SIZE];
	char first[3] = "";

	if (id->size < 2)
		return false;
	build_id_to_hex(id, hex);
	memcpy(first, hex, 2);
	return JOIN(path, size, folder, "/", first, "/", hex + 2, suffix);
}
