/* Making symbol maps of many files. */
#ifndef CLI_MAP_FILES_H
#define CLI_MAP_FILES_H

#include <stdbool.h>

struct map_request {
	const char *store;
	const char *const *debug_folders;
	int jobs; /* processes at a time */
	bool is_all; /* paths are folders; what cannot be mapped there is only counted */
	bool is_quiet;
};

/* Map PATHS (NULL-terminated) and say what was done.  The exit status. */
int map_files(const struct map_request *request, char *const *paths);

/* Say why PATH could not be mapped, as its user can do something about it; TO is where the map was
 * to be written. */
void map_files_complain(const char *path, const char *to, int error);

#endif
