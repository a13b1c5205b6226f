#include "cli/plugin_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "base/path.h"
#include "cli/pipeline.h"
#include "cli/report.h"

#define NONE SIZE_MAX

/* The costs that are found by label, not by frame. */
static const enum plugin_cost on_behalf[] = { COST_CPU, COST_ALLOCATED, COST_LIVE, COST_LEAKED };

static void add_to(int64_t *sum, int64_t value)
{
	if (__builtin_add_overflow(*sum, value, sum))
		*sum = value > 0 ? INT64_MAX : INT64_MIN;
}

/* --- rows --- */

static size_t find_row(const struct plugin_table *table, const char *path, const char *build_id,
	uint64_t content_id)
{
	for (size_t i = 0; i < table->rows.count; i++) {
		const struct life *l = &table->rows.items[i].life;

		if (strcmp(l->path, path) == 0 && strcmp(l->build_id, build_id) == 0 &&
			l->content_id == content_id)
			return i;
	}
	return NONE;
}

static size_t add_row(struct plugin_table *table, const char *path, const char *build_id)
{
	struct plugin_row *row = VEC_PUSH(&table->rows);

	row->life = (struct life){ .path = xstrdup(path),
		.build_id = xstrdup(build_id),
		.references = -1,
		.descriptors_before = -1,
		.descriptors_after = -1 };
	return table->rows.count - 1;
}

/* The first profile that tells of a library is believed: others are of the same process. */
static void take_lives(struct plugin_table *table, const struct profile *p)
{
	lives found;

	lives_read(p, &found);
	for (size_t i = 0; i < found.count; i++) {
		struct life *l = &found.items[i];
		struct plugin_row *row;

		if (find_row(table, l->path, l->build_id, l->content_id) != NONE)
			continue;
		row = VEC_PUSH(&table->rows);
		row->life = *l;
		row->has_life = true;
		table->has_lives = true;
		memset(l, 0, sizeof(*l));
	}
	lives_free(&found);
}

/* A profile's file tells no content IDs, lives do.  Where several libraries without build-ID came
 * from one path it is not known which of them a mapping is: they get a row of its own. */
static size_t row_of_mapping(struct plugin_table *table, const struct profile *p,
	const struct profile_mapping *m)
{
	const char *path = profile_string(p, m->filename);
	const char *build_id = profile_string(p, m->build_id);
	const bool may_be_any = !build_id[0] && !m->content_id;
	size_t found = find_row(table, path, build_id, m->content_id);
	size_t count = 0;

	if (found != NONE)
		return found;
	for (size_t i = 0; i < table->rows.count && may_be_any; i++) {
		const struct life *l = &table->rows.items[i].life;

		if (!l->build_id[0] && strcmp(l->path, path) == 0 && count++ == 0)
			found = i;
	}
	if (count == 1)
		return found;
	found = add_row(table, path, build_id);
	table->rows.items[found].life.content_id = m->content_id;
	return found;
}

/* --- a profile's samples --- */

/* What is known of one mapping. */
struct place {
	size_t row;
	const char *name; /* without its folder */
};

struct counting {
	struct plugin_table *table;
	const struct profile *profile;
	struct place *places; /* by mapping id - 1 */
	int columns[PLUGIN_COSTS]; /* which value of a sample is asked; -1: it has none */
};

static int find_type(const struct profile *p, const char *type, const char *unit)
{
	for (size_t i = 0; i < p->sample_types.count; i++) {
		const struct profile_value_type *t = &p->sample_types.items[i];

		if (strcmp(profile_string(p, t->type), type) == 0 &&
			strcmp(profile_string(p, t->unit), unit) == 0)
			return (int)i;
	}
	return -1;
}

static void find_columns(struct counting *c)
{
	static const struct {
		const char *type, *unit;
	} wanted[PLUGIN_COSTS] = {
		[COST_CPU] = { "cpu", "nanoseconds" },
		[COST_CPU_SELF] = { "cpu", "nanoseconds" },
		[COST_CPU_TOTAL] = { "cpu", "nanoseconds" },
		[COST_ALLOCATED] = { "alloc_space", "bytes" },
		[COST_LIVE] = { "inuse_space", "bytes" },
		[COST_LEAKED] = { "inuse_space", "bytes" },
	};

	for (size_t i = 0; i < PLUGIN_COSTS; i++)
		c->columns[i] = find_type(c->profile, wanted[i].type, wanted[i].unit);
}

static void find_places(struct counting *c)
{
	const struct profile *p = c->profile;

	c->places = xcalloc(p->mappings.count, sizeof(*c->places));
	for (size_t i = 0; i < p->mappings.count; i++) {
		const struct profile_mapping *m = &p->mappings.items[i];

		c->places[i] = (struct place){ .row = row_of_mapping(c->table, p, m),
			.name = path_base_name(profile_string(p, m->filename)) };
	}
}

static const struct place *place_of(const struct counting *c, uint32_t location_id)
{
	const uint32_t mapping_id = c->profile->locations.items[location_id - 1].mapping_id;

	return mapping_id ? &c->places[mapping_id - 1] : NULL;
}

static int64_t value_of(
	const struct counting *c, const struct profile_sample *s, enum plugin_cost cost)
{
	return c->columns[cost] < 0 ?
		0 :
		c->profile->values.items[s->first_value + (uint32_t)c->columns[cost]];
}

/* Which of the libraries of that name: the innermost on the stack.  Where there is none (the sample
 * was folded with others), the only one.  *IS_TOLD is false if there are several. */
