#define _GNU_SOURCE
#include "cli/pipeline.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/build_id.h"
#include "base/file.h"
#include "base/path.h"
#include "cli/life.h"
#include "cli/report.h"
#include "cli/stores.h"
#include "pprof/profile_io.h"
#include "symbol/perf_map.h"
#include "symbol/symbolizer.h"

struct naming {
	struct profile *profile;
	struct symbolizer *symbolizer;
	struct symbol_module **modules; /* by mapping id - 1; NULL: not to be named */
	struct perf_map *perf_map; /* NULL: none */
	char *perf_map_path; /* "" for none */
	lives lives;
};

static bool is_anonymous(const char *filename)
{
	return filename[0] == '\0' || strcmp(filename, PIPELINE_ANONYMOUS) == 0 ||
		strncmp(filename, "//anon", 6) == 0;
}

/* pprof takes a name that equals its system name for a mangled one, and what is in brackets for
 * its parameters: "(anonymous namespace)" would go. */
static const char *system_name_of(const struct symbol_frame *f)
{
	return strcmp(f->name, f->system_name) == 0 && strpbrk(f->name, "(<") ? "" :
										f->system_name;
}

static void set_frames(struct profile *p, uint32_t location_id, const struct symbol_frames *found)
{
	struct profile_line *lines = xcalloc(found->count, sizeof(*lines));

	for (size_t i = 0; i < found->count; i++) {
		const struct symbol_frame *f = &found->frames[i];

		lines[i] = (struct profile_line){
			.function_id = profile_add_function(
				p, f->name, system_name_of(f), f->file, f->start_line),
			.line = f->line,
			.column = f->column,
		};
	}
	profile_set_lines(p, location_id, lines, found->count);
	p->locations.items[location_id - 1].is_folded = found->is_folded;
	free(lines);
}

static void set_name(struct profile *p, uint32_t location_id, const char *name)
{
	const struct symbol_frame frame = { .name = name, .system_name = name, .file = "" };

	set_frames(p, location_id, &(struct symbol_frames){ .frames = &frame, .count = 1 });
}

static void name_unknown(struct naming *n, uint32_t location_id)
{
	const struct profile_location *l = &n->profile->locations.items[location_id - 1];
	const struct profile_mapping *m = &n->profile->mappings.items[l->mapping_id - 1];
	const char *filename = profile_string(n->profile, m->filename);
	char name[512];

	if (is_anonymous(filename)) {
		const char *known = n->perf_map ? perf_map_find(n->perf_map, l->address) : NULL;

		set_name(n->profile, location_id, known ? known : PIPELINE_ANONYMOUS);
	} else {
		snprintf(name, sizeof(name), "%s!0x%llx", path_base_name(filename),
			(unsigned long long)(l->address - m->start + m->file_offset));
		set_name(n->profile, location_id, name);
	}
}

/* What to ask the symbolizer about a location.  False: it would not know. */
static bool question_of(
	const struct naming *n, uint32_t location_id, struct symbol_question *question)
{
	const struct profile_location *l = &n->profile->locations.items[location_id - 1];
	const struct profile_mapping *m = &n->profile->mappings.items[l->mapping_id - 1];
	struct symbol_module *module = n->modules[l->mapping_id - 1];

	*question = (struct symbol_question){ .module = module, .number = location_id };
	if (is_anonymous(profile_string(n->profile, m->filename)))
		return false;
	if (!m->knows_vaddr)
		return symbol_module_vaddr(module, m->file_offset, m->limit - m->start,
			l->address - m->start, &question->vaddr);
	question->vaddr = m->start_vaddr + (l->address - m->start);
	return true;
}

static void name_locations(struct naming *n)
{
	struct profile *p = n->profile;
	struct symbol_question *questions = xcalloc(p->locations.count, sizeof(*questions));
	struct symbol_frames found;
	size_t count = 0;

	for (uint32_t id = 1; id <= p->locations.count; id++) {
		const struct profile_location *l = &p->locations.items[id - 1];

		if (!l->mapping_id || !n->modules[l->mapping_id - 1])
			continue;
		if (question_of(n, id, &questions[count]))
			count++;
		else
			name_unknown(n, id);
	}
	symbolizer_plan(n->symbolizer, questions, count);
	for (size_t i = 0; i < count; i++) {
		symbolizer_resolve(
			n->symbolizer, questions[i].module, questions[i].vaddr, &found);
		set_frames(p, questions[i].number, &found);
	}
	free(questions);
}

/* The kernel's remark is no part of the name.  Where no build-ID tells what it was, the name stays
 * as it is, and finds nothing: what lies there now is another file. */
static void cut_deleted(struct profile *p)
{
	static const char remark[] = " (deleted)";

	for (size_t i = 0; i < p->mappings.count; i++) {
		struct profile_mapping *m = &p->mappings.items[i];
		const char *filename = profile_string(p, m->filename);
		const size_t size = strlen(filename), remark_size = strlen(remark);
		char *path;

		if (size <= remark_size || strcmp(filename + size - remark_size, remark) != 0 ||
			profile_string(p, m->build_id)[0] == '\0')
			continue;
		path = xstrndup(filename, size - remark_size);
		m->filename = profile_intern(p, path);
		free(path);
	}
}

static struct symbol_module *module_of(struct naming *n, const struct profile_mapping *m)
{
	const char *id_text = profile_string(n->profile, m->build_id);
	struct build_id id = { .size = 0 };
	uint64_t content_id;

