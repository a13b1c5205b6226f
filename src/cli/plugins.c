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

uint32_t plugins_innermost(const struct plugins *plugins, const struct spool_reader *spool,
	const struct spool_stack_view *stack)
{
	struct spool_module_view view;
	uint32_t later = 0;

	for (size_t i = 0; i < stack->frame_count; i++) {
		const uint32_t id = spool_frame_module(stack->frames[i]);

		if (!spool_reader_module(spool, id, &view))
			continue;
		if (plugins_has(plugins, id))
			return id;
		if (!later && (view.module->flags & SPOOL_MODULE_DLOPENED))
			later = id;
	}
	return later;
}

bool plugins_find_generation(const struct spool_reader *spool, uint32_t module_id,
	uint64_t time_ns, struct plugin_generation *generation)
{
	const struct spool_generation *latest = NULL; /* of those loaded by then */
	struct spool_module_view view;

	if (!spool_reader_module(spool, module_id, &view) || !view.life)
		return false;
	for (size_t i = 0; i < SPOOL_GENERATIONS_MAX; i++) {
		const struct spool_generation *g = &view.life->generations[i];

		if (g->number && g->load_ns <= time_ns &&
			(!latest || g->load_ns > latest->load_ns))
			latest = g;
	}
	/* Before those that are told of: others have come since, and this one went. */
	*generation = latest ?
		(struct plugin_generation){ latest->number, latest->unload_ns != 0 } :
		(struct plugin_generation){ 0, view.module->unloads > 0 };
	return true;
}

void plugins_free(struct plugins *plugins)
{
	free(plugins->is_plugin);
	*plugins = (struct plugins){ .is_plugin = NULL };
}
