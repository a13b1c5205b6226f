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
void plugins_free(struct plugins *plugins);

#endif
