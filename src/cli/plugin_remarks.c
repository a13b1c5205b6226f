#include "cli/plugin_remarks.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "base/path.h"
#include "cli/size_text.h"

/* Below this much growth of open descriptors, and so many loads, there is nothing to say: a host
 * opens files for its own reasons, too (PostgreSQL's processes have some 60). */
#define DESCRIPTORS_MIN 10
#define DESCRIPTORS_UNEXPLAINED_MIN 100
#define LOADS_MIN 10

bool plugin_row_descriptors(const struct plugin_row *row, int64_t *growth)
{
	const struct life *l = &row->life;

	if (l->descriptors_before < 0 || l->descriptors_after < 0)
		return false;
	*growth = l->descriptors_after - l->descriptors_before;
	return true;
}

/* About as many descriptors as loads: it is not the host that opens them. */
static bool leaks_per_load(const struct plugin_row *row)
{
	int64_t growth;

	return plugin_row_descriptors(row, &growth) && growth >= DESCRIPTORS_MIN &&
		row->life.loads >= LOADS_MIN && (uint64_t)growth >= row->life.loads / 2;
}

/* --- one plugin; NULL: nothing to say --- */

/* The loader counts no closes of what it will not unload. */
static char *about_handles(const struct plugin_table *table, const struct plugin_row *row)
{
	(void)table;
	return row->life.references > 1 ?
		xasprintf("still open %" PRId64 " times: dlopen without dlclose%s",
			row->life.references,
			row->life.unloads ?
				"" :
				", unless it is marked NODELETE: then closes do not count") :
		NULL;
}

/* Only the library with the greatest growth, unless loads explain it: all that were there saw the
 * same. */
static bool has_most_descriptors(const struct plugin_table *table, const struct plugin_row *row)
{
	int64_t own, other;

	if (!plugin_row_descriptors(row, &own))
		return false;
	for (size_t i = 0; i < table->rows.count; i++) {
		const struct plugin_row *at = &table->rows.items[i];

		if (leaks_per_load(at))
			return false;
		if (plugin_row_descriptors(at, &other) &&
			(other > own || (other == own && at < row)))
			return false;
	}
	return own >= DESCRIPTORS_UNEXPLAINED_MIN;
}

static char *about_descriptors(const struct plugin_table *table, const struct plugin_row *row)
{
	int64_t growth = 0;

	plugin_row_descriptors(row, &growth);
	if (leaks_per_load(row))
		return xasprintf("the process has %" PRId64
				 " descriptors more than before it was first loaded, in %" PRIu64
				 " loads",
			growth, row->life.loads);
	return has_most_descriptors(table, row) ?
		xasprintf("the process has %" PRId64
			  " descriptors more than before it was first loaded",
			growth) :
		NULL;
}

static char *about_memory(const struct plugin_table *table, const struct plugin_row *row)
{
	char size[32];

	(void)table;
	return row->costs[COST_LEAKED] > 0 ?
		xasprintf("%s that it allocated are in use although it was unloaded since",
			size_text(row->costs[COST_LEAKED], size, sizeof(size))) :
		NULL;
}

static char *about_closing(const struct plugin_table *table, const struct plugin_row *row)
{
	const struct life *l = &row->life;

	(void)table;
	return l->references == 0 && l->loads > l->unloads && l->is_plugin ?
		xstrdup("closed as often as opened, and still loaded: marked NODELETE, or used by "
			"another library") :
		NULL;
}

static char *about_loads(const struct plugin_table *table, const struct plugin_row *row)
{
	(void)table;
	return row->life.loads >= LOADS_MIN ?
		xasprintf("loaded %" PRIu64 " times, unloaded %" PRIu64 " times", row->life.loads,
			row->life.unloads) :
		NULL;
}

/* Said at the first of them. */
static char *about_builds(const struct plugin_table *table, const struct plugin_row *row)
{
	size_t builds = 0;

	if (!row->has_life)
		return NULL;
	for (size_t i = 0; i < table->rows.count; i++) {
		const struct plugin_row *at = &table->rows.items[i];

		if (!at->has_life || strcmp(at->life.path, row->life.path) != 0)
			continue;
		if (at < row)
			return NULL;
		builds++;
	}
	return builds > 1 ? xasprintf("%zu builds were loaded from %s", builds, row->life.path) :
			    NULL;
}

/* See row_of_mapping() in plugin_table.c: such a row stands beside those that it may be. */
static char *about_unknown_build(const struct plugin_table *table, const struct plugin_row *row)
{
	if (row->has_life || row->life.build_id[0])
		return NULL;
	for (size_t i = 0; i < table->rows.count; i++) {
		const struct plugin_row *at = &table->rows.items[i];

		if (at->has_life && !at->life.build_id[0] &&
			strcmp(at->life.path, row->life.path) == 0)
			return xstrdup("its builds have no build-ID, so their samples cannot be "
				       "told apart: link them with -Wl,--build-id");
	}
	return NULL;
}

/* --- all of them --- */

void plugin_remarks_find(const struct plugin_table *table, plugin_remarks *found)
{
	static const struct {
		const char *kind;
		char *(*text)(const struct plugin_table *, const struct plugin_row *);
	} kinds[] = {
		{ "handles", about_handles },
		{ "descriptors", about_descriptors },
		{ "memory", about_memory },
		{ "not-unloaded", about_closing },
		{ "loads", about_loads },
		{ "builds", about_builds },
		{ "unknown-build", about_unknown_build },
	};

	*found = (plugin_remarks){ .count = 0 };
	for (size_t kind = 0; kind < ARRAY_SIZE(kinds); kind++)
		for (size_t i = 0; i < table->rows.count; i++) {
			const struct plugin_row *row = &table->rows.items[i];
			char *text = kinds[kind].text(table, row);

			if (text)
				*VEC_PUSH(found) = (struct plugin_remark){
					.kind = kinds[kind].kind, .row = row, .text = text };
		}
}

void plugin_remarks_free(plugin_remarks *remarks)
{
	for (size_t i = 0; i < remarks->count; i++)
		free(remarks->items[i].text);
	VEC_FREE(remarks);
}

char *plugin_row_name(const struct plugin_table *table, const struct plugin_row *row)
{
	const char *name = path_base_name(row->life.path);
	bool is_alone = true;

	for (size_t i = 0; i < table->rows.count; i++) {
		const struct plugin_row *at = &table->rows.items[i];

		is_alone &= at == row || strcmp(path_base_name(at->life.path), name) != 0;
	}
	return is_alone || !row->life.build_id[0] ?
		xstrdup(name) :
		xasprintf("%s (%.12s)", name, row->life.build_id);
}
