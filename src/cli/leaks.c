#define _GNU_SOURCE
#include "cli/leaks.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "base/hash.h"
#include "base/path.h"
#include "cli/life.h"
#include "cli/pipeline.h"
#include "cli/report.h"

/* --- adding a profile --- */

/* The number of sample types when it is none of them. */
static size_t index_of_type(const struct profile *p, const char *name)
{
	size_t i = 0;

	while (i < p->sample_types.count &&
		strcmp(profile_string(p, p->sample_types.items[i].type), name) != 0)
		i++;
	return i;
}

/* "" when there is none. */
static const char *find_label(
	const struct profile *p, const struct profile_sample *s, const char *key)
{
	const char *text = profile_label_text(p, s, key);

	return text ? text : "";
}

static char *describe_line(const struct profile *p, const struct profile_line *line)
{
	const struct profile_function *f;
	const char *file;

	if (!line->function_id)
		return xstrdup("?");
	f = &p->functions.items[line->function_id - 1];
	file = profile_string(p, f->filename);
	if (!file[0])
		return xstrdup(profile_string(p, f->name));
	return xasprintf("%s %s:%lld", profile_string(p, f->name), path_base_name(file),
		(long long)line->line);
}

static void add_location(
	struct leak *leak, const struct profile *p, const struct profile_location *l)
{
	for (uint32_t i = 0; i < l->line_count; i++)
		*VEC_PUSH(&leak->frames) = describe_line(p, &p->lines.items[l->first_line + i]);
	if (l->line_count == 0)
		*VEC_PUSH(&leak->frames) = xasprintf("0x%llx", (unsigned long long)l->address);
}

static void make_key(struct leak *leak)
{
	const char *whose[] = { leak->is_unloaded ? "-" : "+", leak->plugin, leak->build,
		leak->generation };
	size_t size = 1;
	char *at;

	for (size_t i = 0; i < ARRAY_SIZE(whose); i++)
		size += strlen(whose[i]) + 1;
	for (size_t i = 0; i < leak->frames.count; i++)
		size += strlen(leak->frames.items[i]) + 1;
	leak->key = at = xmalloc(size);
	for (size_t i = 0; i < ARRAY_SIZE(whose); i++) {
		at = stpcpy(at, whose[i]);
		*at++ = '\t';
	}
	*at = '\0';
	for (size_t i = 0; i < leak->frames.count; i++) {
		*at++ = '\n';
		at = stpcpy(at, leak->frames.items[i]);
	}
}

static void free_leak(struct leak *leak)
{
	for (size_t i = 0; i < leak->frames.count; i++)
		free(leak->frames.items[i]);
	VEC_FREE(&leak->frames);
	free(leak->plugin);
	free(leak->build);
	free(leak->generation);
	free(leak->key);
}

static bool has_key(const void *context, size_t index, const void *key)
{
	const struct leaks *l = context;

	return strcmp(l->items.items[index].key, key) == 0;
}

/* --- whose it is --- */

static const char *name_of_mapping(const struct profile *p, size_t index)
{
	return path_base_name(profile_string(p, p->mappings.items[index].filename));
}

/* The build-ID of the innermost library of that name on the stack of S; "": not known. */
static const char *build_on_stack(
	const struct profile *p, const struct profile_sample *s, const char *name)
{
	for (uint32_t i = 0; i < s->location_count; i++) {
		const uint32_t id = p->sample_locations.items[s->first_location + i];
		const uint32_t mapping = p->locations.items[id - 1].mapping_id;

		if (mapping && strcmp(name_of_mapping(p, mapping - 1), name) == 0)
			return profile_string(p, p->mappings.items[mapping - 1].build_id);
	}
	return "";
}

/* Is another build than BUILD of a library of that name in the profile? */
static bool has_other_build(const struct profile *p, const char *name, const char *build)
{
	for (size_t i = 0; i < p->mappings.count; i++)
		if (strcmp(name_of_mapping(p, i), name) == 0 &&
			strcmp(profile_string(p, p->mappings.items[i].build_id), build) != 0)
			return true;
	return false;
}

