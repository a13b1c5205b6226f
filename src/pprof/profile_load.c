/*
 * Reading a profile that anything may have written.  What go tool pprof refuses is refused,
 * with the record named; what it takes is taken.  Nothing in the bytes is believed.
 */
#define _GNU_SOURCE
#include "pprof/profile_io.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/xalloc.h"
#include "pprof/profile_legacy.h"
#include "pprof/profile_message.h"

/* The file's ids of one kind of record, which may be any numbers, to ours. */
struct id_map {
	VEC(struct id_pair {
		uint64_t file_id;
		uint32_t id;
	}) pairs;
};

struct loader {
	const Perftools__Profiles__Profile *in;
	struct profile *out;
	uint32_t *string_ids; /* by index in the file's string table */
	struct id_map mappings, functions, locations;
	char *why; /* the first thing that was wrong */
};

static bool PRINTF_LIKE(2, 3) refuse(struct loader *l, const char *format, ...)
{
	va_list arguments;

	if (l->why)
		return false;
	va_start(arguments, format);
	if (vasprintf(&l->why, format, arguments) < 0)
		l->why = xstrdup("refused"); /* no memory for the reason */
	va_end(arguments);
	return false;
}

static int by_file_id(const void *left, const void *right)
{
	const struct id_pair *a = left, *b = right;

	return a->file_id < b->file_id ? -1 : a->file_id > b->file_id;
}

static void map_add(struct id_map *m, uint64_t file_id, uint32_t id)
{
	*VEC_PUSH(&m->pairs) = (struct id_pair){ .file_id = file_id, .id = id };
}

/* All are added: from now on they can be found. */
static bool map_finish(struct loader *l, struct id_map *m, const char *kind)
{
	struct id_pair *pairs = m->pairs.items;

	if (m->pairs.count == 0)
		return true;
	qsort(pairs, m->pairs.count, sizeof(*pairs), by_file_id);
	if (pairs[0].file_id == 0)
		return refuse(l, "%s %" PRIu32 " has the reserved id 0", kind, pairs[0].id);
	for (size_t i = 1; i < m->pairs.count; i++)
		if (pairs[i].file_id == pairs[i - 1].file_id)
			return refuse(
				l, "more than one %s has id %" PRIu64, kind, pairs[i].file_id);
	return true;
}

/* Our id, or 0: there is none. */
static uint32_t map_find(const struct id_map *m, uint64_t file_id)
{
	const struct id_pair key = { .file_id = file_id };
	const struct id_pair *pairs = m->pairs.items;
	const struct id_pair *found;

	if (file_id == 0 || m->pairs.count == 0)
		return 0;
	if (file_id <= m->pairs.count && pairs[file_id - 1].file_id == file_id)
		return pairs[file_id - 1].id; /* dense, as most files are */
	found = bsearch(&key, pairs, m->pairs.count, sizeof(*pairs), by_file_id);
	return found ? found->id : 0;
}

/* *RET becomes our id of string INDEX, the FIELD of the NUMBER-th record of its KIND. */
static bool load_string(struct loader *l, int64_t index, uint32_t *ret, const char *kind,
	size_t number, const char *field)
{
	if (index < 0 || (uint64_t)index >= l->in->n_string_table)
		return refuse(l, "%s %zu: its %s is string %" PRId64 ", and there are %zu", kind,
			number, field, index, l->in->n_string_table);
	*ret = l->string_ids[index];
	return true;
}

static bool load_strings(struct loader *l)
{
	char *const *strings = l->in->string_table;

	if (l->in->n_string_table == 0)
		return refuse(l, "not a pprof profile: it has no string table");
	if (strings[0][0])
		return refuse(l, "string_table[0] is not empty");
	l->string_ids = xcalloc(l->in->n_string_table, sizeof(*l->string_ids));
	for (size_t i = 0; i < l->in->n_string_table; i++)
		l->string_ids[i] = profile_intern(l->out, strings[i]);
	return true;
}

