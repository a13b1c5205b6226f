/* Making a profile smaller: without what nothing uses, without its smallest samples. */
#include "pprof/profile.h"

#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "base/xalloc.h"

#define TRUNCATED_FRAME "(truncated)"

/* Every string id of P, in turn. */
static void each_string_id(
	struct profile *p, void (*visit)(uint32_t *id, uint32_t *table), uint32_t *table)
{
	uint32_t *alone[] = { &p->drop_frames, &p->keep_frames, &p->default_sample_type,
		&p->doc_url, &p->period_type.type, &p->period_type.unit };

	for (size_t i = 0; i < ARRAY_SIZE(alone); i++)
		visit(alone[i], table);
	for (size_t i = 0; i < p->sample_types.count; i++) {
		visit(&p->sample_types.items[i].type, table);
		visit(&p->sample_types.items[i].unit, table);
	}
	for (size_t i = 0; i < p->mappings.count; i++) {
		visit(&p->mappings.items[i].filename, table);
		visit(&p->mappings.items[i].build_id, table);
	}
	for (size_t i = 0; i < p->functions.count; i++) {
		visit(&p->functions.items[i].name, table);
		visit(&p->functions.items[i].system_name, table);
		visit(&p->functions.items[i].filename, table);
	}
	for (size_t i = 0; i < p->labels.count; i++) {
		visit(&p->labels.items[i].key, table);
		visit(&p->labels.items[i].str, table);
		visit(&p->labels.items[i].num_unit, table);
	}
	for (size_t i = 0; i < p->comments.count; i++)
		visit(&p->comments.items[i], table);
}

static void mark_used(uint32_t *id, uint32_t *is_used)
{
	is_used[*id] = true;
}

static void renumber(uint32_t *id, uint32_t *new_ids)
{
	*id = new_ids[*id];
}

static void compact_lines(struct profile *p)
{
	struct profile_line *lines;
	size_t used = 0, kept = 0;

	for (size_t i = 0; i < p->locations.count; i++)
		used += p->locations.items[i].line_count;
	lines = xcalloc(used, sizeof(*lines));
	for (size_t i = 0; i < p->locations.count; i++) {
		struct profile_location *location = &p->locations.items[i];
		const struct profile_line *from = p->lines.items + location->first_line;

		location->first_line = (uint32_t)kept;
		for (uint32_t n = 0; n < location->line_count; n++)
			lines[kept++] = from[n];
	}
	free(p->lines.items);
	p->lines.items = lines;
	p->lines.count = p->lines.capacity = kept;
}

static void compact_functions(struct profile *p)
{
	uint32_t *new_ids = xcalloc(p->functions.count + 1, sizeof(*new_ids));
	size_t kept = 0;

	for (size_t i = 0; i < p->lines.count; i++)
		mark_used(&p->lines.items[i].function_id, new_ids);
	for (size_t i = 0; i < p->functions.count; i++)
		if (new_ids[i + 1]) {
			p->functions.items[kept++] = p->functions.items[i];
			new_ids[i + 1] = (uint32_t)kept;
		}
	for (size_t i = 0; i < p->lines.count; i++)
		renumber(&p->lines.items[i].function_id, new_ids);
	p->functions.count = kept;
	free(new_ids);
}

static void compact_strings(struct profile *p)
{
	uint32_t *new_ids = xcalloc(p->strings.count, sizeof(*new_ids));
	size_t kept = 1; /* [0] is "" and stays */

	each_string_id(p, mark_used, new_ids);
	new_ids[0] = 0;
	for (size_t i = 1; i < p->strings.count; i++)
		if (new_ids[i]) {
			p->strings.items[kept] = p->strings.items[i];
			new_ids[i] = (uint32_t)kept++;
		} else {
			free(p->strings.items[i]);
		}
	each_string_id(p, renumber, new_ids);
	p->strings.count = kept;
	free(new_ids);
}

void profile_compact(struct profile *p)
{
	compact_lines(p);
	compact_functions(p);
	compact_strings(p);
	profile_reindex(p);
}

