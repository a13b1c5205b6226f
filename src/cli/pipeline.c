#define _GNU_SOURCE
#include "cli/pipeline.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/build_id.h"
#include "base/file.h"
#include "config.h"
#include "pprof/profile_io.h"
#include "symbol/symbolizer.h"

#define MODULE_COMMENT "#plugprof module" /* tab verdict tab build-ID tab path tab reason */
#define ANONYMOUS "[anon-rx]" /* code that no file holds */
#define HOST_LABEL "(host)"

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* --- spool -> profile --- */

struct reading {
	const struct spool_reader *spool;
	struct profile *profile;
	/* By module id: its first mapping's id (one per segment follows), 0 not made yet. */
	uint32_t *first_mapping;
	bool *is_plugin;
	uint32_t anonymous_mapping;
};

static uint32_t add_mappings(struct reading *r, uint32_t module_id)
{
	struct spool_module_view view;
	char hex[BUILD_ID_HEX_SIZE];
	struct build_id id = { .size = 0 };

	if (!spool_reader_module(r->spool, module_id, &view))
		return 0;
	if (r->first_mapping[module_id])
		return r->first_mapping[module_id];
	id.size = (uint8_t)view.module->build_id_size;
	memcpy(id.bytes, view.module->build_id, id.size);
	for (uint32_t i = 0; i < view.module->segment_count; i++) {
		const struct spool_segment *segment = &view.segments[i];
		uint64_t start = view.module->first_bias + segment->vaddr;
		struct profile_mapping mapping = {
			.start = start,
			.limit = start + segment->size,
			.file_offset = segment->file_offset,
			.filename = profile_intern(r->profile, view.path),
			.build_id = profile_intern(r->profile, build_id_to_hex(&id, hex)),
			.knows_vaddr = true,
			.start_vaddr = segment->vaddr,
		};
		uint32_t mapping_id = profile_add_mapping(r->profile, &mapping);

		if (i == 0)
			r->first_mapping[module_id] = mapping_id;
	}
	return r->first_mapping[module_id];
}

static uint32_t mapping_of(struct reading *r, uint32_t module_id, uint64_t address)
{
	struct spool_module_view view;
	uint32_t first = add_mappings(r, module_id);

	if (!first || !spool_reader_module(r->spool, module_id, &view))
		return 0;
	for (uint32_t i = 0; i < view.module->segment_count; i++) {
		const struct profile_mapping *m = &r->profile->mappings.items[first + i - 1];

		if (address >= m->start && address < m->limit)
			return first + i;
	}
	return first;
}

static uint32_t add_remark(struct reading *r, const char *name)
{
	struct profile_line line = {
		.function_id = profile_add_function(r->profile, name, name, "", 0)
	};

	return profile_add_location(r->profile, 0, 0, &line, 1);
}

static uint32_t add_note(struct reading *r, spool_frame frame)
{
	const uint64_t word = spool_frame_vaddr(frame);
	const uint32_t note = (uint32_t)(word >> 32), argument = (uint32_t)word;
	struct spool_module_view view;
	char text[512];

	switch (note) {
	case SPOOL_NOTE_NO_UNWIND_INFO:
	case SPOOL_NOTE_BAD_STACK:
		snprintf(text, sizeof(text), "[truncated: %s in %s]",
			note == SPOOL_NOTE_BAD_STACK ? "unreadable stack" : "no unwind info",
			spool_reader_module(r->spool, argument, &view) ? base_name(view.path) :
									 ANONYMOUS);
		return add_remark(r, text);
	case SPOOL_NOTE_TOO_DEEP:
		snprintf(text, sizeof(text), "[truncated: more than %d frames]",
			SPOOL_FRAMES_PER_STACK_MAX - 1);
		return add_remark(r, text);
	case SPOOL_NOTE_TABLE_FULL:
		return add_remark(r, "[stack table full]");
	}
	return add_remark(r, "[unknown]");
}

/* Generated or hand-mapped code: one mapping for all of it, stretched as addresses come. */
static uint32_t add_anonymous(struct reading *r, uint64_t pc)
{
	struct profile *p = r->profile;
	struct profile_mapping *m;

	if (!r->anonymous_mapping)
		r->anonymous_mapping = profile_add_mapping(p,
			&(struct profile_mapping){ .start = pc & ~(uint64_t)4095,
				.limit = (pc & ~(uint64_t)4095) + 4096,
				.filename = profile_intern(p, ANONYMOUS) });
	m = &p->mappings.items[r->anonymous_mapping - 1];
	if (pc < m->start)
		m->start = pc & ~(uint64_t)4095;
	if (pc >= m->limit)
		m->limit = (pc & ~(uint64_t)4095) + 4096;
	return profile_add_location(p, r->anonymous_mapping, pc, NULL, 0);
}