static char *build_to_tell(
	const struct profile *p, const struct profile_sample *s, const char *plugin)
{
	const char *build = build_on_stack(p, s, plugin);

	return has_other_build(p, plugin, build) ? xasprintf("%.12s", build) : xstrdup("");
}

/* The leak that sample S is of, made when new. */
static struct leak *find_leak(
	struct leaks *l, const struct profile *p, const struct profile_sample *s)
{
	const char *plugin = find_label(p, s, "plugin");
	struct leak leak = {
		.plugin = xstrdup(plugin[0] ? plugin : REPORT_HOST),
		.build = l->compares || !plugin[0] ? xstrdup("") : build_to_tell(p, s, plugin),
		.generation = xstrdup(l->compares ? "" : find_label(p, s, "generation")),
		.is_unloaded = find_label(p, s, PIPELINE_UNLOADED_LABEL)[0] != '\0',
	};
	uint64_t hash;
	size_t index;

	for (uint32_t i = 0; i < s->location_count; i++)
		add_location(&leak, p,
			&p->locations.items[p->sample_locations.items[s->first_location + i] - 1]);
	make_key(&leak);
	hash = hash_bytes(leak.key, strlen(leak.key));
	if (table_find(&l->by_key, hash, has_key, l, leak.key, &index)) {
		free_leak(&leak);
		return &l->items.items[index];
	}
	table_insert(&l->by_key, hash, l->items.count);
	*VEC_PUSH(&l->items) = leak;
	return &l->items.items[l->items.count - 1];
}

/* Blocks of S bytes are sampled with probability Q, each independently, and count 1/Q times: the
 * variance of N of them is N S^2 (1-Q)/Q.  A sample's blocks are of about one size. */
static double variance_of(
	const struct profile *p, const struct profile_sample *s, int64_t bytes, int64_t objects)
{
	double size, q;

	if (p->period <= 1 || bytes <= 0 || objects <= 0 ||
		strcmp(find_label(p, s, "kind"), "mmap") == 0) /* each is recorded */
		return 0;
	size = (double)bytes / (double)objects;
	q = -expm1(-size / (double)p->period);
	return (double)objects * size * size * (1 - q) / q;
}

void leak_amount_add(struct leak_amount *to, const struct leak_amount *more)
{
	to->bytes += more->bytes;
	to->objects += more->objects;
	to->variance += more->variance;
}

/* Which values of a sample are what. */
struct columns {
	size_t space, objects;
	size_t allocated_space, allocated_objects;
	bool has_allocated;
};

static struct columns find_columns(const struct profile *p)
{
	struct columns c = { .space = index_of_type(p, "inuse_space"),
		.objects = index_of_type(p, "inuse_objects"),
		.allocated_space = index_of_type(p, "alloc_space"),
		.allocated_objects = index_of_type(p, "alloc_objects") };

	c.has_allocated = c.allocated_space < p->sample_types.count &&
		c.allocated_objects < p->sample_types.count;
	return c;
}

static void add_sample(struct leaks *l, const struct profile *p, const struct profile_sample *s,
	const struct columns *c)
{
	const int64_t *values = &p->values.items[s->first_value];
	const struct leak_amount amount = { values[c->space], values[c->objects],
		variance_of(p, s, values[c->space], values[c->objects]) };
	struct leak *leak;

	/* Of what nothing is left something may have been there before. */
	if (amount.bytes == 0 && amount.objects == 0 && !l->compares)
		return;
	leak = find_leak(l, p, s);
	leak_amount_add(&leak->latest, &amount);
	if (c->has_allocated)
		leak->latest_allocated += variance_of(
			p, s, values[c->allocated_space], values[c->allocated_objects]);
}

static void add_samples(struct leaks *l, const struct profile *p)
{
	const struct columns c = find_columns(p);

	for (size_t i = 0; i < p->samples.count; i++)
		add_sample(l, p, &p->samples.items[i], &c);
	l->are_of_runs |= !c.has_allocated;
}

/* "": not told. */
static char *program_of(const struct profile *p)
{
	return xstrdup(p->mappings.count ? name_of_mapping(p, 0) : "");
}

