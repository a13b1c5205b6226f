#define _GNU_SOURCE
#include "cli/map_gsym.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/store.h"
#include "cli/map_file.h"
#include "cli/map_files.h"
#include "cli/message.h"
#include "mapstore/gsym_writer.h"
#include "mapstore/map_store.h"
#include "symbol/map_builder.h"

static int write_gsym(const char *output, struct map_reader *map)
{
	uint8_t *data = NULL;
	size_t size;
	int r = gsym_write(map, &data, &size);

	if (r == 0)
		r = map_store_write(output, data, size);
	free(data);
	return r;
}

static int convert_library(
	const char *output, const char *path, const char *const *debug_folders)
{
	struct map_build build;
	struct map_reader *map;
	int r = map_build(path, debug_folders, &build);

	if (r)
		return r;
	r = map_reader_open(build.data, build.size, &map);
	if (r == 0) {
		r = write_gsym(output, map);
		map_reader_free(map);
	}
	free(build.data);
	return r;
}

static bool is_map(const char *path)
{
	const size_t size = strlen(path), suffix = strlen(STORE_MAP_SUFFIX);

	return size > suffix && strcmp(path + size - suffix, STORE_MAP_SUFFIX) == 0;
}

int map_gsym(const char *output, const char *path, const char *const *debug_folders)
{
	struct map_file f;
	int r;

	if (is_map(path)) {
		if (map_file_open(path, &f))
			return EXIT_OWN_ERROR;
		r = write_gsym(output, f.map);
		map_file_close(&f);
	} else {
		r = convert_library(output, path, debug_folders);
	}
	if (r)
		map_files_complain(path, output, r);
	return r ? EXIT_OWN_ERROR : EXIT_OK;
}