static uint32_t add_frame(struct reading *r, spool_frame frame)
{
	const uint32_t module_id = spool_frame_module(frame);
	struct spool_module_view view;
	uint64_t address;

	if (module_id == SPOOL_MODULE_NOTE)
		return add_note(r, frame);
	if (module_id == 0)
		return add_anonymous(r, spool_frame_vaddr(frame));
	if (!spool_reader_module(r->spool, module_id, &view))
		return add_remark(r, "[unknown module]");
	address = view.module->first_bias + spool_frame_vaddr(frame);
	return profile_add_location(
		r->profile, mapping_of(r, module_id, address), address, NULL, 0);
}

/* A library that another loaded one names as needed came along with it: libstdc++ is not what
 * the host opened. */
static bool is_needed(const struct spool_reader *spool, const struct spool_module_view *wanted)
{
	const char *soname = wanted->soname[0] ? wanted->soname : base_name(wanted->path);
	struct spool_module_view view;

	for (uint32_t id = 1; id <= spool_reader_module_count(spool); id++)
		if (spool_reader_module(spool, id, &view) && spool_module_needs(&view, soname))
			return true;
	return false;
}

static void find_plugins(struct reading *r)
{
	struct spool_module_view view;

	for (uint32_t id = 1; id <= spool_reader_module_count(r->spool); id++)
		r->is_plugin[id] = spool_reader_module(r->spool, id, &view) &&
			(view.module->flags & SPOOL_MODULE_DLOPENED) && !is_needed(r->spool, &view);
}

/* The innermost plugin on the stack; else the innermost library that came later than the
 * program; else the host itself. */
static const char *plugin_label(const struct reading *r, const struct spool_stack_view *stack)
{
	const char *later = HOST_LABEL;

	for (size_t i = 0; i < stack->frame_count; i++) {
		uint32_t id = spool_frame_module(stack->frames[i]);
		struct spool_module_view view;

		if (!spool_reader_module(r->spool, id, &view))
			continue;
		if (r->is_plugin[id])
			return base_name(view.path);
		if (later == (const char *)HOST_LABEL &&
			(view.module->flags & SPOOL_MODULE_DLOPENED))
			later = base_name(view.path);
	}
	return later;
}

static void add_sample(struct reading *r, const struct spool_stack_view *stack, uint64_t period_ns)
{
	struct profile *p = r->profile;
	struct profile_label labels[2] = {
		{ .key = profile_intern(p, "plugin"),
			.str = profile_intern(p, plugin_label(r, stack)) },
		{ .key = profile_intern(p, "thread"), .str = profile_intern(p, stack->thread_name) },
	};
	uint32_t ids[SPOOL_FRAMES_PER_STACK_MAX];
	int64_t values[2];

	for (size_t i = 0; i < stack->frame_count; i++)
		ids[i] = add_frame(r, stack->frames[i]);
	values[0] = stack->periods > INT32_MAX ? INT32_MAX : (int64_t)stack->periods;
	if (__builtin_mul_overflow(values[0], (int64_t)period_ns, &values[1]))
		values[1] = INT64_MAX;
	profile_add_sample(
		p, ids, stack->frame_count, values, labels, stack->thread_name[0] ? 2 : 1);
}

/* Of the recording: until its end, or what is known of it for a process that runs or was killed. */
static int64_t duration_ns(const struct spool_header *h)
{
	uint64_t end = h->end_monotonic_ns ? h->end_monotonic_ns : h->last_monotonic_ns;

	return end > h->start_monotonic_ns ? (int64_t)(end - h->start_monotonic_ns) : 1;
}

static void add_comments(struct profile *p, const struct spool_header *h)
{
	uint64_t lost = h->counters[SPOOL_LOST_BUSY] + h->counters[SPOOL_LOST_MEMORY];
	char *text = xasprintf(
		"plugprof %s: pid %u, %.0f samples per CPU second, %llu ticks, %llu lost", VERSION,
		h->pid, 1e9 / (double)h->period_ns,
		(unsigned long long)h->counters[SPOOL_COUNT_TICKS], (unsigned long long)lost);

	profile_add_comment(p, text);
	free(text);
	if (h->counters[SPOOL_COUNT_TIMERS_REFUSED]) {
		text = xasprintf("%llu threads got no timer of their own (ulimit -i): sampled by "
				 "the process's, %llu ticks",
			(unsigned long long)h->counters[SPOOL_COUNT_TIMERS_REFUSED],
			(unsigned long long)h->counters[SPOOL_COUNT_FALLBACK_TICKS]);
		profile_add_comment(p, text);
		free(text);
	}
}