void leaks_add(struct leaks *l, const struct profile *p)
{
	for (size_t i = 0; i < l->items.count; i++) {
		l->items.items[i].before = l->items.items[i].latest;
		l->items.items[i].latest = (struct leak_amount){ .bytes = 0 };
		l->items.items[i].latest_allocated = 0;
	}
	add_samples(l, p);
	for (size_t i = 0; i < l->items.count; i++) {
		struct leak *leak = &l->items.items[i];

		if (l->profiles == 0) {
			leak->first = leak->latest;
			leak->first_allocated = leak->latest_allocated;
		}
		leak->shrank |= leak->latest.bytes < leak->before.bytes;
	}
	if (!l->program_before)
		l->program_before = program_of(p);
	free(l->program);
	l->program = program_of(p);
	l->are_of_runs |= l->profiles && p->time_ns != l->start_ns;
	l->start_ns = p->time_ns;
	l->profiles++;
	if (p->period > l->period)
		l->period = p->period;
}

bool leaks_are_of_one_program(const struct leaks *l)
{
	bool held_before = false, holds_now = false;

	if (!l->program || strcmp(l->program, l->program_before) == 0)
		return true;
	for (size_t i = 0; i < l->items.count; i++) {
		const struct leak *leak = &l->items.items[i];

		if (leak->first.bytes && leak->latest.bytes)
			return true;
		held_before |= leak->first.bytes != 0;
		holds_now |= leak->latest.bytes != 0;
	}
	return !held_before || !holds_now;
}

static bool has_life(const struct profile *p, const char *name)
{
	bool found = false;
	lives all;

	lives_read(p, &all);
	for (size_t i = 0; i < all.count; i++)
		found |= strcmp(path_base_name(all.items[i].path), name) == 0;
	lives_free(&all);
	return found;
}

bool leaks_profile_tells_of(const struct profile *p, const char *name)
{
	for (size_t i = 0; i < p->samples.count; i++)
		if (strcmp(find_label(p, &p->samples.items[i], "plugin"), name) == 0)
			return true;
	return strcmp(name, REPORT_HOST) == 0 || has_life(p, name);
}

/* --- taking stock --- */

static bool is_same_owner(const struct leak *a, const struct leak *b)
{
	return a->is_unloaded == b->is_unloaded && strcmp(a->plugin, b->plugin) == 0 &&
		strcmp(a->build, b->build) == 0 && strcmp(a->generation, b->generation) == 0;
}

static struct leak_group *group_of(struct leaks *l, const struct leak *leak)
{
	struct leak_group *new;

	for (size_t i = 0; i < l->groups.count; i++)
		if (is_same_owner(l->groups.items[i].one, leak))
			return &l->groups.items[i];
	new = VEC_PUSH(&l->groups);
	new->one = leak;
	return new;
}

static int by_bytes(int64_t a, int64_t b)
{
	return (a < b) - (a > b);
}

static int by_bytes_of_leak(const void *a, const void *b, void *leaks)
{
	const struct leaks *l = leaks;

	return by_bytes(l->items.items[*(const uint32_t *)a].amount.bytes,
		l->items.items[*(const uint32_t *)b].amount.bytes);
}

static int by_bytes_of_group(const void *a, const void *b)
{
	return by_bytes(((const struct leak_group *)a)->amount.bytes,
		((const struct leak_group *)b)->amount.bytes);
}

/* Blocks that are in use in both profiles of a process are the same samples, and no error of its
 * growth.  How many came and went in between?  What was allocated is what was freed and what has
 * grown, and so are the variances. */
struct turnover {
	double both; /* all that was in use before, and all that is */
	double grown, freed;
};

static struct turnover turnover_of(const struct leak *leak)
{
	struct turnover t = { .both = leak->latest.variance + leak->first.variance,
		.grown = leak->latest.variance - leak->first.variance };

	t.freed = fmax(0, leak->latest_allocated - leak->first_allocated - t.grown);
	return t;
}

