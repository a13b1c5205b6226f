#define _GNU_SOURCE
#include "pprof/profile_check.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/vec.h"
#include "pprof/profile_legacy.h"
#include "pprof/profile_message.h"
#include "pprof/utf8.h"

#define SHOWN_MAX 5 /* findings of one rule */
/* What Pyroscope takes unless told otherwise. */
#define SAMPLES_MAX 16000
#define LABELS_MAX 100
#define DEPTH_MAX 1000
#define SIZE_MAX_BYTES (4u << 20)

typedef Perftools__Profiles__Profile Message;

/* The rules, each with what comes of breaking it. */
enum rule {
	RULE_BYTES, RULE_STRINGS, RULE_STRING_INDEX, RULE_NO_TYPES, RULE_VALUES, RULE_NO_LOCATION,
	RULE_ID_0, RULE_SAME_ID, RULE_NO_FUNCTION, RULE_NO_MAPPING, RULE_OUTSIDE, RULE_EMPTY_STACK,
	RULE_NO_SAMPLES, RULE_LABEL_TWICE, RULE_LABEL_BOTH, RULE_SPARSE_IDS, RULE_UTF8,
	RULE_MANY_SAMPLES, RULE_MANY_LABELS, RULE_DEEP, RULE_LARGE, RULE_TYPE_DASH, RULE_NO_TIME,
	RULE_NO_DURATION, RULE_NO_PERIOD, RULE_DEFAULT_TYPE, RULE_DELETED, RULE_BUILD_ID,
	RULE_NOT_NAMED, RULE_EMPTY_MAPPING, RULE_LIBRARY_FIRST, RULE_NOT_GZIPPED, RULE_NAMELESS,
	RULE_DOC_URL, RULE_LEGACY,
	RULES
};

static const struct {
	enum finding_kind kind;
	const char *text;
} rules[RULES] = {
	[RULE_BYTES] = { FINDING_ERROR, "cannot be read: %s" },
	[RULE_STRINGS] = { FINDING_ERROR, "string_table[0] is not the empty string" },
	[RULE_STRING_INDEX] = { FINDING_ERROR, "its %s is a string that is not in the table" },
	[RULE_NO_TYPES] = { FINDING_ERROR, "there are no sample types" },
	[RULE_VALUES] = { FINDING_ERROR, "it has %s values than there are sample types" },
	[RULE_NO_LOCATION] = { FINDING_ERROR, "it names a location that is not there" },
	[RULE_ID_0] = { FINDING_ERROR, "it has the reserved id 0" },
	[RULE_SAME_ID] = { FINDING_ERROR, "another one before it has the same id" },
	[RULE_NO_FUNCTION] = { FINDING_ERROR, "a line of it names a function that is not there" },
	[RULE_NO_MAPPING] = { FINDING_WARNING,
		"it names a mapping that is not there: pprof shows <unknown>" },
	[RULE_OUTSIDE] = { FINDING_WARNING,
		"its address is outside its mapping: pprof cannot find its name" },
	[RULE_EMPTY_STACK] = { FINDING_WARNING,
		"it has no locations: counted in the total, and shown nowhere" },
	[RULE_NO_SAMPLES] = { FINDING_WARNING, "there are no samples" },
	[RULE_LABEL_TWICE] = { FINDING_WARNING, "a label is there twice: viewers show one" },
	[RULE_LABEL_BOTH] = { FINDING_WARNING,
		"a label has a text and a number: viewers show one" },
	[RULE_SPARSE_IDS] = { FINDING_WARNING,
		"its id is not its number: Parca wants ids from 1 in their order" },
	[RULE_UTF8] = { FINDING_WARNING, "it is not UTF-8: Pyroscope refuses the file" },
	[RULE_MANY_SAMPLES] = { FINDING_WARNING,
		"there are more than 16000 samples: Pyroscope refuses the file" },
	[RULE_MANY_LABELS] = { FINDING_WARNING,
		"it has more than 100 labels: Pyroscope refuses the file" },
	[RULE_DEEP] = { FINDING_WARNING, "it is over 1000 frames deep: Pyroscope cuts it" },
	[RULE_LARGE] = { FINDING_WARNING,
		"it has more than 4 MiB before compression: Pyroscope refuses it" },
	[RULE_TYPE_DASH] = { FINDING_WARNING,
		"there is a - in its type: Pyroscope refuses the file" },
	[RULE_NO_TIME] = { FINDING_WARNING,
		"it has no time: pprof shows none, and servers take it for old" },
	[RULE_NO_DURATION] = { FINDING_WARNING, "it has no duration: viewers show no rates" },
	[RULE_NO_PERIOD] = { FINDING_WARNING,
		"it has no period or period type: it cannot be merged with those that have" },
	[RULE_DEFAULT_TYPE] = { FINDING_WARNING,
		"default_sample_type is none of the types: pprof shows the last one" },
	[RULE_DELETED] = { FINDING_WARNING,
		"\" (deleted)\" is part of its file's name: no such file is found" },
	[RULE_BUILD_ID] = { FINDING_WARNING,
		"its build-ID is not lower-case hexadecimal: it matches no file" },
	[RULE_NOT_NAMED] = { FINDING_WARNING,
		"it has no name, and its mapping says it has: nobody will look for one" },
	[RULE_EMPTY_MAPPING] = { FINDING_WARNING, "it ends where it starts, or before" },
	[RULE_LIBRARY_FIRST] = { FINDING_WARNING,
		"the first mapping is a library: pprof takes it for the program" },
	[RULE_NOT_GZIPPED] = { FINDING_WARNING, "it is not compressed, as the format wants" },
	[RULE_NAMELESS] = { FINDING_WARNING, "it has no name" },
	[RULE_LEGACY] = { FINDING_WARNING,
		"it is of gperftools' own format: Parca and Pyroscope refuse it" },
	[RULE_DOC_URL] = { FINDING_WARNING, "doc_url is no whole URL: pprof does not show it" },
};

