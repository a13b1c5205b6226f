/* Symbol maps for tools that read GSYM. */
#ifndef CLI_MAP_GSYM_H
#define CLI_MAP_GSYM_H

/* Write the map of the library at PATH, or the map that lies there, as GSYM file OUTPUT.
 * DEBUG_FOLDERS: see symbolizer.h.  The exit status. */
int map_gsym(const char *output, const char *path, const char *const *debug_folders);

#endif
