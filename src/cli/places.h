/* Where a module's symbols were looked for, told to people. */
#ifndef CLI_PLACES_H
#define CLI_PLACES_H

#include <stdbool.h>

#include "cli/json.h"
#include "symbol/symbolizer.h"

/* A line for the module, one for each place with what came of it, and who has answered. */
void places_print(const struct symbol_module *m);
/* A line for each file that was refused for being of another build, with both build-IDs, and for
 * each server that could not be asked. */
void places_print_warnings(const struct symbol_module *m);

/* The module, each place and who has answered, as an object in a list. */
void places_json(struct json *j, const struct symbol_module *m);

/* For pipeline_symbolize_with(): *CONTEXT is the enum below. */
enum places_detail {
	PLACES_NONE,
	PLACES_WARNINGS,
	PLACES_ALL,
};
void places_tell(void *context, struct symbol_module *m);

#endif
