#define _GNU_SOURCE
#include "symbol/loader_search.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/compiler.h"
#include "base/file.h"
#include "base/xalloc.h"
#include "symbol/binary.h"

/* glibc: sysdeps/generic/dl-cache.h. */
#define CACHE_PATH "/etc/ld.so.cache"
#define CACHE_MAGIC_OLD "ld.so-1.7.0"
#define CACHE_OLD_HEADER 16u
#define CACHE_OLD_ENTRY 12u
#define CACHE_MAGIC "glibc-ld.so.cache1.1"
#define CACHE_HEADER 48u
#define CACHE_ENTRY 24u
#define CACHE_FLAGS_X86_64 0x0303u /* FLAG_X8664_LIB64 | FLAG_ELF_LIBC6 */
#define ENTRY_SIZE_MAX 4096u /* of a list of folders; longer ones are no paths */

/* As Debian's and other distributions' ld.so have them built in. */
static const char *const standard_folders[] = { "/lib/x86_64-linux-gnu",
	"/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64", "/lib", "/usr/lib" };

static bool starts_with(struct bytes bytes, const char *magic)
{
	const size_t size = strlen(magic);
	const void *start = bytes_take(&bytes, size);

	return start && memcmp(start, magic, size) == 0;
}

/* An old cache may stand before the new one, which is aligned behind it. */
static bool skip_old_cache(struct bytes *cache)
{
	struct bytes rest = *cache;
	uint64_t size;

	if (!starts_with(rest, CACHE_MAGIC_OLD))
		return true;
	bytes_skip(&rest, 12);
	size = CACHE_OLD_HEADER + (uint64_t)bytes_u32(&rest) * CACHE_OLD_ENTRY;
	return bytes_skip(cache, (size + 7) & ~UINT64_C(7));
}

static const char *string_in(struct bytes cache, uint32_t offset)
{
	return bytes_skip(&cache, offset) ? bytes_string(&cache) : NULL;
}

const char *loader_cache_find(struct bytes cache, const char *name)
{
	struct bytes entries;
	uint32_t count;

	if (!skip_old_cache(&cache) || !starts_with(cache, CACHE_MAGIC))
		return NULL;
	entries = cache;
	bytes_skip(&entries, strlen(CACHE_MAGIC));
	count = bytes_u32(&entries);
	entries = cache;
	bytes_skip(&entries, CACHE_HEADER);
	for (; count > 0 && bytes_left(&entries) >= CACHE_ENTRY; count--) {
		const uint32_t flags = bytes_u32(&entries);
		const uint32_t key = bytes_u32(&entries), value = bytes_u32(&entries);
		const char *its_name;

		bytes_skip(&entries, 12); /* osversion, hwcap */
		if (flags != CACHE_FLAGS_X86_64)
			continue;
		its_name = string_in(cache, key);
		if (its_name && strcmp(its_name, name) == 0)
			return string_in(cache, value);
	}
	return NULL;
}

/* The loader goes on to the next place when the file is of another kind, too. */
static char *if_loadable(char *path)
{
	struct binary *b = NULL;

	if (binary_open(path, &b) == 0) {
		binary_close(b);
		return path;
	}
	free(path);
	return NULL;
}

static char *folder_of_file(const char *path)
{
	char *resolved = realpath(path, NULL);
	char *whole = resolved ? resolved : xstrdup(path);
	char *slash = strrchr(whole, '/');

	if (slash)
		*slash = '\0';
	return slash ? whole : (free(whole), xstrdup("."));
}

static const char *lib_folder(void)
{
	return access("/lib/x86_64-linux-gnu", F_OK) == 0 ? "lib/x86_64-linux-gnu" : "lib64";
}

/* The size of the token at AT ("$NAME" or "${NAME}"); 0: it is another. */
static size_t token_size(const char *at, const char *name)
{
	const size_t size = strlen(name);

	if (at[0] != '$')
		return 0;
	if (at[1] == '{')
		return strncmp(at + 2, name, size) == 0 && at[2 + size] == '}' ? size + 3 : 0;
	return strncmp(at + 1, name, size) == 0 ? size + 1 : 0;
}

char *loader_expand(const char *list, const char *origin_path)
{
	char *origin = folder_of_file(origin_path);
	const struct {
		const char *name, *value;
	} tokens[] = { { "ORIGIN", origin }, { "LIB", lib_folder() },
		{ "PLATFORM", "x86_64" } };
	char *text = xstrdup("");

	while (*list) {
		const size_t plain = strcspn(list + 1, "$") + 1;
		size_t size = 0, i;
		char *longer;

		for (i = 0; i < ARRAY_SIZE(tokens); i++)
			if ((size = token_size(list, tokens[i].name)) > 0)
				break;
		if (size > 0)
			longer = xasprintf("%s%s", text, tokens[i].value);
		else
			longer = xasprintf("%s%.*s", text, (int)plain, list);
		free(text);
		text = longer;
		list += size > 0 ? size : plain;
		if (strlen(text) > 16 * ENTRY_SIZE_MAX)
			break;
	}
	free(origin);
	return text;
}

/* In the folders of LIST; an empty one is the current folder. */
static char *in_list(const char *list, const char *origin_path, const char *name)
{
	char *expanded, *rest, *folder;
	char *found = NULL;

	if (!list || !list[0])
		return NULL;
	expanded = rest = loader_expand(list, origin_path);
	while (!found && (folder = strsep(&rest, ":")) != NULL)
		if (strlen(folder) < ENTRY_SIZE_MAX)
			found = if_loadable(xasprintf("%s/%s", folder[0] ? folder : ".", name));
	free(expanded);
	return found;
}

/* RPATH counts for what the library loads in turn, unless it has a RUNPATH as well. */
static char *in_rpaths(const struct loader_origin *origin, const char *name)
{
	char *found = NULL;

	if (origin->runpath)
		return NULL;
	for (; origin && !found; origin = origin->parent)
		if (!origin->runpath)
			found = in_list(origin->rpath, origin->path, name);
	return found;
}

static char *in_cache(const char *name)
{
	struct file_bytes file;
	const char *path;
	char *found = NULL;

	if (file_map(CACHE_PATH, &file) < 0)
		return NULL;
	path = loader_cache_find(bytes_over(file.data, file.size), name);
	if (path && strlen(path) < PATH_MAX)
		found = if_loadable(xstrdup(path));
	file_unmap(&file);
	return found;
}

static char *in_standard_folders(const char *name)
{
	char *found = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(standard_folders) && !found; i++)
		found = if_loadable(xasprintf("%s/%s", standard_folders[i], name));
	return found;
}

char *loader_find(
	const struct loader_origin *origin, const char *library_path, const char *name)
{
	char *found;

	if (strlen(name) >= PATH_MAX)
		return NULL;
	if (strchr(name, '/'))
		return if_loadable(loader_expand(name, origin->path));
	found = in_rpaths(origin, name);
	if (!found)
		found = in_list(library_path, origin->path, name);
	if (!found)
		found = in_list(origin->runpath, origin->path, name);
	if (!found)
		found = in_cache(name);
	return found ? found : in_standard_folders(name);
}
