#include "cli/plugins.h"

#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "base/xalloc.h"

/* A library that another one names as needed came along with it: libstdc++ is not what the host
 * opened. */
static bool is_needed(const struct spool_reader *spool, const struct spool_module_view *wanted)
{
	const char *soname = wanted->soname[0] ? wanted->soname : path_base_name(wanted->path);
	struct spool_module_view view;

	for (uint32_t id = 1; id <= spool_reader_module_count(spool); id++)
		if (spool_reader_module(spool, id, &view) && spool_module_needs(&view, soname))
			return true;
	return false;
}

void plugins_find(struct plugins *plugins, const struct spool_reader *spool)
{
	struct spool_module_view view;

	plugins->id_count = spool_reader_module_count(spool) + 1;
	plugins->is_plugin = xcalloc(plugins->id_count, sizeof(*plugins->is_plugin));
	plugins->count = 0;
	for (uint32_t id = 1; id < plugins->id_count; id++)
		if (spool_reader_module(spool, id, &view) &&
			(view.module->flags & SPOOL_MODULE_DLOPENED) && !is_needed(spool, &view)) {
			plugins->is_plugin[id] = true;
			plugins->count++;
		}
}

bool plugins_has(const struct plugins *plugins, uint32_t module_id)
{
	return module_id < plugins->id_count && plugins->is_plugin[module_id];
}

void plugins_free(struct plugins *plugins)
{
	free(plugins->is_plugin);
	*plugins = (struct plugins){ .is_plugin = NULL };
}
