/* A spool as a heap profile without names: what was allocated, what is in use, who holds it. */
#include <stdlib.h>

#include "cli/heap_unseen.h"
#include "cli/pipeline.h"
#include "cli/spool_profile.h"
#include "config.h"
#include "spool/heap_weight.h"

/* What of one stack is in use. */
struct in_use {
	uint64_t objects; /* in 1/HEAP_OBJECT */
	uint64_t bytes;
};

/* By slot; allocated by code that is loaded, and by code that has been unloaded since. */
struct holdings {
	struct in_use *by_loaded, *by_unloaded;
	uint32_t *owner; /* module id, 0: the host's, or not known yet */
};

static int64_t as_objects(uint64_t fixed)
{
	return (int64_t)(fixed / HEAP_OBJECT + (fixed % HEAP_OBJECT >= HEAP_OBJECT / 2));
}

static int64_t as_bytes(uint64_t bytes)
{
	return bytes > INT64_MAX ? INT64_MAX : (int64_t)bytes;
}

/* As of a stack of CPU time. */
static struct spool_stack_view as_stack(const struct spool_heap_stack_view *stack)
{
	return (struct spool_stack_view){ .frames = stack->frames,
		.frame_count = stack->frame_count,
		.thread_name = stack->thread_name };
}

static void find_owners(const struct reading *r, struct holdings *h)
{
	struct spool_heap_stack_view heap_stack;

	for (size_t at = 0; spool_reader_next_heap_stack(r->spool, &at, &heap_stack);) {
		const struct spool_stack_view stack = as_stack(&heap_stack);

		h->owner[heap_stack.slot] = plugins_innermost(&r->plugins, r->spool, &stack);
	}
}

/* The load of the plugin in which this was allocated has ended. */
static bool is_of_unloaded(const struct reading *r, uint32_t module_id, uint64_t time_ns)
{
	struct plugin_generation generation;

	return module_id && plugins_find_generation(r->spool, module_id, time_ns, &generation) &&
		generation.is_unloaded;
}

static void add_live(const struct reading *r, struct holdings *h)
{
	const uint64_t rate = spool_reader_heap_rate(r->spool);
	struct spool_live live;

	for (size_t at = 0; spool_reader_next_live(r->spool, &at, &live);) {
		const struct heap_weight weight = heap_weight_of(
			live.size, live.address & SPOOL_LIVE_MAPPING ? 1 : rate);
		struct in_use *sum =
			is_of_unloaded(r, h->owner[live.stack], live.time_ns) ? h->by_unloaded :
										 h->by_loaded;

		sum[live.stack].objects += weight.objects;
		sum[live.stack].bytes += weight.bytes;
	}
}

static void add_sample(struct reading *r, const struct spool_heap_stack_view *heap_stack,
	const struct in_use *allocated, const struct in_use *in_use, bool is_of_unloaded_plugin)
{
	struct profile *p = r->profile;
	const struct spool_stack_view stack = as_stack(heap_stack);
	const int64_t values[4] = { as_objects(allocated->objects), as_bytes(allocated->bytes),
		as_objects(in_use->objects), as_bytes(in_use->bytes) };
	struct profile_label labels[READING_LABELS_MAX + 3];
	uint32_t ids[SPOOL_FRAMES_PER_STACK_MAX];
	size_t label_count, frame_count;

	if (!values[0] && !values[2])
		return;
	label_count = reading_make_labels(r, &stack, labels);
	if (is_of_unloaded_plugin)
		labels[label_count++] =
			(struct profile_label){ .key = profile_intern(p, PIPELINE_UNLOADED_LABEL),
				.str = labels[0].str }; /* the plugin */
	labels[label_count++] = (struct profile_label){ .key = profile_intern(p, "bytes"),
		.num = heap_stack->size_class < 63 ? (int64_t)1 << heap_stack->size_class :
						     INT64_MAX,
		.num_unit = profile_intern(p, "bytes") };
	if (heap_stack->is_mapping)
		labels[label_count++] = (struct profile_label){
			.key = profile_intern(p, "kind"), .str = profile_intern(p, "mmap") };
	frame_count = reading_add_frames(r, &stack, ids);
	profile_add_sample(p, ids, frame_count, values, labels, label_count);
}

static void add_comment(struct profile *p, const struct spool_reader *spool)
{
	const struct spool_header *h = spool_reader_header(spool);
	const uint64_t *counters = h->counters;
	char *unseen = heap_unseen(spool);
	char *text = xasprintf(
		"plugprof %s: pid %u, heap sampled once in %llu bytes, %llu samples, "
		"%llu of them freed, %llu lost",
		VERSION, h->pid, (unsigned long long)spool_reader_heap_rate(spool),
		(unsigned long long)counters[SPOOL_COUNT_HEAP_SAMPLES],
		(unsigned long long)counters[SPOOL_COUNT_HEAP_FREES],
		(unsigned long long)(counters[SPOOL_LOST_HEAP_BUSY] +
			counters[SPOOL_LOST_HEAP_MEMORY]));

	profile_add_comment(p, text);
	free(text);
	if (unseen) {
		text = xasprintf(PIPELINE_UNSEEN_COMMENT ": %s", unseen);
		profile_add_comment(p, text);
		free(text);
		free(unseen);
	}
	if (counters[SPOOL_LOST_LIVE]) {
		text = xasprintf(PIPELINE_UNSEEN_COMMENT
			" among those in use: %llu allocations, for which there was no place; "
			"inuse_* is too low: raise the heap interval",
			(unsigned long long)counters[SPOOL_LOST_LIVE]);
		profile_add_comment(p, text);
		free(text);
	}
}

static void begin(struct reading *r, const struct spool_reader *spool)
{
	struct profile *p;

	reading_begin(r, spool);
	p = r->profile;
	profile_add_sample_type(p, "alloc_objects", "count");
	profile_add_sample_type(p, "alloc_space", "bytes");
	profile_add_sample_type(p, "inuse_objects", "count");
	profile_add_sample_type(p, "inuse_space", "bytes");
	p->default_sample_type = p->sample_types.items[3].type;
	p->period_type = (struct profile_value_type){ .type = profile_intern(p, "space"),
		.unit = profile_intern(p, "bytes") };
	p->period = (int64_t)spool_reader_heap_rate(spool);
	add_comment(p, spool);
}

struct profile *pipeline_read_heap(const struct spool_reader *spool)
{
	const size_t slots = spool_reader_heap_slots(spool) + 1;
	static const struct in_use nothing;
	struct spool_heap_stack_view stack;
	struct holdings h = {
		.by_loaded = xcalloc(slots, sizeof(*h.by_loaded)),
		.by_unloaded = xcalloc(slots, sizeof(*h.by_unloaded)),
		.owner = xcalloc(slots, sizeof(*h.owner)),
	};
	struct reading r;

	begin(&r, spool);
	find_owners(&r, &h);
	add_live(&r, &h);
	for (size_t at = 0; spool_reader_next_heap_stack(spool, &at, &stack);) {
		const struct in_use allocated = { stack.alloc_objects, stack.alloc_bytes };

		add_sample(&r, &stack, &allocated, &h.by_loaded[stack.slot], false);
		if (h.by_unloaded[stack.slot].objects)
			add_sample(&r, &stack, &nothing, &h.by_unloaded[stack.slot], true);
	}
	free(h.by_loaded);
	free(h.by_unloaded);
	free(h.owner);
	return reading_end(&r);
}
