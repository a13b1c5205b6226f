/*
 * A perf map: names for generated code, as JIT compilers write them to /tmp/perf-PID.map
 * (Linux, tools/perf/Documentation/jit-interface.txt).  A line is "START SIZE NAME", numbers in
 * hexadecimal; where lines overlap the later one holds, for code is thrown away and its memory
 * used again.
 *
 * Exits for want of memory; never prints.
 */
#ifndef SYMBOL_PERF_MAP_H
#define SYMBOL_PERF_MAP_H

#include <stddef.h>
#include <stdint.h>

struct perf_map;

#define PERF_MAP_SIZE_MAX ((size_t)512 << 20) /* bytes; a longer one is not read */

/* The map at PATH, written by user OWNER or by root; nobody else's is believed.  NULL: there is
 * none. */
struct perf_map *perf_map_open(const char *path, uint32_t owner);
/* The same from SIZE bytes at TEXT, which are copied. */
struct perf_map *perf_map_over(const char *text, size_t size);
void perf_map_free(struct perf_map *map); /* takes NULL */

/* The name of what is at PC; NULL: nothing known.  Lives as long as MAP. */
const char *perf_map_find(const struct perf_map *map, uint64_t pc);

#endif
