/* A table of plugins on a stream: for people, and as JSON. */
#ifndef CLI_PLUGIN_PRINT_H
#define CLI_PLUGIN_PRINT_H

#include <stdio.h>

#include "cli/plugin_table.h"

/* TABLE is sorted.  VERBOSE: whole build-IDs, and a line for each generation that is told of. */
void plugin_print(FILE *to, const struct plugin_table *table, bool verbose);
/* The keys are listed in plugprof-plugins(1). */
void plugin_print_json(FILE *to, const struct plugin_table *table);

#endif