struct checker {
	const Message *in;
	profile_finding_visitor *visit;
	void *context;
	size_t counts[RULES];
};

static void tell(struct checker *c, enum rule rule, const char *record, const char *text)
{
	const struct profile_finding finding = { rules[rule].kind, record, text };

	c->visit(c->context, &finding);
}

/* RULE is broken by the NUMBER-th record of its KIND (0: the whole profile), WHAT says how. */
static void found(
	struct checker *c, enum rule rule, const char *kind, size_t number, const char *what)
{
	char record[64], text[512];

	if (++c->counts[rule] > SHOWN_MAX)
		return;
	if (number)
		snprintf(record, sizeof(record), "%s %zu", kind, number);
	else
		snprintf(record, sizeof(record), "%s", kind);
	if (strstr(rules[rule].text, "%s")) {
		const char *hole = strstr(rules[rule].text, "%s");

		snprintf(text, sizeof(text), "%.*s%.300s%s", (int)(hole - rules[rule].text),
			rules[rule].text, what, hole + 2);
	} else {
		snprintf(text, sizeof(text), "%s", rules[rule].text);
	}
	tell(c, rule, record, text);
}

static void count_the_others(struct checker *c)
{
	char text[64];

	for (int rule = 0; rule < RULES; rule++) {
		if (c->counts[rule] <= SHOWN_MAX)
			continue;
		snprintf(text, sizeof(text), "%zu more like this",
			c->counts[rule] - SHOWN_MAX);
		tell(c, (enum rule)rule, rules[rule].text, text);
	}
}

/* The text, or "" after it was said that there is none. */
static const char *text_of(struct checker *c, int64_t index, const char *kind, size_t number,
	const char *field)
{
	if (index >= 0 && (uint64_t)index < c->in->n_string_table)
		return c->in->string_table[index];
	found(c, RULE_STRING_INDEX, kind, number, field);
	return "";
}

struct ids {
	VEC(struct checked_id {
		uint64_t id;
		size_t number; /* of the record, from 1 */
	}) list; /* sorted by id, then by number */
};

static int by_id(const void *left, const void *right)
{
	const struct checked_id *a = left, *b = right;

	if (a->id != b->id)
		return a->id < b->id ? -1 : 1;
	return a->number < b->number ? -1 : a->number > b->number;
}

static void add_id(struct checker *c, struct ids *ids, uint64_t id, const char *kind)
{
	const size_t number = ids->list.count + 1;

	if (id == 0)
		found(c, RULE_ID_0, kind, number, NULL);
	else if (id != number)
		found(c, RULE_SPARSE_IDS, kind, number, NULL);
	*VEC_PUSH(&ids->list) = (struct checked_id){ id, number };
}

static void finish_ids(struct checker *c, struct ids *ids, const char *kind)
{
	if (ids->list.count == 0)
		return;
	qsort(ids->list.items, ids->list.count, sizeof(*ids->list.items), by_id);
	for (size_t i = 1; i < ids->list.count; i++)
		if (ids->list.items[i].id && ids->list.items[i].id == ids->list.items[i - 1].id)
			found(c, RULE_SAME_ID, kind, ids->list.items[i].number, NULL);
}