struct profile *pipeline_read_spool(const struct spool_reader *spool)
{
	const struct spool_header *h = spool_reader_header(spool);
	const size_t modules = spool_reader_module_count(spool) + 1;
	struct reading r = {
		.spool = spool,
		.profile = profile_new(),
		.first_mapping = xcalloc(modules, sizeof(*r.first_mapping)),
		.is_plugin = xcalloc(modules, sizeof(*r.is_plugin)),
	};
	struct profile *p = r.profile;
	struct spool_stack_view stack;
	size_t at = 0;

	profile_add_sample_type(p, "samples", "count");
	profile_add_sample_type(p, "cpu", "nanoseconds");
	p->period_type = p->sample_types.items[1];
	p->default_sample_type = p->period_type.type;
	p->period = (int64_t)h->period_ns;
	p->time_ns = (int64_t)(h->start_realtime_ns ? h->start_realtime_ns : 1);
	p->duration_ns = duration_ns(h);
	add_comments(p, h);
	for (uint32_t id = 1; id < modules; id++) {
		struct spool_module_view view;

		if (spool_reader_module(spool, id, &view) &&
			(view.module->flags & SPOOL_MODULE_MAIN))
			add_mappings(&r, id); /* pprof: the first mapping is the program */
	}
	find_plugins(&r);
	while (spool_reader_next_stack(spool, &at, &stack))
		add_sample(&r, &stack, h->period_ns);
	free(r.first_mapping);
	free(r.is_plugin);
	return p;
}

/* --- names --- */

struct naming {
	struct profile *profile;
	struct symbolizer *symbolizer;
	struct symbol_module **modules; /* by mapping id - 1; NULL: not to be named */
};

static bool is_anonymous(const char *filename)
{
	return filename[0] == '\0' || strcmp(filename, ANONYMOUS) == 0 ||
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
		set_name(n->profile, location_id, ANONYMOUS);
	} else if (m->knows_vaddr || symbol_module_vaddr(module, m->file_offset,
					     m->limit - m->start, l->address - m->start, &vaddr)) {
		if (m->knows_vaddr)
			vaddr = m->start_vaddr + (l->address - m->start);
		symbolizer_resolve(n->symbolizer, module, vaddr, &found);
		set_frames(n->profile, location_id, &found);
	} else {
		snprintf(name, sizeof(name), "%s!0x%llx", base_name(filename),
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
	if (seen_before || is_anonymous(profile_string(p, m->filename)))
		return;
	text = xasprintf(MODULE_COMMENT "\t%s\t%s\t%s\t%s", symbol_verdict_word(verdict),
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

/* --- taking stock --- */

/* "codec.so!fn_1a2b0" and "codec.so!0x1144" say where, not what. */
static bool is_a_name(const char *name)
{
	const char *bang = strrchr(name, '!');

	return name[0] && strcmp(name, ANONYMOUS) != 0 &&
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

static struct module_report *report_for(struct report *report, const char *path, const char *build_id)
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

void pipeline_report(const struct profile *p, struct report *report)
{
	const size_t types = p->sample_types.count;

	*report = (struct report){ .frames = 0 };
	for (size_t i = 0; i < p->comments.count; i++) {
		const char *comment = profile_string(p, p->comments.items[i]);

		if (strncmp(comment, MODULE_COMMENT "\t", strlen(MODULE_COMMENT) + 1) == 0)
			read_module_comment(report, comment);
	}
	for (size_t i = 0; i < p->samples.count; i++) {
		const struct profile_sample *s = &p->samples.items[i];
		const int64_t *values = &p->values.items[s->first_value];

		for (uint32_t at = 0; at < s->location_count && types; at++) {
			uint32_t id = p->sample_locations.items[s->first_location + at];

			count_location(report, p, &p->locations.items[id - 1], values[0],
				at == 0 ? values[types - 1] : 0);
		}
	}
	if (report->modules.count)
		qsort(report->modules.items, report->modules.count,
			sizeof(*report->modules.items), by_frames);
}

void report_free(struct report *report)
{
	for (size_t i = 0; i < report->modules.count; i++) {
		free(report->modules.items[i].path);
		free(report->modules.items[i].build_id);
		free(report->modules.items[i].verdict);
		free(report->modules.items[i].reason);
	}
	VEC_FREE(&report->modules);
}

int pipeline_write(const struct profile *p, const char *path)
{
	uint8_t *data;
	size_t size;
	int r;

	profile_pack(p, &data, &size);
	r = file_replace(path, data, size);
	free(data);
	return r;
}