	if (m->has_functions || m->has_filenames || m->has_line_numbers)
		return NULL; /* named already */
	if (id_text[0] && !build_id_from_hex(id_text, &id))
		return symbolizer_module_by_foreign_id(
			n->symbolizer, profile_string(n->profile, m->filename), id_text);
	content_id = m->content_id;
	if (id.size == 0 && content_id == 0)
		content_id = lives_find_content(&n->lives, profile_string(n->profile, m->filename));
	if (id.size == 0 && content_id)
		return symbolizer_module_by_content(
			n->symbolizer, profile_string(n->profile, m->filename), content_id);
	return symbolizer_module(n->symbolizer, profile_string(n->profile, m->filename), &id);
}

/* Where nothing was found: also why the file was not kept while it was there. */
static char *reason_of(const struct naming *n, const struct profile_mapping *m,
	const struct symbol_module *module)
{
	const char *reason = symbol_module_reason(module);
	const struct life *life = lives_find(&n->lives, profile_string(n->profile, m->filename),
		profile_string(n->profile, m->build_id));
	const char *not_kept = life ? life_kept_reason(life) : "";
	const enum symbol_verdict verdict = symbol_module_verdict(module);

	if (!not_kept[0] ||
		(verdict != VERDICT_FILE_MISSING && verdict != VERDICT_FILE_REPLACED))
		return xstrdup(reason);
	return xasprintf("%s; not kept: %s", reason, not_kept);
}

/* The module of mapping INDEX + 1 had a mapping before. */
static bool was_seen(const struct naming *n, size_t index)
{
	for (size_t i = 0; i < index; i++)
		if (n->modules[i] == n->modules[index])
			return true;
	return false;
}

static void finish_mapping(struct naming *n, size_t index)
{
	struct profile *p = n->profile;
	struct profile_mapping *m = &p->mappings.items[index];
	enum symbol_verdict verdict = symbol_module_verdict(n->modules[index]);
	char *text, *reason;

	m->has_functions = true; /* every location has some name now */
	m->has_filenames = m->has_line_numbers = m->has_inline_frames =
		symbol_verdict_has_lines(verdict);
	if (was_seen(n, index))
		return;
	reason = reason_of(n, m, n->modules[index]);
	text = xasprintf(REPORT_COMMENT "\t%s\t%s\t%s\t%s", symbol_verdict_word(verdict),
		profile_string(p, m->build_id), profile_string(p, m->filename), reason);
	free(reason);
	profile_add_comment(p, text);
	free(text);
}

static void find_perf_map(struct naming *n)
{
	const char *comment = life_find_comment(n->profile, PERF_MAP_COMMENT);
	char *owner;

	n->perf_map_path = xstrdup(comment ? comment : "");
	owner = strchr(n->perf_map_path, '\t');
	if (owner) {
		*owner++ = '\0';
		n->perf_map = perf_map_open(
			n->perf_map_path, (uint32_t)strtoul(owner, NULL, 10));
	}
}

static void tell_of_module(const struct naming *n, size_t index, pipeline_module_visitor *tell,
	void *context)
{
	const struct profile_mapping *m = &n->profile->mappings.items[index];

	if (was_seen(n, index))
		return;
	if (is_anonymous(profile_string(n->profile, m->filename)) && n->perf_map_path[0])
		symbol_module_note(n->modules[index], PLACE_PERF_MAP, n->perf_map_path,
			n->perf_map ? "taken" : "absent, or somebody else's");
	tell(context, n->modules[index]);
}

void pipeline_symbolize(struct profile *p, const struct symbolizer_options *options)
{
	pipeline_symbolize_with(p, options, NULL, NULL);
}

void pipeline_symbolize_with(struct profile *p, const struct symbolizer_options *options,
	pipeline_module_visitor *tell, void *context)
{
	struct symbolizer_options all =
		options ? *options : (struct symbolizer_options){ .stores = NULL };
	struct naming n = {
		.profile = p,
		.modules = xcalloc(p->mappings.count, sizeof(*n.modules)),
	};
	struct symbol_folders folders;

	find_perf_map(&n);
	symbol_folders_find(&folders, &all, life_find_comment(p, STORE_COMMENT));
	cut_deleted(p);
	lives_read(p, &n.lives);
	n.symbolizer = symbolizer_new(&all);
	for (size_t i = 0; i < p->mappings.count; i++)
		n.modules[i] = module_of(&n, &p->mappings.items[i]);
	name_locations(&n);
	for (size_t i = 0; i < p->mappings.count; i++)
		if (n.modules[i])
			finish_mapping(&n, i);
	for (size_t i = 0; i < p->mappings.count && tell; i++)
		if (n.modules[i])
			tell_of_module(&n, i, tell, context);
	free(n.modules);
	free(n.perf_map_path);
	symbolizer_free(n.symbolizer);
	perf_map_free(n.perf_map);
	lives_free(&n.lives);
	symbol_folders_free(&folders);
	profile_compact(p);
}

void pipeline_settle(struct profile *p)
{
	if (!life_find_comment(p, PERF_MAP_COMMENT))
		return;
	pipeline_symbolize(p, NULL);
	life_drop_comments(p, PERF_MAP_COMMENT);
}

int pipeline_write(const struct profile *p, const char *path)
{
	uint8_t *data;
	size_t size;
	int r;

	profile_pack(p, &data, &size);
	r = strcmp(path, "-") == 0 ? file_write(STDOUT_FILENO, data, size) :
				     file_replace(path, data, size);
	free(data);
	return r;
}
