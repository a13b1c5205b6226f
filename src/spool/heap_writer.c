#include "spool/heap_writer.h"

#include <string.h>

#include "base/hash.h"

/* The first slot of the bucket that HASH picks in LEVEL. */
static uint32_t bucket_of(uint32_t level0, uint32_t level, uint64_t hash)
{
	const uint32_t buckets = (level0 / SPOOL_BUCKET_SLOTS) << 2 * level;

	return spool_level_start(level0, level) +
		(uint32_t)(hash & (buckets - 1)) * SPOOL_BUCKET_SLOTS;
}

/* --- stacks --- */

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

bool spool_find_heap_stack(
	struct spool_writer *w, const struct spool_heap_site *site, uint32_t *slot)
{
	const uint64_t key = key_of(site);
	const uint32_t recent = __atomic_load_n(recent_of(w, key), __ATOMIC_RELAXED);

	return spool_is_touched(w, &w->heap_stacks[recent]) &&
		__atomic_load_n(&w->heap_stacks[recent].key, __ATOMIC_ACQUIRE) == key &&
		use_stack(w, key, recent, slot);
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

bool spool_intern_heap_stack(struct spool_writer *w, const struct spool_heap_site *site,
	const spool_frame *frames, size_t frame_count, uint32_t *slot)
{
	const uint64_t key = key_of(site);

	for (uint32_t level = 0; level < w->heap_stack_levels; level++) {
		struct spool_heap_stack *bucket =
			&w->heap_stacks[bucket_of(SPOOL_HEAP_STACKS_LEVEL0, level, key)];
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

	__atomic_fetch_add(&s->alloc_objects, weight.objects, __ATOMIC_RELAXED);
	__atomic_fetch_add(&s->alloc_bytes, weight.bytes, __ATOMIC_RELEASE);
}

/* --- live ones --- */

/*
 * Beside the table, in memory of our own, each slot has a tag of one byte: some bits of a hash
 * of its address, 0 when it is free.  So a bucket is told by one word, and a look for an address
 * reads the one slot it is in.  Tags only advise: the slot's ADDRESS is what counts.  A slot's tag
 * is written by whoever has claimed the slot, and nobody else.
 */
#define EACH_BYTE UINT64_C(0x0101010101010101)

static uint8_t tag_of(uint64_t address)
{
	return (uint8_t)(address * UINT64_C(0x9e3779b97f4a7c15) >> 56) | 1;
}

/*
 * In place of a hash: which bucket ADDRESS has.  Blocks that lie together are used together, so
 * those of 64 bytes share a bucket, which two of the smallest blocks of most allocators do, and
 * those of 2 KiB have 32 buckets that lie together.  That also fills the buckets more evenly than
 * chance would.  Where in these 32 the first one is differs, for the sake of big blocks, which all
 * begin alike.
 */
static uint64_t place_of(uint64_t address)
{
	const uint64_t group = (address >> 11) * UINT64_C(0x9e3779b97f4a7c15) >> 32;

	return (group & ~(uint64_t)31) | ((group + (address >> 6)) & 31);
}

static void set_tag(struct spool_writer *w, const struct spool_live *slot, uint8_t tag)
{
	__atomic_store_n((uint8_t *)w->live_tags + (slot - w->live), tag, __ATOMIC_RELAXED);
}

static uint64_t tags_at(const struct spool_writer *w, uint32_t bucket)
{
	return __atomic_load_n(&w->live_tags[bucket / SPOOL_BUCKET_SLOTS], __ATOMIC_RELAXED);
}

/* The highest bit of each byte of TAGS that is TAG, and sometimes of one that is not. */
static uint64_t find_tag(uint64_t tags, uint8_t tag)
{
	const uint64_t differing = tags ^ tag * EACH_BYTE;

	return (differing - EACH_BYTE) & ~differing & EACH_BYTE << 7;
}

static uint32_t next_found(uint64_t *found)
{
	const uint32_t i = (uint32_t)__builtin_ctzll(*found) / 8;

	*found &= *found - 1;
	return i;
}

/* The level in which a block of that place was last put: most often that of the next one, too. */
static uint8_t *hint_of(struct spool_writer *w, uint64_t place)
{
	return &w->live_hints[place % ARRAY_SIZE(w->live_hints)];
}

static void note_level(struct spool_writer *w, uint32_t used)
{
	uint32_t before = __atomic_load_n(&w->live_levels_used, __ATOMIC_RELAXED);

	while (before < used && !__atomic_compare_exchange_n(&w->live_levels_used, &before, used,
					true, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
		continue;
}

static bool claim(struct spool_live *slot, uint64_t address)
{
	return __atomic_compare_exchange_n(&slot->address, &address, SPOOL_LIVE_BUSY, false,
		__ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

static void fill(struct spool_live *slot, const struct spool_live *live)
{
	slot->size = live->size;
	slot->time_ns = live->time_ns;
	slot->stack = live->stack;
	/* Whoever frees it has got its address from the caller; others see it from here on. */
	__atomic_store_n(&slot->address, live->address, __ATOMIC_RELEASE);
	__atomic_store_n(&slot->check,
		spool_live_check(live->address, live->size, live->time_ns, live->stack),
		__ATOMIC_RELEASE);
}

bool spool_add_live(struct spool_writer *w, const struct spool_live *live)
{
	const uint64_t place = place_of(live->address);

	for (uint32_t level = 0; level < w->live_levels; level++) {
		const uint32_t bucket = bucket_of(SPOOL_LIVE_LEVEL0, level, place);
		uint64_t found = find_tag(tags_at(w, bucket), 0);

		if (!found)
			continue;
		if (UNLIKELY(!spool_is_touched(w, &w->live[bucket])) &&
			!spool_touch(w, &w->live[bucket], SPOOL_BUCKET_SLOTS * sizeof(*live)))
			break;
		note_level(w, level + 1);
		while (found) {
			struct spool_live *slot = &w->live[bucket + next_found(&found)];

			if (claim(slot, 0)) {
				set_tag(w, slot, tag_of(live->address));
				__atomic_store_n(hint_of(w, place), (uint8_t)level,
					__ATOMIC_RELAXED);
				fill(slot, live);
				return true;
			}
		}
	}
	spool_count(w, SPOOL_LOST_LIVE, 1);
	return false;
}

/* A program that frees a block twice, at once in two threads, must not hurt: one takes it. */
static bool take(
	struct spool_writer *w, struct spool_live *slot, uint64_t address, struct spool_live *was)
{
	if (!claim(slot, address))
		return false;
	*was = (struct spool_live){
		.address = address,
		.size = slot->size,
		.time_ns = slot->time_ns,
		.stack = slot->stack,
	};
	set_tag(w, slot, 0);
	__atomic_store_n(&slot->check, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&slot->address, 0, __ATOMIC_RELEASE);
	return true;
}

/* ADDRESS's slot in LEVEL; NULL: it is not there. */
static struct spool_live *find_live(
	const struct spool_writer *w, uint64_t address, uint64_t place, uint32_t level)
{
	const uint32_t bucket = bucket_of(SPOOL_LIVE_LEVEL0, level, place);
	uint64_t found = find_tag(tags_at(w, bucket), tag_of(address));

	while (found) {
		struct spool_live *slot = &w->live[bucket + next_found(&found)];

		/* A tag that was not there is no sign that the slot's memory is. */
		if (spool_is_touched(w, slot) &&
			__atomic_load_n(&slot->address, __ATOMIC_ACQUIRE) == address)
			return slot;
	}
	return NULL;
}

bool spool_remove_live(struct spool_writer *w, uint64_t address, struct spool_live *was)
{
	const uint64_t place = place_of(address);
	struct spool_live *slot;

	if (address <= SPOOL_LIVE_BUSY)
		return false; /* free(NULL); these are what slots hold that are free */
	slot = find_live(w, address, place, __atomic_load_n(hint_of(w, place), __ATOMIC_RELAXED));
	for (uint32_t level = 0;
		!slot && level < __atomic_load_n(&w->live_levels_used, __ATOMIC_RELAXED); level++)
		slot = find_live(w, address, place, level);
	return slot && take(w, slot, address, was);
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
			take(w, &w->live[i], w->live[i].address, was))
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
	struct spool_live *slot = w->live;
	const struct spool_live *end =
		slot + spool_level_start(SPOOL_LIVE_LEVEL0, w->live_levels_used);

	for (; (slot = spool_find_touched(w, slot, end, sizeof(*slot))) < end; slot++) {
		if (!slot->address)
			continue;
		if (slot->address == SPOOL_LIVE_BUSY || !slot->check)
			slot->address = 0;
		else
			set_tag(w, slot, tag_of(slot->address));
	}
}

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
	const uint32_t stacks =
		spool_level_start(SPOOL_HEAP_STACKS_LEVEL0, from->heap_stack_levels) + 1;
	uint64_t frames = from->header->frames_used;

	if (frames > from->frame_count)
		frames = from->frame_count;
	if (from->live_levels_used == 0)
		return true; /* no live ones, so nobody asks for a stack */
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
