#define _GNU_SOURCE
#include "symbol/debug_file.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32.h"
#include "base/xalloc.h"

static const char *const standard_folders[] = { "/usr/lib/debug", NULL };

struct debug_link {
	const char *name; /* of the file, without folders */
	uint32_t crc;
};

/* The folder of PATH without the last slash, the caller's to free(). */
static char *folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? xstrndup(path, (size_t)(slash - path)) : xstrdup(".");
}

static struct binary *open_same_build(const char *path, const struct build_id *build_id)
{
	struct binary *found = NULL;

	if (binary_open_relocatable(path, &found) < 0)
		return NULL;
	if (build_id_equal(binary_build_id(found), build_id))
		return found;
	binary_close(found);
	return NULL;
}

static struct binary *in_folders_by_id(
	const char *const *folders, const struct build_id *build_id)
{
	char hex[BUILD_ID_HEX_SIZE];
	struct binary *found = NULL;

	build_id_to_hex(build_id, hex);
	for (; folders && *folders && !found; folders++) {
		char *path = xasprintf("%s/.build-id/%.2s/%s.debug", *folders, hex, hex + 2);

		found = open_same_build(path, build_id);
		free(path);
	}
	return found;
}

struct binary *debug_file_by_build_id(
	const char *const *folders, const struct build_id *build_id)
{
	struct binary *found;

	if (build_id->size < 2)
		return NULL;
	found = in_folders_by_id(folders, build_id);
	return found ? found : in_folders_by_id(standard_folders, build_id);
}

struct binary *debug_file_by_path(
	const char *from, const char *path, const struct build_id *build_id)
{
	char *folder = folder_of(from);
	char *whole = path[0] == '/' ? xstrdup(path) : xasprintf("%s/%s", folder, path);
	struct binary *found = open_same_build(whole, build_id);

	free(whole);
	free(folder);
	return found;
}

struct binary *debug_file_by_alt_link(
	const char *const *folders, const struct binary *b, const char **path)
{
	struct binary_section link;
	struct build_id id = { .size = 0 };
	struct binary *found;
	const char *name;
	size_t size;

	if (path)
		*path = NULL;
	if (!binary_find_section(b, ".gnu_debugaltlink", &link))
		return NULL;
	name = bytes_string(&link.bytes);
	size = bytes_left(&link.bytes);
	if (!name || size == 0 || size > BUILD_ID_SIZE_MAX)
		return NULL;
	if (path)
		*path = name;
	id.size = (uint8_t)size;
	memcpy(id.bytes, link.bytes.at, size);
	found = debug_file_by_path(binary_path(b), name, &id);
	return found ? found : debug_file_by_build_id(folders, &id);
}

static bool read_link(const struct binary *b, struct debug_link *link)
{
	struct binary_section section;
	struct bytes *rest = &section.bytes;
	const uint8_t *start;

	if (!binary_find_section(b, ".gnu_debuglink", &section))
		return false;
	start = rest->at;
	link->name = bytes_string(rest);
	bytes_skip(rest, -(uintptr_t)(rest->at - start) & 3);
	link->crc = bytes_u32(rest);
	return bytes_ok(rest) && link->name[0] && !strchr(link->name, '/');
}

static bool is_linked(
	const struct binary *b, const struct debug_link *link, const struct binary *candidate)
{
	const struct build_id *id = binary_build_id(b);
	const struct build_id *its_id = binary_build_id(candidate);
	const struct bytes image = binary_image(candidate);

	if (id->size > 0 && its_id->size > 0)
		return build_id_equal(id, its_id);
	return crc32_of(image.at, bytes_left(&image)) == link->crc;
}

/* The file PREFIX FOLDER INFIX NAME, if it is the linked one.  A file that links to its own
 * name (unstripped in place) is passed over: it is no debug file. */
static struct binary *try_link(const struct binary *b, const struct debug_link *link,
	const char *prefix, const char *folder, const char *infix)
{
	char *path = xasprintf("%s%s%s/%s", prefix, folder, infix, link->name);
	struct binary *found = NULL;

	if (strcmp(path, binary_path(b)) != 0 && binary_open(path, &found) == 0 &&
		!is_linked(b, link, found)) {
		binary_close(found);
		found = NULL;
	}
	free(path);
	return found;
}

static struct binary *in_folders_by_link(const struct binary *b, const struct debug_link *link,
	const char *const *debug_folders, const char *folder)
{
	struct binary *found = NULL;

	for (; debug_folders && *debug_folders && !found; debug_folders++)
		found = try_link(b, link, *debug_folders, folder, "");
	return found;
}

/* FOLDER is the one that B lies in. */
static struct binary *search_link(const struct binary *b, const struct debug_link *link,
	const char *const *debug_folders, const char *folder)
{
	struct binary *found = try_link(b, link, "", folder, "");

	if (!found)
		found = try_link(b, link, "", folder, "/.debug");
	if (!found && folder[0] == '/') {
		found = in_folders_by_link(b, link, debug_folders, folder);
		if (!found)
			found = in_folders_by_link(b, link, standard_folders, folder);
	}
	return found;
}

const char *debug_file_link(const struct binary *b)
{
	struct debug_link link;

	return read_link(b, &link) ? link.name : NULL;
}

struct binary *debug_file_by_link(
	const char *const *folders, const struct binary *b, const char *from)
{
	char resolved[PATH_MAX];
	struct debug_link link;
	struct binary *found;
	char *folder;

	if (!read_link(b, &link))
		return NULL;
	folder = folder_of(from);
	found = search_link(b, &link, folders, folder);
	free(folder);
	if (!found && realpath(from, resolved) && strcmp(resolved, from) != 0) {
		folder = folder_of(resolved);
		found = search_link(b, &link, folders, folder);
		free(folder);
	}
	return found;
}
