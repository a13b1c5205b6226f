#define _GNU_SOURCE
#include "symbol/pprof_folder.h"

#include <glob.h>
#include <unistd.h>

#include "base/path.h"
#include "base/xalloc.h"
#include "symbol/debug_file.h"

/* The only file of a folder that the build-ID names, whatever it is called. */
static struct binary *open_any(
	const char *folder, const char *hex, const struct build_id *build_id, struct trail *trail)
{
	char *pattern = xasprintf("%s/%s/*", folder, hex);
	struct binary *found = NULL;
	glob_t files;

	/* A folder whose own name has wildcards in it finds less, and nothing that is wrong. */
	if (glob(pattern, GLOB_NOSORT, NULL, &files) == 0) {
		for (size_t i = 0; i < files.gl_pathc && !found; i++)
			found = debug_file_open_build(
				files.gl_pathv[i], build_id, PLACE_PPROF, trail);
		globfree(&files);
	}
	free(pattern);
	return found;
}

/* PATH is freed.  What is not there is passed over in silence: there are many such names. */
static struct binary *try_path(char *path, const struct build_id *build_id, struct trail *trail)
{
	struct binary *found = NULL;

	if (access(path, F_OK) == 0)
		found = debug_file_open_build(path, build_id, PLACE_PPROF, trail);
	free(path);
	return found;
}

static struct binary *search_folder(const char *folder, const char *path,
	const struct build_id *build_id, struct trail *trail)
{
	const char *name = path_base_name(path);
	char hex[BUILD_ID_HEX_SIZE];
	struct binary *found;

	build_id_to_hex(build_id, hex);
	found = open_any(folder, hex, build_id, trail);
	if (!found)
		found = try_path(xasprintf("%s/%.2s/%s.debug", folder, hex, hex + 2), build_id,
			trail);
	if (!found && name[0])
		found = try_path(xasprintf("%s/%s", folder, name), build_id, trail);
	if (!found && path[0] == '/')
		found = try_path(xasprintf("%s%s", folder, path), build_id, trail);
	if (!found && path[0] == '/')
		found = try_path(xasprintf("%s%s/%s", folder, path, hex), build_id, trail);
	return found;
}

struct binary *pprof_folder_open(const char *const *folders, const char *path,
	const struct build_id *build_id, struct trail *trail)
{
	struct binary *found = NULL;

	if (build_id->size < 2)
		return NULL;
	for (; folders && *folders && !found; folders++) {
		found = search_folder(*folders, path, build_id, trail);
		if (!found)
			trail_note(trail, PLACE_PPROF, *folders, "nothing of the build in it");
	}
	return found;
}
