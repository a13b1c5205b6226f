#define _GNU_SOURCE
#include "spool/live_writer.h"

#include <errno.h>

#include "base/compiler.h"
#include "base/lone_thread.h"

/* --- slots that are free --- */

/*
 * A freed slot is the next one to be filled: it is still in cache.  So free slots are stacks,
 * one for some of the threads each, linked by the numbers of slots, plus one, in place of what
 * they held.  A head counts its changes, lest it be taken for what it was before.
 */
#define SLOTS_AT_ONCE 16 /* taken from those never used */

static uint64_t *head_of(struct spool_writer *w, uint32_t thread)
{
	return &w->free_live[thread % ARRAY_SIZE(w->free_live)].head;
}

static uint64_t head_after(uint64_t head, uint32_t first)
{
	return ((head >> 32) + 1) << 32 | first;
}

static void push(struct spool_writer *w, uint64_t *at, uint32_t slot)
{
	uint64_t head = __atomic_load_n(at, __ATOMIC_RELAXED);

	do
		__atomic_store_n(&w->live[slot].stack, (uint32_t)head, __ATOMIC_RELAXED);
	while (!lone_swap(at, &head, head_after(head, slot + 1)));
}

static bool pop(const struct spool_writer *w, uint64_t *at, uint32_t *slot)
{
	uint64_t head = __atomic_load_n(at, __ATOMIC_ACQUIRE);

	do {
		if ((uint32_t)head == 0)
			return false;
		*slot = (uint32_t)head - 1;
	} while (!lone_swap(at, &head,
		head_after(head, __atomic_load_n(&w->live[*slot].stack, __ATOMIC_RELAXED))));
	return true;
}

/* Some that were never used: one for *SLOT, the others for AT. */
static bool take_new(struct spool_writer *w, uint64_t *at, uint32_t *slot)
{
	uint32_t first = __atomic_load_n(&w->live_used, __ATOMIC_RELAXED), end;

	do {
		if (first == w->live_count)
			return false;
		end = w->live_count - first < SLOTS_AT_ONCE ? w->live_count
								: first + SLOTS_AT_ONCE;
		if (!spool_touch(w, &w->live[first], (end - first) * sizeof(*w->live)))
			return false;
	} while (!__atomic_compare_exchange_n(
		&w->live_used, &first, end, true, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
	live_index_use(&w->live_index, end);
	while (--end > first)
		push(w, at, end);
	*slot = first;
	return true;
}

/* Where other threads free what this one allocates, its own are with them. */
static NOINLINE bool take_others_or_new(struct spool_writer *w, uint64_t *own, uint32_t *slot)
{
	for (uint32_t i = 0; i < ARRAY_SIZE(w->free_live); i++)
		if (pop(w, head_of(w, i), slot))
			return true;
	return take_new(w, own, slot);
}

/* --- slots in use --- */

static void give_back(struct spool_writer *w, uint32_t thread, uint32_t slot)
{
	__atomic_store_n(&w->live[slot].check, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&w->live[slot].address, 0, __ATOMIC_RELEASE);
	push(w, head_of(w, thread), slot);
}

bool spool_add_live(struct spool_writer *w, const struct spool_live *live, uint32_t thread)
{
	uint64_t *free_ones = head_of(w, thread);
	struct spool_live *to;
	uint32_t slot;

	if (UNLIKELY(!pop(w, free_ones, &slot)) && !take_others_or_new(w, free_ones, &slot)) {
		spool_count(w, SPOOL_LOST_LIVE, 1);
		return false;
	}
	to = &w->live[slot];
	to->size = live->size;
	to->time_ns = live->time_ns;
	__atomic_store_n(&to->stack, live->stack, __ATOMIC_RELAXED);
	/* Whoever frees it has got its address from the caller; others see it from here on. */
	__atomic_store_n(&to->address, live->address, __ATOMIC_RELEASE);
	__atomic_store_n(&to->check,
		spool_live_check(live->address, live->size, live->time_ns, live->stack),
		__ATOMIC_RELEASE);
	if (LIKELY(live_index_add(&w->live_index, live->address, slot)))
		return true;
	give_back(w, thread, slot);
	spool_count(w, SPOOL_LOST_LIVE, 1);
	return false;
}

bool spool_remove_live(
	struct spool_writer *w, uint64_t address, uint32_t thread, struct spool_live *was)
{
	struct live_place place;
	struct spool_live *from;
	uint64_t seen = address;
	uint32_t slot;

	if (address <= SPOOL_LIVE_BUSY)
		return false; /* free(NULL); these are what slots hold that are free */
	if (!live_index_find(&w->live_index, address, &slot, &place))
		return false;
	from = &w->live[slot];
	/* A program that frees a block twice, at once in two threads, must not hurt: one has
	 * it. */
	if (!lone_swap(&from->address, &seen, SPOOL_LIVE_BUSY))
		return false;
	*was = (struct spool_live){
		.address = address,
		.size = from->size,
		.time_ns = from->time_ns,
		.stack = from->stack,
	};
	live_index_remove(&w->live_index, address, &place);
	give_back(w, thread, slot);
	return true;
}

void spool_prefetch_live(const struct spool_writer *w, uint64_t address)
{
	live_index_prefetch(&w->live_index, address);
}

bool spool_may_have_live(const struct spool_writer *w, uint64_t address)
{
	return live_index_may_have(&w->live_index, address);
}

static bool is_mapping_between(const struct spool_live *live, uint64_t start, uint64_t end)
{
	const uint64_t address = __atomic_load_n(&live->address, __ATOMIC_ACQUIRE);
	const uint64_t first = address - SPOOL_LIVE_MAPPING;

	return (address & SPOOL_LIVE_MAPPING) && first < end && start < first + live->size;
}

bool spool_remove_mapping(struct spool_writer *w, uint64_t start, uint64_t end, uint32_t thread,
	struct spool_live *was)
{
	const uint32_t count = __atomic_load_n(&w->live_used, __ATOMIC_RELAXED);

	/* As it is most often: the very mapping that was made. */
	if (spool_remove_live(w, start | SPOOL_LIVE_MAPPING, thread, was))
		return true;
	for (uint32_t slot = 0; slot < count; slot++)
		if (is_mapping_between(&w->live[slot], start, end) &&
			spool_remove_live(w, w->live[slot].address, thread, was))
			return true;
	return false;
}

/* --- start, fork, end --- */

int spool_start_live(struct spool_writer *w)
{
	return live_index_start(&w->live_index, w->live) ? 0 : -ENOMEM;
}

void spool_abandon_live(struct spool_writer *w)
{
	live_index_free(&w->live_index);
}

bool spool_inherit_live(struct spool_writer *w, const struct spool_writer *from)
{
	const uint32_t count = from->live_used;

	if (!spool_copy_touched(w, from, from->live, count * sizeof(*from->live)))
		return false;
	w->live_used = count;
	live_index_use(&w->live_index, count);
	for (uint32_t slot = count; slot-- > 0;) {
		struct spool_live *live = &w->live[slot];

		/* An entry that another thread of the parent was busy with is nobody's here. */
		if (live->address > SPOOL_LIVE_BUSY && live->check &&
			live_index_add(&w->live_index, live->address, slot))
			continue;
		live->address = 0;
		live->check = 0;
		push(w, head_of(w, 0), slot);
	}
	return true;
}
