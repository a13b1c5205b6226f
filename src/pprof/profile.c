#include "pprof/profile.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/xalloc.h"
#include "pprof/utf8.h"

/* Append COUNT items to a VEC; a C array cannot be pushed item by item any shorter. */
#define APPEND(vec, source, added)                                                              \
	do {                                                                                    \
		size_t added_ = (added);                                                        \
                                                                                                \
		(vec)->items = vec_grow((vec)->items, &(vec)->capacity, (vec)->count, added_,   \
			sizeof(*(vec)->items));                                                 \
		if (added_)                                                                     \
			memcpy((vec)->items + (vec)->count, (source),                           \
				added_ * sizeof(*(vec)->items));                                \
		(vec)->count += added_;                                                         \
	} while (0)

/* What a location or sample is looked up by, before it is in the tables. */
struct location_key {
	uint32_t mapping_id;
	uint64_t address;
	const struct profile_line *lines;
	size_t line_count;
};

struct sample_key {
	const uint32_t *location_ids;
	size_t location_count;
	const struct profile_label *labels;
	size_t label_count;
};

struct profile *profile_new(void)
{
	struct profile *p = xcalloc(1, sizeof(*p));

	profile_intern(p, "");
	return p;
}

void profile_free(struct profile *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->strings.count; i++)
		free(p->strings.items[i]);
	VEC_FREE(&p->sample_types);
	VEC_FREE(&p->samples);
	VEC_FREE(&p->mappings);
	VEC_FREE(&p->locations);
	VEC_FREE(&p->functions);
	VEC_FREE(&p->lines);
	VEC_FREE(&p->sample_locations);
	VEC_FREE(&p->values);
	VEC_FREE(&p->labels);
	VEC_FREE(&p->strings);
	VEC_FREE(&p->comments);
	table_free(&p->string_index);
	table_free(&p->function_index);
	table_free(&p->location_index);
	table_free(&p->sample_index);
	free(p);
}

struct profile *profile_clone(const struct profile *p)
{
	struct profile *copy = xcalloc(1, sizeof(*copy));

	APPEND(&copy->sample_types, p->sample_types.items, p->sample_types.count);
	APPEND(&copy->samples, p->samples.items, p->samples.count);
	APPEND(&copy->mappings, p->mappings.items, p->mappings.count);
	APPEND(&copy->locations, p->locations.items, p->locations.count);
	APPEND(&copy->functions, p->functions.items, p->functions.count);
	APPEND(&copy->lines, p->lines.items, p->lines.count);
	APPEND(&copy->sample_locations, p->sample_locations.items, p->sample_locations.count);
	APPEND(&copy->values, p->values.items, p->values.count);
	APPEND(&copy->labels, p->labels.items, p->labels.count);
	APPEND(&copy->strings, p->strings.items, p->strings.count);
	APPEND(&copy->comments, p->comments.items, p->comments.count);
	for (size_t i = 0; i < copy->strings.count; i++)
		copy->strings.items[i] = xstrdup(p->strings.items[i]);
	copy->drop_frames = p->drop_frames;
	copy->keep_frames = p->keep_frames;
	copy->default_sample_type = p->default_sample_type;
	copy->doc_url = p->doc_url;
	copy->time_ns = p->time_ns;
	copy->duration_ns = p->duration_ns;
	copy->period_type = p->period_type;
	copy->period = p->period;
	profile_reindex(copy);
	return copy;
}

static bool string_equal(const void *context, size_t index, const void *key)
{
	const struct profile *p = context;

	return strcmp(p->strings.items[index], key) == 0;
}

static uint64_t string_hash(const char *text)
{
	return hash_bytes(text, strlen(text));
}

uint32_t profile_intern(struct profile *p, const char *text)
{
	const char *wanted = text ? text : "";
	char *repaired = utf8_repair(wanted);
	uint64_t hash;
	size_t index;

	if (repaired)
		wanted = repaired;
	hash = string_hash(wanted);
	if (!table_find(&p->string_index, hash, string_equal, p, wanted, &index)) {
		index = p->strings.count;
		*VEC_PUSH(&p->strings) = xstrdup(wanted);
		table_insert(&p->string_index, hash, index);
	}
	free(repaired);
	return (uint32_t)index;
}

const char *profile_string(const struct profile *p, uint32_t id)
{
	return p->strings.items[id];
}

