/* One symbol map, opened for commands that look at maps. */
#ifndef CLI_MAP_FILE_H
#define CLI_MAP_FILE_H

#include "base/compiler.h"
#include "base/file.h"
#include "mapstore/map_reader.h"

struct map_file {
	struct file_bytes bytes;
	struct map_reader *map;
};

/* 0: the caller's to map_file_close(); or -errno after one line was said. */
int map_file_open(const char *path, struct map_file *f) MUST_CHECK;
void map_file_close(struct map_file *f);

#endif
