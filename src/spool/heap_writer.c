#include "spool/heap_writer.h"

#include <string.h>

#include "base/hash.h"
#include "base/lone_thread.h"
#include "spool/live_writer.h"

static uint64_t key_of(const struct spool_heap_site *site)
{
	const uint64_t rest = (uint64_t)site->thread_name << 9 | (uint64_t)site->kind << 8 |
		site->size_class;
	const uint64_t key = hash_mix(hash_add(site->frames_hash, rest));

	return key ? key : 1;
}

/* Where a stack was found last time.  It never moves, so its key tells whether it is still it. */
static uint32_t *recent_of(struct spool_writer *w, uint64_t key)
{
	return &w->recent_heap_stacks[(key >> 32) % ARRAY_SIZE(w->recent_heap_stacks)];
}

/* SLOT is counted in; true. */
static bool use_stack(struct spool_writer *w, uint64_t key, uint32_t found, uint32_t *slot)
{
	if (UNLIKELY(__atomic_load_n(&w->heap_stacks[found].frames, __ATOMIC_RELAXED) ==
		    SPOOL_FRAMES_REFUSED))
		spool_count(w, SPOOL_COUNT_HEAP_TABLE_FULL, 1);
	__atomic_store_n(recent_of(w, key), found, __ATOMIC_RELAXED);
	*slot = found;
	return true;
}

/* The bucket of KEY in LEVEL. */
static struct spool_heap_stack *bucket_of(
	const struct spool_writer *w, uint32_t level, uint64_t key)
{
	const uint32_t buckets = (SPOOL_HEAP_STACKS_LEVEL0 / SPOOL_BUCKET_SLOTS) << 2 * level;
	const uint32_t bucket = (uint32_t)(key & (buckets - 1));

	return &w->heap_stacks[spool_level_start(level) + bucket * SPOOL_BUCKET_SLOTS];
}

static NOINLINE bool find_in_levels(struct spool_writer *w, uint64_t key, uint32_t *slot)
{
	for (uint32_t level = 0; level < w->heap_stack_levels; level++) {
		const struct spool_heap_stack *bucket = bucket_of(w, level, key);

		if (!spool_is_touched(w, bucket))
			return false;
		for (uint32_t i = 0; i < SPOOL_BUCKET_SLOTS; i++)
			if (__atomic_load_n(&bucket[i].key, __ATOMIC_ACQUIRE) == key)
				return use_stack(
					w, key, (uint32_t)(&bucket[i] - w->heap_stacks), slot);
	}
	return false;
}

bool spool_find_heap_stack(
	struct spool_writer *w, const struct spool_heap_site *site, uint32_t *slot)
{
	const uint64_t key = key_of(site);
	const uint32_t recent = __atomic_load_n(recent_of(w, key), __ATOMIC_RELAXED);

	if (LIKELY(spool_is_touched(w, &w->heap_stacks[recent]) &&
		    __atomic_load_n(&w->heap_stacks[recent].key, __ATOMIC_ACQUIRE) == key))
		return use_stack(w, key, recent, slot);
	return find_in_levels(w, key, slot);
}

/* The slot of KEY in a bucket, claimed when new.  NULL: all are others'. */
static struct spool_heap_stack *find_in_bucket(
	struct spool_heap_stack *bucket, uint64_t key, bool *is_new)
{
	for (uint32_t i = 0; i < SPOOL_BUCKET_SLOTS; i++) {
		uint64_t seen = __atomic_load_n(&bucket[i].key, __ATOMIC_ACQUIRE);

		if (seen == 0 && __atomic_compare_exchange_n(&bucket[i].key, &seen, key, false,
					 __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
			*is_new = true;
			return &bucket[i];
		}
		if (seen == key)
			return &bucket[i];
	}
	return NULL;
}

/* The slot behind the table.  Every thread that comes here writes the same. */
static bool use_full_stack(struct spool_writer *w, uint32_t *slot)
{
	const uint32_t last = spool_level_start(w->heap_stack_levels);
	struct spool_heap_stack *stack = &w->heap_stacks[last];

	if (!spool_touch(w, stack, sizeof(*stack)) || !spool_fill_note_frame(w)) {
		spool_count(w, SPOOL_LOST_HEAP_MEMORY, 1);
		return false;
	}
	__atomic_store_n(&stack->key, 1, __ATOMIC_RELAXED);
	__atomic_store_n(&stack->frames, 1, __ATOMIC_RELEASE);
	spool_count(w, SPOOL_COUNT_HEAP_TABLE_FULL, 1);
	*slot = last;
	return true;
}

bool spool_intern_heap_stack(struct spool_writer *w, const struct spool_heap_site *site,
	const spool_frame *frames, size_t frame_count, uint32_t *slot)
{
	const uint64_t key = key_of(site);

	for (uint32_t level = 0; level < w->heap_stack_levels; level++) {
		struct spool_heap_stack *bucket = bucket_of(w, level, key);
		struct spool_heap_stack *stack;
		bool is_new = false;

		if (UNLIKELY(!spool_touch(w, bucket, SPOOL_BUCKET_SLOTS * sizeof(*bucket)))) {
			spool_count(w, SPOOL_LOST_HEAP_MEMORY, 1);
			return false;
		}
		stack = find_in_bucket(bucket, key, &is_new);
		if (!stack)
			continue;
		if (is_new) {
			stack->thread_name = site->thread_name;
			stack->size_class = site->size_class;
			stack->kind = site->kind;
			__atomic_store_n(&stack->frames,
				spool_store_frames(w, frames, frame_count), __ATOMIC_RELEASE);
		}
		return use_stack(w, key, (uint32_t)(stack - w->heap_stacks), slot);
	}
	return use_full_stack(w, slot);
}

void spool_add_allocation(struct spool_writer *w, uint32_t stack, struct heap_weight weight)
{
	struct spool_heap_stack *s = &w->heap_stacks[stack];

	lone_add(&s->alloc_objects, weight.objects);
	lone_add(&s->alloc_bytes, weight.bytes);
}

/* --- fork --- */

/* The frames of a stack that another thread was about to store will not come. */
static void begin_anew(struct spool_writer *w, uint32_t count)
{
	struct spool_heap_stack *stack = w->heap_stacks;
	const struct spool_heap_stack *end = stack + count;

	for (; (stack = spool_find_touched(w, stack, end, sizeof(*stack))) < end; stack++) {
		if (!stack->key)
			continue;
		stack->alloc_objects = 0;
		stack->alloc_bytes = 0;
		if (!stack->frames)
			stack->frames = SPOOL_FRAMES_REFUSED;
	}
}

bool spool_inherit_heap(struct spool_writer *w, const struct spool_writer *from)
{
	const uint32_t stacks = spool_level_start(from->heap_stack_levels) + 1;
	uint64_t frames = from->header->frames_used;

	if (frames > from->frame_count)
		frames = from->frame_count;
	if (from->live_used == 0)
		return true; /* no live ones, so nobody asks for a stack */
	/* Limits may have changed, and the tables with them. */
	if (!w->heap || w->live_count != from->live_count ||
		w->heap_stack_levels != from->heap_stack_levels ||
		w->frame_count != from->frame_count)
		return true;
	if (!spool_copy_touched(
		    w, from, from->heap_stacks, stacks * sizeof(*from->heap_stacks)) ||
		!spool_copy_touched(w, from, from->frames, frames * sizeof(*from->frames)))
		return false;
	w->header->frames_used = from->header->frames_used;
	begin_anew(w, stacks);
	return spool_inherit_live(w, from);
}