const char *profile_label_text(
	const struct profile *p, const struct profile_sample *s, const char *key)
{
	for (uint32_t i = 0; i < s->label_count; i++) {
		const struct profile_label *label = &p->labels.items[s->first_label + i];

		if (label->str && strcmp(profile_string(p, label->key), key) == 0)
			return profile_string(p, label->str);
	}
	return NULL;
}

void profile_add_sample_type(struct profile *p, const char *type, const char *unit)
{
	struct profile_value_type added = { .type = profile_intern(p, type) };

	added.unit = profile_intern(p, unit);
	*VEC_PUSH(&p->sample_types) = added;
}

void profile_add_comment(struct profile *p, const char *text)
{
	uint32_t id = profile_intern(p, text);

	*VEC_PUSH(&p->comments) = id;
}

uint32_t profile_add_mapping(struct profile *p, const struct profile_mapping *mapping)
{
	*VEC_PUSH(&p->mappings) = *mapping;
	return (uint32_t)p->mappings.count;
}

static bool function_equal(const void *context, size_t index, const void *key)
{
	const struct profile *p = context;
	const struct profile_function *have = &p->functions.items[index];
	const struct profile_function *wanted = key;

	return have->name == wanted->name && have->system_name == wanted->system_name &&
	       have->filename == wanted->filename && have->start_line == wanted->start_line;
}

static uint64_t function_hash(const struct profile_function *f)
{
	uint64_t hash = hash_add(f->name, f->system_name);

	return hash_mix(hash_add(hash_add(hash, f->filename), (uint64_t)f->start_line));
}

uint32_t profile_add_function(struct profile *p, const char *name, const char *system_name,
	const char *filename, int64_t start_line)
{
	const struct profile_function wanted = {
		.name = profile_intern(p, name),
		.system_name = profile_intern(p, system_name),
		.filename = profile_intern(p, filename),
		.start_line = start_line,
	};
	uint64_t hash = function_hash(&wanted);
	size_t index;

	if (!table_find(&p->function_index, hash, function_equal, p, &wanted, &index)) {
		index = p->functions.count;
		*VEC_PUSH(&p->functions) = wanted;
		table_insert(&p->function_index, hash, index);
	}
	return (uint32_t)index + 1;
}

static bool lines_equal(
	const struct profile_line *a, const struct profile_line *b, size_t line_count)
{
	for (size_t i = 0; i < line_count; i++)
		if (a[i].function_id != b[i].function_id || a[i].line != b[i].line ||
			a[i].column != b[i].column)
			return false;
	return true;
}

static bool location_equal(const void *context, size_t index, const void *key)
{
	const struct profile *p = context;
	const struct profile_location *have = &p->locations.items[index];
	const struct location_key *wanted = key;

	if (have->mapping_id != wanted->mapping_id || have->address != wanted->address)
		return false;
	return wanted->mapping_id || (have->line_count == wanted->line_count &&
			lines_equal(p->lines.items + have->first_line, wanted->lines,
				wanted->line_count));
}

static uint64_t location_hash(const struct location_key *key)
{
	uint64_t hash = hash_add(key->mapping_id, key->address);

	for (size_t i = 0; key->mapping_id == 0 && i < key->line_count; i++) {
		hash = hash_add(hash, key->lines[i].function_id);
		hash = hash_add(hash, (uint64_t)key->lines[i].line);
		hash = hash_add(hash, (uint64_t)key->lines[i].column);
	}
	return hash_mix(hash);
}

/* Let the location at INDEX be found, unless an equal one already is: many equal ones would
 * make every look-up slow. */
static void index_location(struct profile *p, size_t index)
{
	const struct profile_location *location = &p->locations.items[index];
	const struct location_key key = { location->mapping_id, location->address,
		p->lines.items + location->first_line, location->line_count };
	uint64_t hash = location_hash(&key);
	size_t found;

	if (!table_find(&p->location_index, hash, location_equal, p, &key, &found))
		table_insert(&p->location_index, hash, index);
}

uint32_t profile_append_location(struct profile *p, uint32_t mapping_id, uint64_t address,
	const struct profile_line *lines, size_t line_count)
{
	const struct profile_location added = {
		.mapping_id = mapping_id,
		.address = address,
		.first_line = (uint32_t)p->lines.count,
		.line_count = (uint32_t)line_count,
	};

	APPEND(&p->lines, lines, line_count);
	*VEC_PUSH(&p->locations) = added;
	index_location(p, p->locations.count - 1);
	return (uint32_t)p->locations.count;
}

