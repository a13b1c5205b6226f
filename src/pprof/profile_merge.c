#define _GNU_SOURCE
#include "pprof/profile_merge.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/xalloc.h"

#define PAGE_SIZE 4096

struct profile_merge {
	struct profile *sum; /* NULL: nothing was added yet */
	struct table mapping_index, location_index;
};

/* What the ids of the profile that is being added are in the sum. */
struct source {
	const struct profile *p;
	uint32_t *strings; /* by id */
	uint32_t *mappings, *functions, *locations; /* by id; [0] is 0, none */
};

struct profile_merge *profile_merge_new(void)
{
	return xcalloc(1, sizeof(struct profile_merge));
}

const struct profile *profile_merge_sum(const struct profile_merge *m)
{
	return m->sum;
}

struct profile *profile_merge_take(struct profile_merge *m)
{
	struct profile *sum = m->sum ? m->sum : profile_new();

	m->sum = NULL;
	table_free(&m->mapping_index);
	table_free(&m->location_index);
	return sum;
}

void profile_merge_free(struct profile_merge *m)
{
	if (m)
		profile_free(profile_merge_take(m));
	free(m);
}

/* --- do they fit? --- */

static bool same_type(const struct profile *a, struct profile_value_type x,
	const struct profile *b, struct profile_value_type y)
{
	return strcmp(profile_string(a, x.type), profile_string(b, y.type)) == 0 &&
		strcmp(profile_string(a, x.unit), profile_string(b, y.unit)) == 0;
}

static bool same_sample_types(const struct profile *a, const struct profile *b)
{
	if (a->sample_types.count != b->sample_types.count)
		return false;
	for (size_t i = 0; i < a->sample_types.count; i++)
		if (!same_type(a, a->sample_types.items[i], b, b->sample_types.items[i]))
			return false;
	return true;
}

/* "samples/count, cpu/nanoseconds": the caller's to free(). */
static char *describe_types(
	const struct profile *p, const struct profile_value_type *types, size_t count)
{
	char *text = xstrdup(count ? "" : "none");

	for (size_t i = 0; i < count; i++) {
		char *longer = xasprintf("%s%s%.40s/%.40s", text, i ? ", " : "",
			profile_string(p, types[i].type), profile_string(p, types[i].unit));

		free(text);
		text = longer;
	}
	for (char *at = text; *at; at++)
		if (*at == '\n')
			*at = ' ';
	return text;
}

static int refuse(char **why, const char *what, char *its, char *others)
{
	*why = xasprintf("its %s %s, that of those before %s", what, its, others);
	free(its);
	free(others);
	return -EINVAL;
}

static int check_kind(const struct profile *sum, const struct profile *p, char **why)
{
	if (!same_sample_types(sum, p))
		return refuse(why, "kind of samples is",
			describe_types(p, p->sample_types.items, p->sample_types.count),
			describe_types(sum, sum->sample_types.items, sum->sample_types.count));
	if (!same_type(sum, sum->period_type, p, p->period_type))
		return refuse(why, "kind of period is", describe_types(p, &p->period_type, 1),
			describe_types(sum, &sum->period_type, 1));
	return 0;
}

/* --- mappings: one for each segment of a file, two if only some profiles have its names --- */

static uint64_t size_of(const struct profile_mapping *m)
{
	return (m->limit - m->start + PAGE_SIZE - 1) & ~(uint64_t)(PAGE_SIZE - 1);
}

static bool mapping_equal(const void *context, size_t index, const void *key)
{
	const struct profile *p = context;
	const struct profile_mapping *have = &p->mappings.items[index], *wanted = key;

	return have->build_id == wanted->build_id && size_of(have) == size_of(wanted) &&
		have->file_offset == wanted->file_offset &&
		have->has_functions == wanted->has_functions &&
		(have->build_id || (have->filename == wanted->filename &&
					   have->content_id == wanted->content_id));
}

static uint64_t mapping_hash(const struct profile_mapping *m)
{
	uint64_t hash = hash_add(m->build_id, m->build_id ? 0 : m->filename);

	return hash_mix(hash_add(hash_add(hash, size_of(m)), m->file_offset));
}

static uint32_t add_mapping(
	struct profile_merge *m, const struct source *from, const struct profile_mapping *mapping)
{
	struct profile_mapping wanted = *mapping;
	struct profile_mapping *have;
	size_t index;

