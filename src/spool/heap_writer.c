#include "spool/heap_writer.h"

#include <string.h>

#include "base/hash.h"

/* The first slot of HASH's bucket in LEVEL. */
static uint32_t bucket_of(uint32_t level0, uint32_t level, uint64_t hash)
{
	const uint32_t buckets = (level0 / SPOOL_BUCKET_SLOTS) << 2 * level;

	return spool_level_start(level0, level) +
		(uint32_t)(hash & (buckets - 1)) * SPOOL_BUCKET_SLOTS;
}

/* --- stacks --- */

static uint64_t heap_stack_key(const spool_frame *frames, size_t frame_count,
	uint16_t thread_name, enum spool_heap_kind kind, uint32_t size_class)
{
	uint64_t key = (uint64_t)thread_name << 9 | (uint64_t)kind << 8 | size_class;

	for (size_t i = 0; i < frame_count; i++)
		key = hash_add(key, frames[i]);
	key = hash_mix(key + 1);
	return key ? key : 1;
}

/* The slot of KEY in a bucket, claimed when new.  NULL: all are others'. */
static struct spool_heap_stack *find_in_bucket(
	struct spool_writer *w, struct spool_heap_stack *bucket, uint64_t key, bool *is_new)
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
	const uint32_t last = spool_level_start(SPOOL_HEAP_STACKS_LEVEL0, w->heap_stack_levels);
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

bool spool_intern_heap_stack(struct spool_writer *w, const spool_frame *frames, size_t frame_count,
	uint16_t thread_name, enum spool_heap_kind kind, uint32_t size_class, uint32_t *slot)
{
	const uint64_t key = heap_stack_key(frames, frame_count, thread_name, kind, size_class);

	for (uint32_t level = 0; level < w->heap_stack_levels; level++) {
		struct spool_heap_stack *bucket =
			&w->heap_stacks[bucket_of(SPOOL_HEAP_STACKS_LEVEL0, level, key)];
		struct spool_heap_stack *stack;
		bool is_new = false;

		if (UNLIKELY(!spool_touch(w, bucket, SPOOL_BUCKET_SLOTS * sizeof(*bucket)))) {
			spool_count(w, SPOOL_LOST_HEAP_MEMORY, 1);
			return false;
		}
		stack = find_in_bucket(w, bucket, key, &is_new);
		if (!stack)
			continue;
		if (is_new) {
			stack->thread_name = thread_name;
			stack->size_class = (uint16_t)size_class;
			stack->kind = kind;
			__atomic_store_n(&stack->frames,
				spool_store_frames(w, frames, frame_count), __ATOMIC_RELEASE);
		}
		if (__atomic_load_n(&stack->frames, __ATOMIC_RELAXED) == SPOOL_FRAMES_REFUSED)
			spool_count(w, SPOOL_COUNT_HEAP_TABLE_FULL, 1);
		*slot = (uint32_t)(stack - w->heap_stacks);
		return true;
	}
	return use_full_stack(w, slot);
}

void spool_add_allocation(struct spool_writer *w, uint32_t stack, struct heap_weight weight)
{
	struct spool_heap_stack *s = &w->heap_stacks[stack];

	__atomic_fetch_add(&s->alloc_objects, weight.objects, __ATOMIC_RELAXED);
	__atomic_fetch_add(&s->alloc_bytes, weight.bytes, __ATOMIC_RELEASE);
}

/* --- live ones --- */

