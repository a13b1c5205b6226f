#define _GNU_SOURCE
#include "cli/leaks.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/path.h"
#include "cli/pipeline.h"
#include "cli/report.h"

/* --- adding a profile --- */

static size_t index_of_type(const struct profile *p, const char *name)
{
	size_t i = 0;

	while (strcmp(profile_string(p, p->sample_types.items[i].type), name) != 0)
		i++;
	return i;
}

/* "" when there is none. */
static const char *find_label(
	const struct profile *p, const struct profile_sample *s, const char *key)
{
	for (uint32_t i = 0; i < s->label_count; i++) {
		const struct profile_label *label = &p->labels.items[s->first_label + i];

		if (label->str && strcmp(profile_string(p, label->key), key) == 0)
			return profile_string(p, label->str);
	}
	return "";
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
	size_t size = strlen(leak->plugin) + 3;
	char *at;

	for (size_t i = 0; i < leak->frames.count; i++)
		size += strlen(leak->frames.items[i]) + 1;
	leak->key = at = xmalloc(size);
	*at++ = leak->is_unloaded ? '-' : '+';
	at = stpcpy(at, leak->plugin);
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
	free(leak->key);
}

static bool has_key(const void *context, size_t index, const void *key)
{
	const struct leaks *l = context;

	return strcmp(l->items.items[index].key, key) == 0;
}

/* The leak that sample S is of, made when new. */
static struct leak *find_leak(
	struct leaks *l, const struct profile *p, const struct profile_sample *s)
{
	const char *plugin = find_label(p, s, "plugin");
	struct leak leak = {
		.plugin = xstrdup(plugin[0] ? plugin : REPORT_HOST),
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

static void add_samples(struct leaks *l, const struct profile *p)
{
	const size_t space = index_of_type(p, "inuse_space");
	const size_t objects = index_of_type(p, "inuse_objects");

	for (size_t i = 0; i < p->samples.count; i++) {
		const struct profile_sample *s = &p->samples.items[i];
		const int64_t *values = &p->values.items[s->first_value];
		struct leak *leak;

		if (values[space] == 0 && values[objects] == 0)
			continue;
		leak = find_leak(l, p, s);
		leak->latest.bytes += values[space];
		leak->latest.objects += values[objects];
	}
}

void leaks_add(struct leaks *l, const struct profile *p)
{
	for (size_t i = 0; i < l->items.count; i++) {
		l->items.items[i].before = l->items.items[i].latest;
		l->items.items[i].latest = (struct leak_amount){ .bytes = 0 };
	}
	add_samples(l, p);
	for (size_t i = 0; i < l->items.count; i++) {
		struct leak *leak = &l->items.items[i];

		if (l->profiles == 0)
			leak->first = leak->latest;
		leak->shrank |= leak->latest.bytes < leak->before.bytes;
	}
	l->profiles++;
	l->period = p->period;
}

/* --- taking stock --- */

static void add_amount(struct leak_amount *to, const struct leak_amount *more)
{
	to->bytes += more->bytes;
	to->objects += more->objects;
}

static struct leak_group *group_of(struct leaks *l, const struct leak *leak)
{
	struct leak_group *new;

	for (size_t i = 0; i < l->groups.count; i++)
		if (l->groups.items[i].is_unloaded == leak->is_unloaded &&
			strcmp(l->groups.items[i].plugin, leak->plugin) == 0)
			return &l->groups.items[i];
	new = VEC_PUSH(&l->groups);
	new->plugin = leak->plugin;
	new->is_unloaded = leak->is_unloaded;
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

void leaks_sum(struct leaks *l, const char *only)
{
	for (uint32_t i = 0; i < l->items.count; i++) {
		struct leak *leak = &l->items.items[i];
		struct leak_group *group;

		leak->amount = leak->latest;
		if (l->profiles > 1) {
			leak->amount.bytes -= leak->first.bytes;
			leak->amount.objects -= leak->first.objects;
		}
		if (leak->amount.bytes < 0 || (l->profiles > 1 && leak->shrank) ||
			(leak->amount.bytes == 0 && leak->amount.objects <= 0) ||
			(only && strcmp(only, leak->plugin) != 0))
			continue;
		group = group_of(l, leak);
		*VEC_PUSH(&group->leaks) = i;
		add_amount(&group->amount, &leak->amount);
		add_amount(&l->amount, &leak->amount);
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
	table_free(&l->by_key);
}