static double variance_of_growth(const struct leaks *l, const struct leak *leak)
{
	const struct turnover t = turnover_of(leak);

	if (l->are_of_runs)
		return t.both;
	if (leak->is_unloaded) /* what comes was allocated before */
		return fabs(t.grown);
	return fmin(t.both, fmax(fabs(t.grown), t.grown + 2 * t.freed));
}

#define DEVIATIONS_MIN 3 /* of a growth that is none by chance: one in 700 has more */

/* Samples of as much before as now would differ so much.  Not at all if nothing was freed. */
static double variance_by_chance(const struct leaks *l, const struct leak *leak)
{
	const struct turnover t = turnover_of(leak);

	return l->are_of_runs ? t.both : fmin(t.both, 2 * t.freed);
}

static struct leak_balance *balance_of(struct leaks *l, const char *plugin)
{
	struct leak_balance *new;

	for (size_t i = 0; i < l->balances.count; i++)
		if (strcmp(l->balances.items[i].plugin, plugin) == 0)
			return &l->balances.items[i];
	new = VEC_PUSH(&l->balances);
	new->plugin = plugin;
	return new;
}

static void make_balances(struct leaks *l)
{
	for (size_t i = 0; i < l->items.count; i++) {
		const struct leak *leak = &l->items.items[i];
		struct leak_balance *balance = balance_of(l, leak->plugin);

		if (leak->is_unloaded)
			continue;
		balance->bytes += (double)(leak->latest.bytes - leak->first.bytes);
		balance->variance += variance_by_chance(l, leak);
	}
}

/* Small growth of many stacks is none by chance when it is much together. */
static bool may_be_chance(struct leaks *l, const struct leak *leak)
{
	const struct leak_balance *balance = balance_of(l, leak->plugin);

	return !leak->is_unloaded &&
		(double)leak->amount.bytes < DEVIATIONS_MIN * sqrt(variance_by_chance(l, leak)) &&
		balance->bytes < DEVIATIONS_MIN * sqrt(balance->variance);
}

/* AMOUNT of LEAK is what it has grown. */
static void make_growth(const struct leaks *l, struct leak *leak)
{
	leak->amount.bytes -= leak->first.bytes;
	leak->amount.objects -= leak->first.objects;
	leak->amount.variance = variance_of_growth(l, leak);
}

void leaks_sum(struct leaks *l, const char *only)
{
	if (l->profiles > 1)
		make_balances(l);
	for (uint32_t i = 0; i < l->items.count; i++) {
		struct leak *leak = &l->items.items[i];
		struct leak_group *group;

		leak->amount = leak->latest;
		if (l->profiles > 1)
			make_growth(l, leak);
		if (leak->amount.bytes < 0 || (l->profiles > 1 && leak->shrank) ||
			(leak->amount.bytes == 0 && leak->amount.objects <= 0) ||
			(only && strcmp(only, leak->plugin) != 0))
			continue;
		if (l->profiles > 1 && may_be_chance(l, leak)) {
			leak_amount_add(&l->by_chance, &leak->amount);
			l->stacks_by_chance++;
			continue;
		}
		group = group_of(l, leak);
		*VEC_PUSH(&group->leaks) = i;
		leak_amount_add(&group->amount, &leak->amount);
		leak_amount_add(&l->amount, &leak->amount);
		if (leak->is_unloaded)
			l->unloaded_bytes += leak->amount.bytes;
	}
	for (size_t i = 0; i < l->groups.count; i++) {
		struct leak_group *group = &l->groups.items[i];

		qsort_r(group->leaks.items, group->leaks.count, sizeof(*group->leaks.items),
			by_bytes_of_leak, l);
	}
	if (l->groups.count)
		qsort(l->groups.items, l->groups.count, sizeof(*l->groups.items),
			by_bytes_of_group);
}

void leaks_free(struct leaks *l)
{
	for (size_t i = 0; i < l->items.count; i++)
		free_leak(&l->items.items[i]);
	for (size_t i = 0; i < l->groups.count; i++)
		VEC_FREE(&l->groups.items[i].leaks);
	VEC_FREE(&l->items);
	VEC_FREE(&l->groups);
	VEC_FREE(&l->balances);
	table_free(&l->by_key);
	free(l->program);
	free(l->program_before);
}
