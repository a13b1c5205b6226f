/* Looking at symbol maps. */
#ifndef CLI_MAP_SHOW_H
#define CLI_MAP_SHOW_H

#include <stdbool.h>

/* Print what is in the map at PATH.  The exit status. */
int map_dump(const char *path, bool as_json);

/* Check the maps PATHS (NULL-terminated), or all below those that are folders: checksums, and that
 * every range of them can be read.  The exit status. */
int map_verify(char *const *paths, bool is_quiet);

#endif