static size_t row_named(
	const struct counting *c, const struct profile_sample *s, const char *name, bool *is_told)
{
	size_t found = NONE;

	*is_told = true;
	for (uint32_t i = 0; i < s->location_count; i++) {
		const struct place *place = place_of(
			c, c->profile->sample_locations.items[s->first_location + i]);

		if (place && strcmp(place->name, name) == 0)
			return place->row;
	}
	for (size_t i = 0; i < c->table->rows.count; i++) {
		if (strcmp(path_base_name(c->table->rows.items[i].life.path), name) != 0)
			continue;
		*is_told = found == NONE;
		found = i;
	}
	return found != NONE ? found : add_row(c->table, name, "");
}

/* Where the costs of a sample are added up that are on somebody's behalf. */
static int64_t *costs_for(const struct counting *c, const struct profile_sample *s)
{
	const char *name = profile_label_text(c->profile, s, "plugin");
	bool is_told;
	size_t row;

	if (!name || !name[0] || strcmp(name, REPORT_HOST) == 0)
		return c->table->host;
	row = row_named(c, s, name, &is_told);
	if (!is_told)
		return c->table->untold;
	if (!c->table->rows.items[row].has_life)
		c->table->rows.items[row].life.is_plugin = true; /* its label says so */
	return c->table->rows.items[row].costs;
}

static void count_behalf(const struct counting *c, const struct profile_sample *s)
{
	const bool is_leaked = profile_label_text(c->profile, s, PIPELINE_UNLOADED_LABEL) != NULL;
	int64_t *costs = costs_for(c, s);

	c->table->has_labels |= profile_label_text(c->profile, s, "plugin") != NULL;
	for (size_t i = 0; i < ARRAY_SIZE(on_behalf); i++) {
		const enum plugin_cost cost = on_behalf[i];

		if (cost == COST_LEAKED && !is_leaked)
			continue;
		add_to(&costs[cost], value_of(c, s, cost));
		add_to(&c->table->all[cost], value_of(c, s, cost));
	}
}

/* By whose code is on the stack, whatever the labels say. */
static void count_frames(const struct counting *c, const struct profile_sample *s)
{
	const uint64_t number = ++c->table->sample_count;

	for (uint32_t i = 0; i < s->location_count; i++) {
		const struct place *place = place_of(
			c, c->profile->sample_locations.items[s->first_location + i]);
		struct plugin_row *row;

		if (!place)
			continue;
		row = &c->table->rows.items[place->row];
		if (i == 0)
			add_to(&row->costs[COST_CPU_SELF], value_of(c, s, COST_CPU_SELF));
		if (row->seen_in != number)
			add_to(&row->costs[COST_CPU_TOTAL], value_of(c, s, COST_CPU_TOTAL));
		row->seen_in = number;
	}
}

int plugin_table_add(struct plugin_table *table, const struct profile *p)
{
	struct counting c = { .table = table, .profile = p };

	find_columns(&c);
	if ((table->has_cpu && c.columns[COST_CPU] >= 0) ||
		(table->has_heap && c.columns[COST_LIVE] >= 0))
		return -EEXIST;
	table->has_cpu |= c.columns[COST_CPU] >= 0;
	table->has_heap |= c.columns[COST_LIVE] >= 0;
	take_lives(table, p);
	find_places(&c);
	for (size_t i = 0; i < p->samples.count; i++) {
		count_behalf(&c, &p->samples.items[i]);
		count_frames(&c, &p->samples.items[i]);
	}
	free(c.places);
	return 0;
}

void plugin_table_set_descriptors(struct plugin_table *table, int64_t count)
{
	for (size_t i = 0; i < table->rows.count; i++) {
		struct life *l = &table->rows.items[i].life;

		if (table->rows.items[i].has_life && l->loads > l->unloads)
			l->descriptors_after = count;
	}
}

/* --- order --- */

static uint64_t latest_generation(const struct life *l)
{
	return l->generations.count ? l->generations.items[l->generations.count - 1].number : 0;
}

static int by_cost(const void *left, const void *right)
{
	static const enum plugin_cost order[] = { COST_CPU, COST_LIVE, COST_ALLOCATED,
		COST_CPU_TOTAL };
	const struct plugin_row *a = left, *b = right;
	int by_path;

	for (size_t i = 0; i < ARRAY_SIZE(order); i++)
		if (a->costs[order[i]] != b->costs[order[i]])
			return a->costs[order[i]] < b->costs[order[i]] ? 1 : -1;
	by_path = strcmp(a->life.path, b->life.path);
	if (by_path)
		return by_path;
	if (latest_generation(&a->life) != latest_generation(&b->life))
		return latest_generation(&a->life) < latest_generation(&b->life) ? 1 : -1;
	return strcmp(a->life.build_id, b->life.build_id);
}

void plugin_table_sort(struct plugin_table *table)
{
	if (table->rows.count)
		qsort(table->rows.items, table->rows.count, sizeof(*table->rows.items), by_cost);
}

void plugin_table_keep_plugins(struct plugin_table *table)
{
	size_t kept = 0;

	for (size_t i = 0; i < table->rows.count; i++) {
		struct plugin_row *row = &table->rows.items[i];

		if (row->life.is_plugin) {
			table->rows.items[kept++] = *row;
			continue;
		}
		for (size_t at = 0; at < ARRAY_SIZE(on_behalf); at++)
			add_to(&table->others[on_behalf[at]], row->costs[on_behalf[at]]);
		life_free(&row->life);
	}
	table->rows.count = kept;
}

void plugin_table_free(struct plugin_table *table)
{
	for (size_t i = 0; i < table->rows.count; i++)
		life_free(&table->rows.items[i].life);
	VEC_FREE(&table->rows);
}
