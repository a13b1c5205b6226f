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

/* The search for what a link names. */
struct link_search {
	const struct binary *b; /* that has the link */
	struct debug_link link;
	const char *const *debug_folders;
	struct trail *trail;
};

/* The folder of PATH without the last slash, the caller's to free(). */
static char *folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? xstrndup(path, (size_t)(slash - path)) : xstrdup(".");
}

struct binary *debug_file_open_build(const char *path, const struct build_id *build_id,
	enum symbol_place place, struct trail *trail)
{
	struct binary *found = NULL;
	const int r = binary_open_relocatable(path, &found);

	if (r == 0 && build_id_equal(binary_build_id(found), build_id))
		return found;
	if (r)
		trail_note_error(trail, place, path, r);
	else
		trail_note_other_build(trail, place, path, binary_build_id(found), build_id);
	binary_close(found);
	return NULL;
}

static struct binary *in_folders_by_id(const char *const *folders,
	const struct build_id *build_id, enum symbol_place place, struct trail *trail)
{
	char hex[BUILD_ID_HEX_SIZE];
	struct binary *found = NULL;

	build_id_to_hex(build_id, hex);
	for (; folders && *folders && !found; folders++) {
		char *path = xasprintf("%s/.build-id/%.2s/%s.debug", *folders, hex, hex + 2);

		found = debug_file_open_build(path, build_id, place, trail);
		free(path);
	}
	return found;
}

static struct binary *by_build_id(const char *const *folders, const struct build_id *build_id,
	enum symbol_place place, struct trail *trail)
{
	struct binary *found;

	if (build_id->size < 2)
		return NULL;
	found = in_folders_by_id(folders, build_id, place, trail);
	return found ? found : in_folders_by_id(standard_folders, build_id, place, trail);
}

struct binary *debug_file_by_build_id(
	const char *const *folders, const struct build_id *build_id, struct trail *trail)
{
	return by_build_id(folders, build_id, PLACE_BUILD_ID, trail);
}

struct binary *debug_file_by_path(const char *from, const char *path,
	const struct build_id *build_id, struct trail *trail)
{
	char *folder = folder_of(from);
	char *whole = path[0] == '/' ? xstrdup(path) : xasprintf("%s/%s", folder, path);
	struct binary *found = debug_file_open_build(whole, build_id, PLACE_ALT, trail);

	free(whole);
	free(folder);
	return found;
}

struct binary *debug_file_by_alt_link(const char *const *folders, const struct binary *b,
	const char **path, struct trail *trail)
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
	found = debug_file_by_path(binary_path(b), name, &id, trail);
	if (!found)
		found = by_build_id(folders, &id, PLACE_ALT, trail);
	if (found)
		trail_note(trail, PLACE_ALT, binary_path(found), "taken");
	return found;
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

static bool is_linked(const struct link_search *s, const struct binary *candidate)
{
	const struct build_id *id = binary_build_id(s->b);
	const struct build_id *its_id = binary_build_id(candidate);
	const struct bytes image = binary_image(candidate);
	const char *path = binary_path(candidate);
	uint32_t crc;

	if (id->size > 0 && its_id->size > 0) {
		if (!build_id_equal(id, its_id))
			trail_note_other_build(s->trail, PLACE_LINK, path, its_id, id);
		return build_id_equal(id, its_id);
	}
	crc = crc32_of(image.at, bytes_left(&image));
	if (crc != s->link.crc)
		trail_note(s->trail, PLACE_LINK, path, "CRC %08x instead of %08x", crc,
			s->link.crc);
	return crc == s->link.crc;
}

/* The file PREFIX FOLDER INFIX NAME, if it is the linked one.  A file that links to its own
 * name (unstripped in place) is passed over: it is no debug file. */
static struct binary *try_link(const struct link_search *s, const char *prefix,
	const char *folder, const char *infix)
{
	char *path = xasprintf("%s%s%s/%s", prefix, folder, infix, s->link.name);
	struct binary *found = NULL;
	int r = 0;

	if (strcmp(path, binary_path(s->b)) != 0)
		r = binary_open(path, &found);
	if (r)
		trail_note_error(s->trail, PLACE_LINK, path, r);
	free(path);
	if (!found || is_linked(s, found))
		return found;
	binary_close(found);
	return NULL;
}

static struct binary *in_folders_by_link(
	const struct link_search *s, const char *const *debug_folders, const char *folder)
{
	struct binary *found = NULL;

	for (; debug_folders && *debug_folders && !found; debug_folders++)
		found = try_link(s, *debug_folders, folder, "");
	return found;
}

/* FOLDER is the one that the file with the link lies in. */
static struct binary *search_link(const struct link_search *s, const char *folder)
{
	struct binary *found = try_link(s, "", folder, "");

	if (!found)
		found = try_link(s, "", folder, "/.debug");
	if (!found && folder[0] == '/') {
		found = in_folders_by_link(s, s->debug_folders, folder);
		if (!found)
			found = in_folders_by_link(s, standard_folders, folder);
	}
	return found;
}

const char *debug_file_link(const struct binary *b)
{
	struct debug_link link;

	return read_link(b, &link) ? link.name : NULL;
}

struct binary *debug_file_by_link(const char *const *folders, const struct binary *b,
	const char *from, struct trail *trail)
{
	struct link_search s = { .b = b, .debug_folders = folders, .trail = trail };
	char resolved[PATH_MAX];
	struct binary *found;
	char *folder;

	if (!read_link(b, &s.link))
		return NULL;
	folder = folder_of(from);
	found = search_link(&s, folder);
	free(folder);
	if (!found && realpath(from, resolved) && strcmp(resolved, from) != 0) {
		folder = folder_of(resolved);
		found = search_link(&s, folder);
		free(folder);
	}
	return found;
}
