/* A spool as a profile without names: samples, locations, mappings, labels, comments. */
#define _GNU_SOURCE
#include "cli/spool_profile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/build_id.h"
#include "base/path.h"
#include "cli/labels_unseen.h"
#include "cli/life.h"
#include "cli/pipeline.h"
#include "cli/report.h"
#include "config.h"

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
			.content_id = view.life ? view.life->content_id : 0,
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
			spool_reader_module(r->spool, argument, &view) ? path_base_name(view.path) :
									 PIPELINE_ANONYMOUS);
		return add_remark(r, text);
	case SPOOL_NOTE_TOO_DEEP:
		snprintf(text, sizeof(text), "[truncated: more than %d frames]",
			SPOOL_FRAMES_PER_STACK_MAX - 1);
		return add_remark(r, text);
	case SPOOL_NOTE_LEFT_OUT:
		return add_remark(r, "[... frames left out]");
	case SPOOL_NOTE_ENDED:
		return add_remark(r, "[ended before the next tick]");
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
				.filename = profile_intern(p, PIPELINE_ANONYMOUS) });
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

/* Notes behind the root that tell generations and labels.  How many frames are before them. */
static size_t without_notes(const struct spool_stack_view *stack)
{
	size_t count = stack->frame_count;

	while (count > 1 &&
		(spool_frame_is_note(stack->frames[count - 1], SPOOL_NOTE_GENERATION) ||
			spool_frame_is_note(stack->frames[count - 1], SPOOL_NOTE_LABELS)))
		count--;
	return count;
}

size_t reading_add_frames(
	struct reading *r, const struct spool_stack_view *stack, uint32_t *location_ids)
{
	const size_t count = without_notes(stack);

	for (size_t i = 0; i < count; i++)
		location_ids[i] = add_frame(r, stack->frames[i]);
	return count;
}

/* 0: not told. */
static uint32_t generation_of(const struct spool_stack_view *stack, uint32_t module_id)
{
	for (size_t i = without_notes(stack); i < stack->frame_count; i++) {
		const uint32_t argument = (uint32_t)spool_frame_vaddr(stack->frames[i]);

		if (spool_frame_is_note(stack->frames[i], SPOOL_NOTE_GENERATION) &&
			argument >> 16 == module_id)
			return argument & 0xffff;
	}
	return 0;
}

static void add_label(struct profile *p, struct profile_label *labels, size_t *count,
	const char *key, const char *text)
{
	if (text[0])
		labels[(*count)++] = (struct profile_label){
			.key = profile_intern(p, key), .str = profile_intern(p, text) };
}

size_t reading_make_labels(const struct reading *r, const struct spool_stack_view *stack,
	struct profile_label labels[static READING_LABELS_MAX])
{
	const uint32_t plugin = plugins_innermost(&r->plugins, r->spool, stack);
	struct spool_module_view view;
	struct spool_label_view own[SPOOL_LABELS_MAX];
	char generation[16] = "";
	size_t count = 0, own_count;

	if (plugin && generation_of(stack, plugin))
		snprintf(generation, sizeof(generation), "#%u", generation_of(stack, plugin));
	add_label(r->profile, labels, &count, "plugin",
		spool_reader_module(r->spool, plugin, &view) ? path_base_name(view.path) :
							       REPORT_HOST);
	add_label(r->profile, labels, &count, "generation", generation);
	add_label(r->profile, labels, &count, "thread", stack->thread_name);
	own_count = spool_reader_labels(r->spool, stack->frames, stack->frame_count, own);
	for (size_t i = 0; i < own_count; i++)
		add_label(r->profile, labels, &count, own[i].key, own[i].value);
	return count;
}