/* The number of the record with this id; 0: there is none. */
static size_t find_id(const struct ids *ids, uint64_t id)
{
	size_t low = 0, high = ids->list.count;

	while (low < high) {
		const size_t middle = low + (high - low) / 2;

		if (ids->list.items[middle].id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return id && low < ids->list.count && ids->list.items[low].id == id
		? ids->list.items[low].number
		: 0;
}

static void check_strings(struct checker *c)
{
	if (c->in->n_string_table == 0 || c->in->string_table[0][0])
		found(c, RULE_STRINGS, "profile", 0, NULL);
	for (size_t i = 0; i < c->in->n_string_table; i++) {
		char *repaired = utf8_repair(c->in->string_table[i]);

		if (repaired)
			found(c, RULE_UTF8, "string", i, NULL);
		free(repaired);
	}
}

static void check_types(struct checker *c)
{
	const int64_t chosen = c->in->default_sample_type;
	const char *default_type = text_of(c, chosen, "profile", 0, "default_sample_type");
	bool has_default = default_type[0] == '\0';

	for (size_t i = 0; i < c->in->n_sample_type; i++) {
		const Perftools__Profiles__ValueType *in = c->in->sample_type[i];
		const char *type = text_of(c, in->type, "sample type", i + 1, "type");

		text_of(c, in->unit, "sample type", i + 1, "unit");
		has_default |= strcmp(type, default_type) == 0;
		if (strchr(type, '-'))
			found(c, RULE_TYPE_DASH, "sample type", i + 1, NULL);
	}
	if (c->in->n_sample_type == 0)
		found(c, RULE_NO_TYPES, "profile", 0, NULL);
	else if (!has_default)
		found(c, RULE_DEFAULT_TYPE, "profile", 0, NULL);
}

static bool is_library(const char *filename)
{
	const char *suffix = strstr(filename, ".so");

	return suffix && (suffix[3] == '\0' || suffix[3] == '.');
}

static void check_mapping(struct checker *c, const Perftools__Profiles__Mapping *in, size_t number)
{
	const char *filename = text_of(c, in->filename, "mapping", number, "filename");
	const char *build_id = text_of(c, in->build_id, "mapping", number, "build_id");
	const size_t size = strlen(filename), deleted = strlen(" (deleted)");

	if (size > deleted && strcmp(filename + size - deleted, " (deleted)") == 0)
		found(c, RULE_DELETED, "mapping", number, NULL);
	if (build_id[strspn(build_id, "0123456789abcdef")])
		found(c, RULE_BUILD_ID, "mapping", number, NULL);
	if (in->memory_limit <= in->memory_start)
		found(c, RULE_EMPTY_MAPPING, "mapping", number, NULL);
	if (number == 1 && is_library(filename) && c->in->n_mapping > 1)
		found(c, RULE_LIBRARY_FIRST, "mapping", number, NULL);
}

static void check_mappings(struct checker *c, struct ids *ids)
{
	for (size_t i = 0; i < c->in->n_mapping; i++) {
		add_id(c, ids, c->in->mapping[i]->id, "mapping");
		check_mapping(c, c->in->mapping[i], i + 1);
	}
	finish_ids(c, ids, "mapping");
}

static void check_functions(struct checker *c, struct ids *ids)
{
	for (size_t i = 0; i < c->in->n_function; i++) {
		const Perftools__Profiles__Function *in = c->in->function[i];
		const char *name = text_of(c, in->name, "function", i + 1, "name");
		const char *system_name =
			text_of(c, in->system_name, "function", i + 1, "system_name");

		add_id(c, ids, in->id, "function");
		if (!name[0] && !system_name[0])
			found(c, RULE_NAMELESS, "function", i + 1, NULL);
		text_of(c, in->filename, "function", i + 1, "filename");
	}
	finish_ids(c, ids, "function");
}

static void check_location(struct checker *c, const Perftools__Profiles__Location *in,
	size_t number, const struct ids *mappings, const struct ids *functions)
{
	const size_t mapping_number = find_id(mappings, in->mapping_id);
	const Perftools__Profiles__Mapping *m =
		mapping_number ? c->in->mapping[mapping_number - 1] : NULL;

	if (in->mapping_id && !m)
		found(c, RULE_NO_MAPPING, "location", number, NULL);
	if (m && in->address && (in->address < m->memory_start || in->address >= m->memory_limit))
		found(c, RULE_OUTSIDE, "location", number, NULL);
	if (m && m->has_functions && in->n_line == 0)
		found(c, RULE_NOT_NAMED, "location", number, NULL);
	for (size_t i = 0; i < in->n_line; i++)
		if (!find_id(functions, in->line[i]->function_id)) {
			found(c, RULE_NO_FUNCTION, "location", number, NULL);
			break;
		}
}

static void check_labels(struct checker *c, const Perftools__Profiles__Sample *in, size_t number)
{
	if (in->n_label > LABELS_MAX) {
		found(c, RULE_MANY_LABELS, "sample", number, NULL);
		return;
	}
	for (size_t i = 0; i < in->n_label; i++) {
		const Perftools__Profiles__Label *label = in->label[i];

		text_of(c, label->key, "sample", number, "label's key");
		text_of(c, label->str, "sample", number, "label's text");
		text_of(c, label->num_unit, "sample", number, "label's unit");
		if (label->str && label->num)
			found(c, RULE_LABEL_BOTH, "sample", number, NULL);
		for (size_t before = 0; before < i; before++)
			if (in->label[before]->key == label->key) {
				found(c, RULE_LABEL_TWICE, "sample", number, NULL);
				return;
			}
	}
}

static void check_sample(struct checker *c, const Perftools__Profiles__Sample *in, size_t number,
	const struct ids *locations)
{
	if (in->n_value != c->in->n_sample_type)
		found(c, RULE_VALUES, "sample", number,
			in->n_value < c->in->n_sample_type ? "fewer" : "more");
	if (in->n_location_id == 0)
		found(c, RULE_EMPTY_STACK, "sample", number, NULL);
	if (in->n_location_id > DEPTH_MAX)
		found(c, RULE_DEEP, "sample", number, NULL);
	for (size_t i = 0; i < in->n_location_id; i++)
		if (!find_id(locations, in->location_id[i])) {
			found(c, RULE_NO_LOCATION, "sample", number, NULL);
			break;
		}
	check_labels(c, in, number);
}

static void check_whole(struct checker *c, const struct profile_message *message)
{
	const Message *in = c->in;
	const char *url = text_of(c, in->doc_url, "profile", 0, "doc_url");

	text_of(c, in->drop_frames, "profile", 0, "drop_frames");
	text_of(c, in->keep_frames, "profile", 0, "keep_frames");
	if (in->period_type) {
		text_of(c, in->period_type->type, "profile", 0, "period_type");
		text_of(c, in->period_type->unit, "profile", 0, "period_type's unit");
	}
	for (size_t i = 0; i < in->n_comment; i++)
		text_of(c, in->comment[i], "comment", i + 1, "text");
	if (in->n_sample == 0)
		found(c, RULE_NO_SAMPLES, "profile", 0, NULL);
	if (in->n_sample > SAMPLES_MAX)
		found(c, RULE_MANY_SAMPLES, "profile", 0, NULL);
	if (message->size > SIZE_MAX_BYTES)
		found(c, RULE_LARGE, "profile", 0, NULL);
	if (!message->is_gzipped)
		found(c, RULE_NOT_GZIPPED, "profile", 0, NULL);
	if (in->time_nanos <= 0)
		found(c, RULE_NO_TIME, "profile", 0, NULL);
	if (in->duration_nanos <= 0)
		found(c, RULE_NO_DURATION, "profile", 0, NULL);
	if (!in->period_type || in->period <= 0)
		found(c, RULE_NO_PERIOD, "profile", 0, NULL);
	if (url[0] && !strstr(url, "://"))
		found(c, RULE_DOC_URL, "profile", 0, NULL);
}

static void check_message(struct checker *c, const struct profile_message *message)
{
	struct ids mappings = { { NULL, 0, 0 } }, functions = mappings, locations = mappings;

	check_strings(c);
	check_whole(c, message);
	check_types(c);
	check_mappings(c, &mappings);
	check_functions(c, &functions);
	for (size_t i = 0; i < c->in->n_location; i++) {
		add_id(c, &locations, c->in->location[i]->id, "location");
		check_location(c, c->in->location[i], i + 1, &mappings, &functions);
	}
	finish_ids(c, &locations, "location");
	for (size_t i = 0; i < c->in->n_sample; i++)
		check_sample(c, c->in->sample[i], i + 1, &locations);
	count_the_others(c);
	VEC_FREE(&mappings.list);
	VEC_FREE(&functions.list);
	VEC_FREE(&locations.list);
}

static void check_legacy(struct checker *c, const uint8_t *data, size_t size)
{
	struct profile *p;
	char *why = NULL;

	if (profile_load_legacy(data, size, &p, &why) < 0) {
		found(c, RULE_BYTES, "profile", 0, why);
		free(why);
		return;
	}
	found(c, RULE_LEGACY, "profile", 0, NULL);
	profile_free(p);
}

void profile_check(
	const uint8_t *data, size_t size, profile_finding_visitor *visit, void *context)
{
	struct checker c = { .visit = visit, .context = context };
	struct profile_message message;
	char *why = NULL;
	int r;

	if (profile_is_legacy(data, size)) {
		check_legacy(&c, data, size);
		return;
	}
	r = profile_message_open(data, size, &message, &why);
	if (r) {
		found(&c, RULE_BYTES, "profile", 0, why ? why : strerror(-r));
		free(why);
		return;
	}
	c.in = message.profile;
	check_message(&c, &message);
	profile_message_close(&message);
}