uint32_t profile_add_location(struct profile *p, uint32_t mapping_id, uint64_t address,
	const struct profile_line *lines, size_t line_count)
{
	const struct location_key key = { mapping_id, address, lines, line_count };
	size_t index;

	if (table_find(&p->location_index, location_hash(&key), location_equal, p, &key, &index))
		return (uint32_t)index + 1;
	return profile_append_location(p, mapping_id, address, lines, line_count);
}

void profile_set_lines(struct profile *p, uint32_t location_id,
	const struct profile_line *lines, size_t line_count)
{
	struct profile_location *location = &p->locations.items[location_id - 1];

	location->first_line = (uint32_t)p->lines.count;
	location->line_count = (uint32_t)line_count;
	APPEND(&p->lines, lines, line_count);
	if (location->mapping_id == 0) /* its lines are what it is found by */
		index_location(p, location_id - 1);
}

static bool sample_equal(const void *context, size_t index, const void *key)
{
	const struct profile *p = context;
	const struct profile_sample *have = &p->samples.items[index];
	const struct profile_label *labels = p->labels.items + have->first_label;
	const struct sample_key *wanted = key;

	if (have->location_count != wanted->location_count ||
		have->label_count != wanted->label_count)
		return false;
	for (size_t i = 0; i < wanted->location_count; i++)
		if (p->sample_locations.items[have->first_location + i] !=
			wanted->location_ids[i])
			return false;
	for (size_t i = 0; i < wanted->label_count; i++)
		if (labels[i].key != wanted->labels[i].key ||
			labels[i].str != wanted->labels[i].str ||
			labels[i].num != wanted->labels[i].num ||
			labels[i].num_unit != wanted->labels[i].num_unit)
			return false;
	return true;
}

static uint64_t sample_hash(const struct sample_key *key)
{
	uint64_t hash = hash_add(key->location_count, key->label_count);

	for (size_t i = 0; i < key->location_count; i++)
		hash = hash_add(hash, key->location_ids[i]);
	for (size_t i = 0; i < key->label_count; i++) {
		hash = hash_add(hash, key->labels[i].key);
		hash = hash_add(hash, key->labels[i].str);
		hash = hash_add(hash, (uint64_t)key->labels[i].num);
		hash = hash_add(hash, key->labels[i].num_unit);
	}
	return hash_mix(hash);
}

/* Wraps, as Go's readers do: a file may hold any numbers. */
static void add_values(int64_t *sums, const int64_t *values, size_t count)
{
	for (size_t i = 0; i < count; i++)
		sums[i] = (int64_t)((uint64_t)sums[i] + (uint64_t)values[i]);
}

void profile_add_sample(struct profile *p, const uint32_t *location_ids, size_t location_count,
	const int64_t *values, const struct profile_label *labels, size_t label_count)
{
	const struct sample_key key = { location_ids, location_count, labels, label_count };
	const struct profile_sample added = {
		.first_location = (uint32_t)p->sample_locations.count,
		.location_count = (uint32_t)location_count,
		.first_value = (uint32_t)p->values.count,
		.first_label = (uint32_t)p->labels.count,
		.label_count = (uint32_t)label_count,
	};
	uint64_t hash = sample_hash(&key);
	size_t index;

	if (table_find(&p->sample_index, hash, sample_equal, p, &key, &index)) {
		add_values(p->values.items + p->samples.items[index].first_value, values,
			p->sample_types.count);
		return;
	}
	APPEND(&p->sample_locations, location_ids, location_count);
	APPEND(&p->values, values, p->sample_types.count);
	APPEND(&p->labels, labels, label_count);
	*VEC_PUSH(&p->samples) = added;
	table_insert(&p->sample_index, hash, p->samples.count - 1);
}

void profile_reindex(struct profile *p)
{
	table_free(&p->string_index);
	table_free(&p->function_index);
	table_free(&p->location_index);
	table_free(&p->sample_index);
	for (size_t i = 0; i < p->strings.count; i++)
		table_insert(&p->string_index, string_hash(p->strings.items[i]), i);
	for (size_t i = 0; i < p->functions.count; i++)
		table_insert(&p->function_index, function_hash(&p->functions.items[i]), i);
	for (size_t i = 0; i < p->locations.count; i++)
		index_location(p, i);
	for (size_t i = 0; i < p->samples.count; i++) {
		const struct profile_sample *sample = &p->samples.items[i];
		const struct sample_key key = {
			p->sample_locations.items + sample->first_location,
			sample->location_count,
			p->labels.items + sample->first_label,
			sample->label_count,
		};

		table_insert(&p->sample_index, sample_hash(&key), i);
	}
}