static bool load_value_type(struct loader *l, const Perftools__Profiles__ValueType *in,
	struct profile_value_type *ret, const char *kind, size_t number)
{
	return load_string(l, in->type, &ret->type, kind, number, "type") &&
	       load_string(l, in->unit, &ret->unit, kind, number, "unit");
}

static bool load_sample_types(struct loader *l)
{
	for (size_t i = 0; i < l->in->n_sample_type; i++)
		if (!load_value_type(l, l->in->sample_type[i], VEC_PUSH(&l->out->sample_types),
			    "sample type", i + 1))
			return false;
	if (l->in->n_sample_type > 0)
		return true;
	if (l->in->n_sample > 0)
		return refuse(l, "there are samples but no sample types");
	return refuse(l, "it has neither sample types nor samples");
}

static bool load_mappings(struct loader *l)
{
	for (size_t i = 0; i < l->in->n_mapping; i++) {
		const Perftools__Profiles__Mapping *in = l->in->mapping[i];
		struct profile_mapping mapping = {
			.start = in->memory_start,
			.limit = in->memory_limit,
			.file_offset = in->file_offset,
			.has_functions = in->has_functions,
			.has_filenames = in->has_filenames,
			.has_line_numbers = in->has_line_numbers,
			.has_inline_frames = in->has_inline_frames,
		};

		if (!load_string(l, in->filename, &mapping.filename, "mapping", i + 1,
			    "filename") ||
			!load_string(l, in->build_id, &mapping.build_id, "mapping", i + 1,
				"build_id"))
			return false;
		map_add(&l->mappings, in->id, profile_add_mapping(l->out, &mapping));
	}
	return map_finish(l, &l->mappings, "mapping");
}

static bool load_functions(struct loader *l)
{
	for (size_t i = 0; i < l->in->n_function; i++) {
		const Perftools__Profiles__Function *in = l->in->function[i];
		struct profile_function function = { .start_line = in->start_line };
		uint32_t id;

		if (!load_string(l, in->name, &function.name, "function", i + 1, "name") ||
			!load_string(l, in->system_name, &function.system_name, "function",
				i + 1, "system_name") ||
			!load_string(l, in->filename, &function.filename, "function", i + 1,
				"filename"))
			return false;
		id = profile_add_function(l->out, profile_string(l->out, function.name),
			profile_string(l->out, function.system_name),
			profile_string(l->out, function.filename), function.start_line);
		map_add(&l->functions, in->id, id);
	}
	return map_finish(l, &l->functions, "function");
}

static bool load_locations(struct loader *l)
{
	VEC(struct profile_line) lines = { .count = 0 };
	bool ok = true;

	for (size_t i = 0; ok && i < l->in->n_location; i++) {
		const Perftools__Profiles__Location *in = l->in->location[i];
		uint32_t id;

		lines.count = 0;
		for (size_t n = 0; ok && n < in->n_line; n++) {
			const struct profile_line line = {
				.function_id = map_find(&l->functions, in->line[n]->function_id),
				.line = in->line[n]->line,
				.column = in->line[n]->column,
			};

			if (!line.function_id)
				ok = refuse(l, "location %zu: no function has id %" PRIu64, i + 1,
					in->line[n]->function_id);
			*VEC_PUSH(&lines) = line;
		}
		/* A mapping that is not there is no mapping: pprof takes that. */
		id = profile_append_location(l->out, map_find(&l->mappings, in->mapping_id),
			in->address, lines.items, lines.count);
		l->out->locations.items[id - 1].is_folded = in->is_folded;
		map_add(&l->locations, in->id, id);
	}
	VEC_FREE(&lines);
	return ok && map_finish(l, &l->locations, "location");
}

/* As pprof reads one: a text, else a number with a unit; what a text has besides is nothing. */
static bool load_label(struct loader *l, const Perftools__Profiles__Label *in,
	struct profile_label *ret, size_t sample_number)
{
	if (!load_string(l, in->key, &ret->key, "sample", sample_number, "label's key"))
		return false;
	if (in->str)
		return load_string(
			l, in->str, &ret->str, "sample", sample_number, "label's text");
	ret->num = in->num;
	return load_string(l, in->num_unit, &ret->num_unit, "sample", sample_number,
		"label's unit");
}

