/* Which of a spool's libraries are plugins: opened by the host after it started, and not only
 * because another library needs them. */
#ifndef CLI_PLUGINS_H
#define CLI_PLUGINS_H

#include <stdbool.h>
#include <stdint.h>

#include "spool/spool_reader.h"

struct plugins {
	bool *is_plugin; /* by module id */
	uint32_t id_count;
	uint32_t count;
};

void plugins_find(struct plugins *plugins, const struct spool_reader *spool);
bool plugins_has(const struct plugins *plugins, uint32_t module_id);

/* Whose time it is: the innermost plugin on the stack; else the innermost library that came later
 * than the program; 0: the host's own. */
uint32_t plugins_innermost(const struct plugins *plugins, const struct spool_reader *spool,
	const struct spool_stack_view *stack);

struct plugin_generation {
	uint64_t number; /* of the loads of its path, from 1; 0: so long ago that it is not told */
	bool is_unloaded;
};

/* Which generation of the library was loaded at TIME_NS (CLOCK_MONOTONIC).  False: the library was
 * there at the start, and has no generations. */
bool plugins_find_generation(const struct spool_reader *spool, uint32_t module_id,
	uint64_t time_ns, struct plugin_generation *generation);

void plugins_free(struct plugins *plugins);

#endif
