#define _GNU_SOURCE
#include "mapstore/map_store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/store.h"
#include "base/xalloc.h"
#include "mapstore/map_reader.h"

/* All folders of PATH but its last part. */
static int make_folders(const char *path)
{
	char *copy = xstrdup(path);
	int r = 0;

	for (char *slash = strchr(copy + 1, '/'); slash && r == 0; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(copy, 0777) < 0 && errno != EEXIST)
			r = -errno;
		*slash = '/';
	}
	free(copy);
	return r;
}

/* Is there a whole map of this build with lines, where DATA has none? */
static bool is_better(const char *path, const struct build_id *id, const void *data)
{
	const struct map_header *header = data;
	struct file_bytes file;
	struct map_reader *map;
	struct build_id found;
	bool better = false;

	if (header->has_lines || file_map(path, &file) < 0)
		return false;
	if (map_reader_open(file.data, file.size, &map) == 0) {
		map_reader_build_id(map, &found);
		better = map_reader_header(map)->has_lines && build_id_equal(&found, id);
		map_reader_free(map);
	}
	file_unmap(&file);
	return better;
}

int map_store_write(const char *path, const void *data, size_t size)
{
	const mode_t mask = umask(0);
	struct stat st;
	int r;

	umask(mask);
	r = file_replace(path, data, size);
	if (r == 0 && stat(path, &st) == 0 && S_ISREG(st.st_mode) && chmod(path, 0644 & ~mask) < 0)
		r = -errno;
	return r;
}

int map_store_put(const char *store, const struct build_id *id, const void *data, size_t size,
	bool *kept, char **path)
{
	char entry[STORE_PATH_MAX];
	int r;

	if (!store_entry(store, id, STORE_MAP_SUFFIX, entry, sizeof(entry)))
		return -ENAMETOOLONG;
	r = make_folders(entry);
	if (r)
		return r;
	*kept = is_better(entry, id, data);
	if (!*kept)
		r = map_store_write(entry, data, size);
	if (r == 0)
		*path = xstrdup(entry);
	return r;
}
