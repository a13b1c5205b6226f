#define _GNU_SOURCE
#include "cli/report.h"

#include <stdlib.h>
#include <string.h>

#include "cli/pipeline.h"

/* "codec.so!fn_1a2b0" and "codec.so!0x1144" say where, not what. */
static bool is_a_name(const char *name)
{
	const char *bang = strrchr(name, '!');

	return name[0] && strcmp(name, PIPELINE_ANONYMOUS) != 0 &&
		!(bang && (strncmp(bang, "!fn_", 4) == 0 || strncmp(bang, "!0x", 3) == 0));
}

static bool is_resolved(const struct profile *p, const struct profile_location *l)
{
	const struct profile_line *outermost;

	if (l->line_count == 0)
		return false;
	outermost = &p->lines.items[l->first_line + l->line_count - 1];
	return outermost->function_id &&
		is_a_name(profile_string(
			p, p->functions.items[outermost->function_id - 1].name));
}

static struct module_report *report_for(
	struct report *report, const char *path, const char *build_id)
{
	struct module_report *m;

	for (size_t i = 0; i < report->modules.count; i++)
		if (strcmp(report->modules.items[i].path, path) == 0 &&
			strcmp(report->modules.items[i].build_id, build_id) == 0)
			return &report->modules.items[i];
	m = VEC_PUSH(&report->modules);
	m->path = xstrdup(path);
	m->build_id = xstrdup(build_id);
	m->verdict = xstrdup("");
	m->reason = xstrdup("");
	return m;
}

static const char *next_field(char **rest)
{
	const char *field = strsep(rest, "\t");

	return field ? field : "";
}

static void read_module_comment(struct report *report, const char *comment)
{
	char *copy = xstrdup(comment), *rest = copy;
	const char *verdict, *build_id, *path;
	struct module_report *m;

	next_field(&rest);
	verdict = next_field(&rest);
	build_id = next_field(&rest);
	path = next_field(&rest);
	m = report_for(report, path, build_id);
	free(m->verdict);
	free(m->reason);
	m->verdict = xstrdup(verdict);
	m->reason = xstrdup(rest ? rest : "");
	free(copy);
}

static int by_frames(const void *a, const void *b)
{
	int64_t x = ((const struct module_report *)a)->frames;
	int64_t y = ((const struct module_report *)b)->frames;

	return (x < y) - (x > y);
}

/* Remarks of ours ("[truncated: ...]") have no mapping and are no frames of anybody's. */
static void count_location(struct report *report, const struct profile *p,
	const struct profile_location *l, int64_t times, int64_t self)
{
	const struct profile_mapping *mapping;
	struct module_report *m;
	bool resolved = is_resolved(p, l);

	if (!l->mapping_id)
		return;
	mapping = &p->mappings.items[l->mapping_id - 1];
	m = report_for(report, profile_string(p, mapping->filename),
		profile_string(p, mapping->build_id));
	m->frames += times;
	m->self += self;
	report->frames += times;
	if (resolved) {
		m->resolved += times;
		report->resolved += times;
	}
}

static int by_value(const void *a, const void *b)
{
	int64_t x = ((const struct plugin_report *)a)->value;
	int64_t y = ((const struct plugin_report *)b)->value;

	return (x < y) - (x > y);
}

static void count_plugin(struct report *report, const char *name, int64_t value)
{
	struct plugin_report *new;

	if (strcmp(name, REPORT_HOST) == 0)
		return;
	for (size_t i = 0; i < report->plugins.count; i++)
		if (strcmp(report->plugins.items[i].name, name) == 0) {
			report->plugins.items[i].value += value;
			return;
		}
	new = VEC_PUSH(&report->plugins);
	new->name = xstrdup(name);
	new->value = value;
}

static void count_labels(struct report *report, const struct profile *p,
	const struct profile_sample *s, int64_t value)
{
	report->value += value;
	for (uint32_t i = 0; i < s->label_count; i++) {
		const struct profile_label *label = &p->labels.items[s->first_label + i];

		if (strcmp(profile_string(p, label->key), "plugin") == 0)
			count_plugin(report, profile_string(p, label->str), value);
	}
}

void report_make(const struct profile *p, struct report *report)
{
	const size_t types = p->sample_types.count;

	*report = (struct report){ .frames = 0 };
	for (size_t i = 0; i < p->comments.count; i++) {
		const char *comment = profile_string(p, p->comments.items[i]);

		if (strncmp(comment, REPORT_COMMENT "\t", strlen(REPORT_COMMENT) + 1) == 0)
			read_module_comment(report, comment);
	}
	for (size_t i = 0; i < p->samples.count; i++) {
		const struct profile_sample *s = &p->samples.items[i];
		const int64_t *values = &p->values.items[s->first_value];

		if (types)
			count_labels(report, p, s, values[types - 1]);
		for (uint32_t at = 0; at < s->location_count && types; at++) {
			uint32_t id = p->sample_locations.items[s->first_location + at];

			count_location(report, p, &p->locations.items[id - 1], values[0],
				at == 0 ? values[types - 1] : 0);
		}
	}
	if (report->modules.count)
		qsort(report->modules.items, report->modules.count,
			sizeof(*report->modules.items), by_frames);
	if (report->plugins.count)
		qsort(report->plugins.items, report->plugins.count,
			sizeof(*report->plugins.items), by_value);
}

void report_free(struct report *report)
{
	for (size_t i = 0; i < report->modules.count; i++) {
		free(report->modules.items[i].path);
		free(report->modules.items[i].build_id);
		free(report->modules.items[i].verdict);
		free(report->modules.items[i].reason);
	}
	for (size_t i = 0; i < report->plugins.count; i++)
		free(report->plugins.items[i].name);
	VEC_FREE(&report->modules);
	VEC_FREE(&report->plugins);
}
