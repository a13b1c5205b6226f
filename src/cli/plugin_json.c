#include <inttypes.h>
#include <stdlib.h>

#include "base/compiler.h"
#include "cli/json.h"
#include "cli/plugin_print.h"
#include "cli/plugin_remarks.h"

static const struct {
	const char *key;
	enum plugin_cost cost;
	bool of_heap;
	bool on_behalf; /* is there for the host, too */
} costs[] = {
	{ "cpu_ns", COST_CPU, false, true },
	{ "cpu_self_ns", COST_CPU_SELF, false, false },
	{ "cpu_total_ns", COST_CPU_TOTAL, false, false },
	{ "allocated_bytes", COST_ALLOCATED, true, true },
	{ "live_bytes", COST_LIVE, true, true },
	{ "leaked_bytes", COST_LEAKED, true, true },
};

static void put_costs(struct json *j, const struct plugin_table *table, const int64_t *values,
	bool is_plugin)
{
	for (size_t i = 0; i < ARRAY_SIZE(costs); i++) {
		if (!is_plugin && !costs[i].on_behalf)
			continue;
		if (costs[i].of_heap ? table->has_heap : table->has_cpu)
			json_number(j, costs[i].key, values[costs[i].cost]);
		else
			json_null(j, costs[i].key);
	}
}

static void put_sums(struct json *j, const struct plugin_table *table, const char *key,
	const int64_t *values)
{
	json_begin_object(j, key);
	put_costs(j, table, values, false);
	json_end_object(j);
}

/* Of a number that is negative while it is not known. */
static void put_known(struct json *j, const char *key, int64_t value)
{
	if (value < 0)
		json_null(j, key);
	else
		json_number(j, key, value);
}

static int64_t as_number(uint64_t count)
{
	return count > INT64_MAX ? INT64_MAX : (int64_t)count;
}

static void put_text_or_null(struct json *j, const char *key, const char *text)
{
	if (text[0])
		json_text(j, key, text);
	else
		json_null(j, key);
}

static void put_generations(struct json *j, const struct life *l)
{
	json_begin_list(j, "generations");
	for (size_t i = 0; i < l->generations.count; i++) {
		const struct life_generation *g = &l->generations.items[i];

		json_begin_object(j, NULL);
		json_number(j, "number", as_number(g->number));
		json_number(j, "load_ns", g->load_ns);
		if (g->is_unloaded)
			json_number(j, "unload_ns", g->unload_ns);
		else
			json_null(j, "unload_ns");
		json_end_object(j);
	}
	json_end_list(j);
}

static void put_plugin(
	struct json *j, const struct plugin_table *table, const struct plugin_row *row)
{
	const struct life *l = &row->life;
	char content_id[17] = "";

	if (l->content_id)
		snprintf(content_id, sizeof(content_id), "%016" PRIx64, l->content_id);
	json_begin_object(j, NULL);
	json_text(j, "path", l->path);
	put_text_or_null(j, "build_id", l->build_id);
	put_text_or_null(j, "content_id", content_id);
	json_bool(j, "is_plugin", l->is_plugin);
	put_costs(j, table, row->costs, true);
	put_known(j, "loads", row->has_life ? as_number(l->loads) : -1);
	put_known(j, "unloads", row->has_life ? as_number(l->unloads) : -1);
	put_known(j, "references", l->references);
	put_known(j, "descriptors_before", l->descriptors_before);
	put_known(j, "descriptors_after", l->descriptors_after);
	put_generations(j, l);
	json_end_object(j);
}

static void put_remarks(struct json *j, const struct plugin_table *table)
{
	plugin_remarks remarks;

	plugin_remarks_find(table, &remarks);
	json_begin_list(j, "remarks");
	for (size_t i = 0; i < remarks.count; i++) {
		const struct plugin_remark *r = &remarks.items[i];

		json_begin_object(j, NULL);
		json_text(j, "kind", r->kind);
		json_text(j, "path", r->row->life.path);
		put_text_or_null(j, "build_id", r->row->life.build_id);
		json_text(j, "text", r->text);
		json_end_object(j);
	}
	json_end_list(j);
	plugin_remarks_free(&remarks);
}

void plugin_print_json(FILE *to, const struct plugin_table *table)
{
	struct json j = { .to = to };

	json_begin_object(&j, NULL);
	put_sums(&j, table, "all", table->all);
	put_sums(&j, table, "host", table->host);
	put_sums(&j, table, "other_libraries", table->others);
	put_sums(&j, table, "several_builds", table->untold);
	json_begin_list(&j, "plugins");
	for (size_t i = 0; i < table->rows.count; i++)
		put_plugin(&j, table, &table->rows.items[i]);
	json_end_list(&j);
	put_remarks(&j, table);
	json_end_object(&j);
}
