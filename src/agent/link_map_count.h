/*
 * How often a library is open: glibc's own count, dlopen less dlclose, which is in a part of
 * struct link_map that no header tells of.  So its place is found by trial: the one word of
 * libc's entry that goes up with every dlopen of it and down with every dlclose.
 */
#ifndef AGENT_LINK_MAP_COUNT_H
#define AGENT_LINK_MAP_COUNT_H

#include <stdint.h>

/* Once, in the constructor: before the host has threads. */
void link_map_count_start(void);

/* The count for MAP, which cannot go away meanwhile; SPOOL_UNKNOWN: its place is not known. */
uint32_t link_map_count(const void *map);

#endif