/* Drop the locations that no sample has, in order.  The caller renews the indexes. */
static void drop_locations(struct profile *p)
{
	uint32_t *new_ids = xcalloc(p->locations.count + 1, sizeof(*new_ids));
	size_t kept = 0;

	for (size_t i = 0; i < p->sample_locations.count; i++)
		mark_used(&p->sample_locations.items[i], new_ids);
	for (size_t i = 0; i < p->locations.count; i++)
		if (new_ids[i + 1]) {
			p->locations.items[kept++] = p->locations.items[i];
			new_ids[i + 1] = (uint32_t)kept;
		}
	for (size_t i = 0; i < p->sample_locations.count; i++)
		renumber(&p->sample_locations.items[i], new_ids);
	p->locations.count = kept;
	free(new_ids);
}

struct rank {
	uint64_t size; /* of the last value; a difference profile has negative ones */
	uint32_t sample;
};

static int by_size_then_order(const void *left, const void *right)
{
	const struct rank *a = left, *b = right;

	if (a->size != b->size)
		return a->size > b->size ? -1 : 1;
	return a->sample < b->sample ? -1 : a->sample > b->sample;
}

static struct rank *rank_samples(const struct profile *p)
{
	struct rank *ranks = xcalloc(p->samples.count, sizeof(*ranks));
	size_t type_count = p->sample_types.count;

	for (size_t i = 0; i < p->samples.count; i++) {
		const int64_t *values = p->values.items + p->samples.items[i].first_value;
		int64_t value = type_count ? values[type_count - 1] : 0;

		ranks[i].size = value < 0 ? -(uint64_t)value : (uint64_t)value;
		ranks[i].sample = (uint32_t)i;
	}
	qsort(ranks, p->samples.count, sizeof(*ranks), by_size_then_order);
	return ranks;
}

static void add_labels_of(
	struct profile *to, const struct profile *from, const struct profile_sample *sample)
{
	profile_add_sample(to, NULL, 0, NULL, from->labels.items + sample->first_label,
		sample->label_count);
}

/* How many of the largest samples stay, so that these and one for each label set of the
 * others are at most SAMPLE_MAX.  0: there are too many label sets. */
static size_t find_kept_count(
	const struct profile *p, const struct rank *ranks, size_t sample_max)
{
	struct profile *label_sets = profile_new(); /* a sample of no frames for each */
	size_t kept = p->samples.count;

	while (kept > 0 && kept + label_sets->samples.count > sample_max)
		add_labels_of(label_sets, p, &p->samples.items[ranks[--kept].sample]);
	if (label_sets->samples.count > sample_max / 2)
		kept = 0;
	profile_free(label_sets);
	return kept;
}

/* Take the samples out of P, leaving it none: they are the caller's to profile_free(). */
static struct profile *take_samples(struct profile *p)
{
	struct profile *taken = profile_new();

#define TAKE(member)                                                                            \
	(memcpy(&taken->member, &p->member, sizeof(p->member)),                                 \
		memset(&p->member, 0, sizeof(p->member)))
	TAKE(samples);
	TAKE(sample_locations);
	TAKE(values);
	TAKE(labels);
#undef TAKE
	table_free(&p->sample_index);
	return taken;
}

void profile_fold(struct profile *p, size_t sample_max)
{
	const size_t sample_count = p->samples.count;
	struct profile_line line = { .line = 0 };
	struct profile *all;
	struct rank *ranks;
	bool *is_kept;
	bool has_labels;
	uint32_t truncated;
	size_t kept;

	if (sample_count <= sample_max)
		return;
	ranks = rank_samples(p);
	kept = find_kept_count(p, ranks, sample_max);
	has_labels = kept > 0;
	if (!has_labels)
		kept = sample_max - 1;
	is_kept = xcalloc(sample_count, sizeof(*is_kept));
	for (size_t i = 0; i < kept; i++)
		is_kept[ranks[i].sample] = true;

	line.function_id = profile_add_function(p, TRUNCATED_FRAME, "", "", 0);
	truncated = profile_add_location(p, 0, 0, &line, 1);
	all = take_samples(p);
	for (size_t i = 0; i < sample_count; i++) {
		const struct profile_sample *sample = &all->samples.items[i];
		const uint32_t *stack = all->sample_locations.items + sample->first_location;

		profile_add_sample(p, is_kept[i] ? stack : &truncated,
			is_kept[i] ? sample->location_count : 1,
			all->values.items + sample->first_value,
			all->labels.items + sample->first_label,
			is_kept[i] || has_labels ? sample->label_count : 0);
	}
	drop_locations(p);
	profile_compact(p);
	profile_free(all);
	free(is_kept);
	free(ranks);
}