	wanted.filename = from->strings[mapping->filename];
	wanted.build_id = from->strings[mapping->build_id];
	if (!table_find(&m->mapping_index, mapping_hash(&wanted), mapping_equal, m->sum, &wanted,
		    &index)) {
		index = m->sum->mappings.count;
		table_insert(&m->mapping_index, mapping_hash(&wanted), index);
		return profile_add_mapping(m->sum, &wanted);
	}
	have = &m->sum->mappings.items[index];
	have->has_filenames &= wanted.has_filenames;
	have->has_line_numbers &= wanted.has_line_numbers;
	have->has_inline_frames &= wanted.has_inline_frames;
	return (uint32_t)index + 1;
}

/* --- locations: equal when what they show is, too --- */

struct location_key {
	struct profile_location location;
	const struct profile_line *lines;
};

static bool location_equal(const void *context, size_t index, const void *key)
{
	const struct profile *p = context;
	const struct profile_location *have = &p->locations.items[index];
	const struct profile_line *lines = p->lines.items + have->first_line;
	const struct location_key *wanted = key;

	if (have->mapping_id != wanted->location.mapping_id ||
		have->address != wanted->location.address ||
		have->line_count != wanted->location.line_count ||
		have->is_folded != wanted->location.is_folded)
		return false;
	for (uint32_t i = 0; i < have->line_count; i++)
		if (lines[i].function_id != wanted->lines[i].function_id ||
			lines[i].line != wanted->lines[i].line ||
			lines[i].column != wanted->lines[i].column)
			return false;
	return true;
}

static uint64_t location_hash(const struct location_key *key)
{
	uint64_t hash = hash_add(key->location.mapping_id, key->location.address);

	for (uint32_t i = 0; i < key->location.line_count; i++) {
		hash = hash_add(hash, key->lines[i].function_id);
		hash = hash_add(hash, (uint64_t)key->lines[i].line);
		hash = hash_add(hash, (uint64_t)key->lines[i].column);
	}
	return hash_mix(hash);
}

static uint32_t find_or_add_location(struct profile_merge *m, const struct location_key *key)
{
	const uint64_t hash = location_hash(key);
	size_t index;
	uint32_t id;

	if (table_find(&m->location_index, hash, location_equal, m->sum, key, &index))
		return (uint32_t)index + 1;
	id = profile_append_location(m->sum, key->location.mapping_id, key->location.address,
		key->lines, key->location.line_count);
	m->sum->locations.items[id - 1].is_folded = key->location.is_folded;
	table_insert(&m->location_index, hash, id - 1);
	return id;
}

static uint32_t add_location(
	struct profile_merge *m, const struct source *from, const struct profile_location *location)
{
	struct profile_line *lines = xcalloc(location->line_count, sizeof(*lines));
	struct location_key key = { .location = *location, .lines = lines };
	const uint32_t mapping_id = from->mappings[location->mapping_id];
	uint32_t id;

	key.location.mapping_id = mapping_id;
	if (mapping_id) /* to where the first of the profiles had that file */
		key.location.address += m->sum->mappings.items[mapping_id - 1].start -
			from->p->mappings.items[location->mapping_id - 1].start;
	for (uint32_t i = 0; i < location->line_count; i++) {
		lines[i] = from->p->lines.items[location->first_line + i];
		lines[i].function_id = from->functions[lines[i].function_id];
	}
	id = find_or_add_location(m, &key);
	free(lines);
	return id;
}

/* --- all of it --- */

static void source_open(struct source *from, struct profile_merge *m, const struct profile *p)
{
	*from = (struct source){
		.p = p,
		.strings = xcalloc(p->strings.count, sizeof(uint32_t)),
		.mappings = xcalloc(p->mappings.count + 1, sizeof(uint32_t)),
		.functions = xcalloc(p->functions.count + 1, sizeof(uint32_t)),
		.locations = xcalloc(p->locations.count + 1, sizeof(uint32_t)),
	};
	for (size_t i = 0; i < p->strings.count; i++)
		from->strings[i] = profile_intern(m->sum, p->strings.items[i]);
	for (size_t i = 0; i < p->mappings.count; i++)
		from->mappings[i + 1] = add_mapping(m, from, &p->mappings.items[i]);
	for (size_t i = 0; i < p->functions.count; i++) {
		const struct profile_function *f = &p->functions.items[i];

		from->functions[i + 1] = profile_add_function(m->sum,
			profile_string(p, f->name), profile_string(p, f->system_name),
			profile_string(p, f->filename), f->start_line);
	}
	for (size_t i = 0; i < p->locations.count; i++)
		from->locations[i + 1] = add_location(m, from, &p->locations.items[i]);
}