struct sample_parts {
	VEC(uint32_t) location_ids;
	VEC(struct profile_label) labels;
};

static bool load_sample(struct loader *l, const Perftools__Profiles__Sample *in, size_t number,
	struct sample_parts *parts)
{
	parts->location_ids.count = parts->labels.count = 0;
	if (in->n_value != l->in->n_sample_type)
		return refuse(l, "sample %zu: it has %zu values, and there are %zu sample types",
			number, in->n_value, l->in->n_sample_type);
	for (size_t i = 0; i < in->n_location_id; i++) {
		uint32_t id = map_find(&l->locations, in->location_id[i]);

		if (!id)
			return refuse(l, "sample %zu: no location has id %" PRIu64, number,
				in->location_id[i]);
		*VEC_PUSH(&parts->location_ids) = id;
	}
	for (size_t i = 0; i < in->n_label; i++)
		if (!load_label(l, in->label[i], VEC_PUSH(&parts->labels), number))
			return false;
	profile_add_sample(l->out, parts->location_ids.items, parts->location_ids.count,
		in->value, parts->labels.items, parts->labels.count);
	return true;
}

static bool load_samples(struct loader *l)
{
	struct sample_parts parts = { .location_ids = { .count = 0 } };
	bool ok = true;

	for (size_t i = 0; ok && i < l->in->n_sample; i++)
		ok = load_sample(l, l->in->sample[i], i + 1, &parts);
	VEC_FREE(&parts.location_ids);
	VEC_FREE(&parts.labels);
	return ok;
}

static bool load_comments(struct loader *l)
{
	for (size_t i = 0; i < l->in->n_comment; i++)
		if (!load_string(l, l->in->comment[i], VEC_PUSH(&l->out->comments), "comment",
			    i + 1, "text"))
			return false;
	return true;
}

static bool load_header(struct loader *l)
{
	const Perftools__Profiles__Profile *in = l->in;
	struct profile *out = l->out;

	out->time_ns = in->time_nanos;
	out->duration_ns = in->duration_nanos;
	out->period = in->period;
	if (in->period_type &&
		!load_value_type(l, in->period_type, &out->period_type, "period_type", 1))
		return false;
	return load_string(l, in->drop_frames, &out->drop_frames, "profile", 1, "drop_frames") &&
	       load_string(l, in->keep_frames, &out->keep_frames, "profile", 1, "keep_frames") &&
	       load_string(l, in->default_sample_type, &out->default_sample_type, "profile", 1,
		       "default_sample_type") &&
	       load_string(l, in->doc_url, &out->doc_url, "profile", 1, "doc_url");
}

static int load_message(
	const Perftools__Profiles__Profile *message, struct profile **ret, char **why)
{
	struct loader l = { .in = message, .out = profile_new() };
	bool ok = load_strings(&l) && load_header(&l) && load_sample_types(&l) &&
		  load_mappings(&l) && load_functions(&l) && load_locations(&l) &&
		  load_samples(&l) && load_comments(&l);

	if (ok)
		*ret = l.out;
	else
		profile_free(l.out);
	*why = l.why;
	free(l.string_ids);
	VEC_FREE(&l.mappings.pairs);
	VEC_FREE(&l.functions.pairs);
	VEC_FREE(&l.locations.pairs);
	return ok ? 0 : -EBADMSG;
}

int profile_load(const uint8_t *data, size_t size, struct profile **ret, char **why)
{
	struct profile_message message;
	char *reason = NULL;
	int r;

	if (profile_is_legacy(data, size)) {
		r = profile_load_legacy(data, size, ret, &reason);
	} else if ((r = profile_message_open(data, size, &message, &reason)) == 0) {
		r = load_message(message.profile, ret, &reason);
		profile_message_close(&message);
	}
	if (why && reason)
		*why = reason;
	else
		free(reason);
	return r;
}