static void note_level(struct spool_writer *w, uint32_t used)
{
	uint32_t before = __atomic_load_n(&w->live_levels_used, __ATOMIC_RELAXED);

	while (before < used && !__atomic_compare_exchange_n(&w->live_levels_used, &before, used,
					true, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
		continue;
}

static void fill(struct spool_live *slot, const struct spool_live *live)
{
	slot->size = live->size;
	slot->time_ns = live->time_ns;
	slot->stack = live->stack;
	/* Whoever frees it has got its address from the caller; others see it from here on. */
	__atomic_store_n(&slot->address, live->address, __ATOMIC_SEQ_CST);
	__atomic_store_n(&slot->check,
		spool_live_check(live->address, live->size, live->time_ns, live->stack),
		__ATOMIC_RELEASE);
}

bool spool_add_live(struct spool_writer *w, const struct spool_live *live)
{
	const uint64_t hash = hash_mix(live->address);

	for (uint32_t level = 0; level < w->live_levels; level++) {
		struct spool_live *bucket =
			&w->live[bucket_of(SPOOL_LIVE_LEVEL0, level, hash)];

		if (UNLIKELY(!spool_touch(w, bucket, SPOOL_BUCKET_SLOTS * sizeof(*bucket))))
			break;
		note_level(w, level + 1);
		for (uint32_t i = 0; i < SPOOL_BUCKET_SLOTS; i++) {
			uint64_t free_address = 0;

			if (__atomic_compare_exchange_n(&bucket[i].address, &free_address,
				    SPOOL_LIVE_BUSY, false, __ATOMIC_ACQUIRE,
				    __ATOMIC_RELAXED)) {
				fill(&bucket[i], live);
				return true;
			}
		}
	}
	spool_count(w, SPOOL_LOST_LIVE, 1);
	return false;
}

/* A program that frees a block twice, at once in two threads, must not hurt: one takes it. */
static bool take(struct spool_live *slot, uint64_t address, struct spool_live *was)
{
	*was = (struct spool_live){
		.address = address,
		.size = slot->size,
		.time_ns = slot->time_ns,
		.stack = slot->stack,
	};
	__atomic_store_n(&slot->check, 0, __ATOMIC_SEQ_CST);
	return __atomic_compare_exchange_n(
		&slot->address, &address, 0, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED);
}

bool spool_remove_live(struct spool_writer *w, uint64_t address, struct spool_live *was)
{
	const uint32_t levels = __atomic_load_n(&w->live_levels_used, __ATOMIC_RELAXED);
	const uint64_t hash = hash_mix(address);

	if (address <= SPOOL_LIVE_BUSY)
		return false; /* free(NULL); these are what slots hold that are free */
	for (uint32_t level = 0; level < levels; level++) {
		struct spool_live *bucket =
			&w->live[bucket_of(SPOOL_LIVE_LEVEL0, level, hash)];

		if (!spool_is_touched(w, bucket))
			return false; /* nothing has come to this level */
		for (uint32_t i = 0; i < SPOOL_BUCKET_SLOTS; i++)
			if (__atomic_load_n(&bucket[i].address, __ATOMIC_ACQUIRE) == address)
				return take(&bucket[i], address, was);
	}
	return false;
}

static bool is_mapping_between(const struct spool_live *live, uint64_t start, uint64_t end)
{
	const uint64_t address = __atomic_load_n(&live->address, __ATOMIC_ACQUIRE);
	const uint64_t first = address - SPOOL_LIVE_MAPPING;

	return (address & SPOOL_LIVE_MAPPING) && first < end && start < first + live->size;
}

bool spool_remove_mapping(
	struct spool_writer *w, uint64_t start, uint64_t end, struct spool_live *was)
{
	const uint32_t levels = __atomic_load_n(&w->live_levels_used, __ATOMIC_RELAXED);
	const uint32_t count = spool_level_start(SPOOL_LIVE_LEVEL0, levels);

	/* As it is most often: the very mapping that was made. */
	if (spool_remove_live(w, start | SPOOL_LIVE_MAPPING, was))
		return true;
	for (uint32_t i = 0; i < count; i++)
		if (spool_is_touched(w, &w->live[i]) &&
			is_mapping_between(&w->live[i], start, end) &&
			take(&w->live[i], w->live[i].address, was))
			return true;
	return false;
}

void spool_each_live(const struct spool_writer *w, void (*visit)(uint64_t address, void *context),
	void *context)
{
	const uint32_t levels = __atomic_load_n(&w->live_levels_used, __ATOMIC_SEQ_CST);
	const uint32_t count = spool_level_start(SPOOL_LIVE_LEVEL0, levels);

	for (uint32_t i = 0; i < count; i++) {
		uint64_t address;

		if (!spool_is_touched(w, &w->live[i]))
			continue;
		address = __atomic_load_n(&w->live[i].address, __ATOMIC_SEQ_CST);
		if (address > SPOOL_LIVE_BUSY && !(address & SPOOL_LIVE_MAPPING))
			visit(address, context);
	}
}

/* --- fork --- */

/* An entry that another thread of the parent was busy with is nobody's here. */
static void drop_unfinished(struct spool_writer *w)
{
	const uint32_t count = spool_level_start(SPOOL_LIVE_LEVEL0, w->live_levels_used);

	for (uint32_t i = 0; i < count; i++)
		if (spool_is_touched(w, &w->live[i]) && w->live[i].address && !w->live[i].check)
			w->live[i].address = 0;
}

/* The frames of a stack that another thread was about to store will not come. */
static void begin_anew(struct spool_writer *w, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		struct spool_heap_stack *stack = &w->heap_stacks[i];

		if (!spool_is_touched(w, stack) || !stack->key)
			continue;
		stack->alloc_objects = 0;
		stack->alloc_bytes = 0;
		if (!stack->frames)
			stack->frames = SPOOL_FRAMES_REFUSED;
	}
}

bool spool_inherit_heap(struct spool_writer *w, const struct spool_writer *from)
{
	const uint32_t stacks =
		spool_level_start(SPOOL_HEAP_STACKS_LEVEL0, from->heap_stack_levels) + 1;
	uint64_t frames = from->header->frames_used;

	if (frames > from->frame_count)
		frames = from->frame_count;
	/* Limits may have changed, and the tables with them. */
	if (!w->heap || w->live_levels != from->live_levels ||
		w->heap_stack_levels != from->heap_stack_levels ||
		w->frame_count != from->frame_count)
		return true;
	w->live_levels_used = from->live_levels_used;
	if (!spool_copy_touched(w, from, from->live,
		    spool_level_start(SPOOL_LIVE_LEVEL0, from->live_levels_used) *
			    sizeof(*from->live)) ||
		!spool_copy_touched(
			w, from, from->heap_stacks, stacks * sizeof(*from->heap_stacks)) ||
		!spool_copy_touched(w, from, from->frames, frames * sizeof(*from->frames)))
		return false;
	w->header->frames_used = from->header->frames_used;
	drop_unfinished(w);
	begin_anew(w, stacks);
	return true;
}
