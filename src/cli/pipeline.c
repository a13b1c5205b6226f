#define _GNU_SOURCE
#include "cli/pipeline.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/build_id.h"
#include "base/file.h"
#include "base/path.h"
#include "cli/report.h"
#include "pprof/profile_io.h"
#include "symbol/symbolizer.h"

struct naming {
	struct profile *profile;
	struct symbolizer *symbolizer;
	struct symbol_module **modules; /* by mapping id - 1; NULL: not to be named */
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
	free(lines);
}

static void set_name(struct profile *p, uint32_t location_id, const char *name)
{
	const struct symbol_frame frame = { .name = name, .system_name = name, .file = "" };

	set_frames(p, location_id, &(struct symbol_frames){ .frames = &frame, .count = 1 });
}

static void name_location(struct naming *n, uint32_t location_id)
{
	const struct profile_location *l = &n->profile->locations.items[location_id - 1];
	const struct profile_mapping *m = &n->profile->mappings.items[l->mapping_id - 1];
	struct symbol_module *module = n->modules[l->mapping_id - 1];
	const char *filename = profile_string(n->profile, m->filename);
	struct symbol_frames found;
	uint64_t vaddr;
	char name[512];

	if (is_anonymous(filename)) {
		set_name(n->profile, location_id, PIPELINE_ANONYMOUS);
	} else if (m->knows_vaddr || symbol_module_vaddr(module, m->file_offset,
					     m->limit - m->start, l->address - m->start, &vaddr)) {
		if (m->knows_vaddr)
			vaddr = m->start_vaddr + (l->address - m->start);
		symbolizer_resolve(n->symbolizer, module, vaddr, &found);
		set_frames(n->profile, location_id, &found);
	} else {
		snprintf(name, sizeof(name), "%s!0x%llx", path_base_name(filename),
			(unsigned long long)(l->address - m->start + m->file_offset));
		set_name(n->profile, location_id, name);
	}
}

static int by_place(const void *a, const void *b, void *profile)
{
	const struct profile *p = profile;
	const struct profile_location *x = &p->locations.items[*(const uint32_t *)a - 1];
	const struct profile_location *y = &p->locations.items[*(const uint32_t *)b - 1];

	if (x->mapping_id != y->mapping_id)
		return x->mapping_id < y->mapping_id ? -1 : 1;
	return (x->address > y->address) - (x->address < y->address);
}

/* In the order of mappings and addresses, so that a compilation unit is read once. */
static void name_locations(struct naming *n)
{
	struct profile *p = n->profile;
	uint32_t *order = xcalloc(p->locations.count, sizeof(*order));
	size_t count = 0;

	for (uint32_t id = 1; id <= p->locations.count; id++) {
		const struct profile_location *l = &p->locations.items[id - 1];

		if (l->mapping_id && n->modules[l->mapping_id - 1])
			order[count++] = id;
	}
	qsort_r(order, count, sizeof(*order), by_place, p);
	for (size_t i = 0; i < count; i++)
		name_location(n, order[i]);
	free(order);
}

static struct symbol_module *module_of(struct naming *n, const struct profile_mapping *m)
{
	struct build_id id = { .size = 0 };

	if (m->has_functions || m->has_filenames || m->has_line_numbers)
		return NULL; /* named already */
	if (!build_id_from_hex(profile_string(n->profile, m->build_id), &id))
		id.size = 0;
	return symbolizer_module(n->symbolizer, profile_string(n->profile, m->filename), &id);
}

static void finish_mapping(struct naming *n, size_t index)
{
	struct profile *p = n->profile;
	struct profile_mapping *m = &p->mappings.items[index];
	enum symbol_verdict verdict = symbol_module_verdict(n->modules[index]);
	bool seen_before = false;
	char *text;

	m->has_functions = true; /* every location has some name now */
	m->has_filenames = m->has_line_numbers = m->has_inline_frames = verdict == VERDICT_DWARF;
	for (size_t i = 0; i < index; i++)
		seen_before |= n->modules[i] == n->modules[index];
	if (seen_before)
		return;
	text = xasprintf(REPORT_COMMENT "\t%s\t%s\t%s\t%s", symbol_verdict_word(verdict),
		profile_string(p, m->build_id), profile_string(p, m->filename),
		symbol_module_reason(n->modules[index]));
	profile_add_comment(p, text);
	free(text);
}

void pipeline_symbolize(struct profile *p, const char *const *debug_folders)
{
	const struct symbolizer_options options = { .debug_folders = debug_folders };
	struct naming n = {
		.profile = p,
		.symbolizer = symbolizer_new(&options),
		.modules = xcalloc(p->mappings.count, sizeof(*n.modules)),
	};

	for (size_t i = 0; i < p->mappings.count; i++)
		n.modules[i] = module_of(&n, &p->mappings.items[i]);
	name_locations(&n);
	for (size_t i = 0; i < p->mappings.count; i++)
		if (n.modules[i])
			finish_mapping(&n, i);
	free(n.modules);
	symbolizer_free(n.symbolizer);
	profile_compact(p);
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