static void source_close(struct source *from)
{
	free(from->strings);
	free(from->mappings);
	free(from->functions);
	free(from->locations);
}

static void add_samples(struct profile *sum, const struct source *from, const char *origin)
{
	const struct profile *p = from->p;
	VEC(uint32_t) stack = { .count = 0 };
	VEC(struct profile_label) labels = { .count = 0 };
	struct profile_label of_origin = { .key = profile_intern(sum, PROFILE_MERGE_LABEL) };

	of_origin.str = profile_intern(sum, origin);
	for (size_t i = 0; i < p->samples.count; i++) {
		const struct profile_sample *s = &p->samples.items[i];

		stack.count = labels.count = 0;
		if (origin)
			*VEC_PUSH(&labels) = of_origin;
		for (uint32_t n = 0; n < s->location_count; n++)
			*VEC_PUSH(&stack) =
				from->locations[p->sample_locations.items[s->first_location + n]];
		for (uint32_t n = 0; n < s->label_count; n++) {
			struct profile_label *label = VEC_PUSH(&labels);

			*label = p->labels.items[s->first_label + n];
			label->key = from->strings[label->key];
			label->str = from->strings[label->str];
			label->num_unit = from->strings[label->num_unit];
		}
		profile_add_sample(sum, stack.items, stack.count,
			p->values.items + s->first_value, labels.items, labels.count);
	}
	VEC_FREE(&stack);
	VEC_FREE(&labels);
}

static void add_comments(struct profile *sum, const struct source *from)
{
	bool *is_there = xcalloc(sum->strings.count, sizeof(*is_there)); /* by string id */

	for (size_t i = 0; i < sum->comments.count; i++)
		is_there[sum->comments.items[i]] = true;
	for (size_t i = 0; i < from->p->comments.count; i++) {
		const uint32_t id = from->strings[from->p->comments.items[i]];

		if (!is_there[id])
			*VEC_PUSH(&sum->comments) = id;
		is_there[id] = true;
	}
	free(is_there);
}

/* The first that has any. */
static void inherit(uint32_t *string, const struct source *from, uint32_t its)
{
	if (*string == 0)
		*string = from->strings[its];
}

static void add_header(struct profile *sum, const struct source *from)
{
	const struct profile *p = from->p;

	if (p->time_ns && (sum->time_ns == 0 || p->time_ns < sum->time_ns))
		sum->time_ns = p->time_ns;
	sum->duration_ns = (int64_t)((uint64_t)sum->duration_ns + (uint64_t)p->duration_ns);
	if (p->period > sum->period)
		sum->period = p->period;
	inherit(&sum->default_sample_type, from, p->default_sample_type);
	inherit(&sum->doc_url, from, p->doc_url);
	add_comments(sum, from);
}

/* The kind of samples, which those that follow must have, and what pprof takes of the first. */
static void begin_sum(struct profile_merge *m, const struct profile *p)
{
	struct profile *sum = profile_new();

	for (size_t i = 0; i < p->sample_types.count; i++)
		profile_add_sample_type(sum, profile_string(p, p->sample_types.items[i].type),
			profile_string(p, p->sample_types.items[i].unit));
	sum->period_type.type = profile_intern(sum, profile_string(p, p->period_type.type));
	sum->period_type.unit = profile_intern(sum, profile_string(p, p->period_type.unit));
	sum->drop_frames = profile_intern(sum, profile_string(p, p->drop_frames));
	sum->keep_frames = profile_intern(sum, profile_string(p, p->keep_frames));
	m->sum = sum;
}

int profile_merge_add(
	struct profile_merge *m, const struct profile *p, const char *origin, char **why)
{
	struct source from;
	int r = m->sum ? check_kind(m->sum, p, why) : 0;

	if (r)
		return r;
	if (!m->sum)
		begin_sum(m, p);
	source_open(&from, m, p);
	add_samples(m->sum, &from, origin);
	add_header(m->sum, &from);
	source_close(&from);
	return 0;
}