static void add_sample(struct reading *r, const struct spool_stack_view *stack, uint64_t period_ns)
{
	struct profile_label labels[READING_LABELS_MAX];
	const size_t label_count = reading_make_labels(r, stack, labels);
	uint32_t ids[SPOOL_FRAMES_PER_STACK_MAX];
	const size_t frame_count = reading_add_frames(r, stack, ids);
	int64_t values[2];

	values[0] = stack->periods > INT64_MAX ? INT64_MAX : (int64_t)stack->periods;
	if (__builtin_mul_overflow(values[0], (int64_t)period_ns, &values[1]))
		values[1] = INT64_MAX;
	profile_add_sample(r->profile, ids, frame_count, values, labels, label_count);
}

/* Of the recording: until its end, or what is known of it for a process that runs or was killed. */
static int64_t duration_ns(const struct spool_header *h)
{
	uint64_t end = h->end_monotonic_ns ? h->end_monotonic_ns : h->last_monotonic_ns;

	if (h->stop_monotonic_ns && end > h->stop_monotonic_ns)
		end = h->stop_monotonic_ns;
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

/* pprof: the first mapping is the program. */
static void add_program(struct reading *r)
{
	struct spool_module_view view;

	for (uint32_t id = 1; id <= spool_reader_module_count(r->spool); id++)
		if (spool_reader_module(r->spool, id, &view) &&
			(view.module->flags & SPOOL_MODULE_MAIN))
			add_mappings(r, id);
}

void reading_begin(struct reading *r, const struct spool_reader *spool)
{
	const struct spool_header *h = spool_reader_header(spool);

	*r = (struct reading){
		.spool = spool,
		.profile = profile_new(),
		.first_mapping = xcalloc(
			spool_reader_module_count(spool) + 1, sizeof(*r->first_mapping)),
	};
	r->profile->time_ns = (int64_t)(h->start_realtime_ns ? h->start_realtime_ns : 1);
	r->profile->duration_ns = duration_ns(h);
	add_program(r);
	plugins_find(&r->plugins, spool);
}

static void add_comments_of_all_kinds(struct reading *r)
{
	const struct spool_header *h = spool_reader_header(r->spool);
	char *text = xasprintf(PERF_MAP_COMMENT "\t/tmp/perf-%u.map\t%u", h->pid, h->uid);
	char *unseen = labels_unseen(r->spool);

	profile_add_comment(r->profile, text);
	free(text);
	if (unseen) {
		text = xasprintf(PIPELINE_UNSEEN_COMMENT ": %s", unseen);
		profile_add_comment(r->profile, text);
		free(text);
		free(unseen);
	}
	if (h->counters[SPOOL_COUNT_MODULES_DROPPED]) {
		text = xasprintf("%llu times a library found no place in the spool: its code is "
				 PIPELINE_ANONYMOUS,
			(unsigned long long)h->counters[SPOOL_COUNT_MODULES_DROPPED]);
		profile_add_comment(r->profile, text);
		free(text);
	}
	if (spool_reader_labels_lost(r->spool)) {
		text = xasprintf("%llu samples lack labels: there were too many sets of them, or "
				 "too many or too long ones in a set",
			(unsigned long long)spool_reader_labels_lost(r->spool));
		profile_add_comment(r->profile, text);
		free(text);
	}
	life_add_comments(r->profile, r->spool, &r->plugins);
}

struct profile *reading_end(struct reading *r)
{
	add_comments_of_all_kinds(r);
	free(r->first_mapping);
	plugins_free(&r->plugins);
	return r->profile;
}

struct profile *pipeline_read_spool(const struct spool_reader *spool)
{
	const struct spool_header *h = spool_reader_header(spool);
	struct spool_stack_view stack;
	struct reading r;
	struct profile *p;
	size_t at = 0;

	reading_begin(&r, spool);
	p = r.profile;
	profile_add_sample_type(p, "samples", "count");
	profile_add_sample_type(p, "cpu", "nanoseconds");
	p->period_type = p->sample_types.items[1];
	p->default_sample_type = p->period_type.type;
	p->period = (int64_t)h->period_ns;
	add_comments(p, h);
	while (spool_reader_next_stack(spool, &at, &stack))
		add_sample(&r, &stack, h->period_ns);
	return reading_end(&r);
}
