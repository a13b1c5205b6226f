#define _GNU_SOURCE
#include "agent/alloc_sampler.h"

#include <string.h>
#include <x86intrin.h>

#include "agent/labels.h"
#include "agent/module_life.h"
#include "agent/modules.h"
#include "agent/own_process.h"
#include "agent/probes.h"
#include "agent/scratch.h"
#include "agent/unwind.h"
#include "base/hash.h"
#include "base/monotonic.h"
#include "spool/heap_writer.h"
#include "spool/label_writer.h"
#include "spool/live_writer.h"

#define FINE_RATE_BYTES 256 /* up to here most allocations are samples: no filter helps */

static struct spool_writer *recording; /* NULL: nothing is recorded */
static bool is_over; /* and never will be again */
static uint64_t rate_bytes, stop_at_ns;
static uint64_t random_state;
static bool tells_generations;
static bool is_fine; /* most allocations are samples */

static struct spool_writer *current_spool(void)
{
	struct spool_writer *spool = __atomic_load_n(&recording, __ATOMIC_ACQUIRE);

	/* A copy of the process leaves the spool alone: it is its parent's. */
	return spool && own_process_is_here() ? spool : NULL;
}

/* --- the countdown --- */

/* The natural logarithm of X in (0, 1]: the exponent, and the series of artanh for what is left. */
static double logarithm(double x)
{
	uint64_t bits;
	double s, square, sum = 0;
	int exponent;

	memcpy(&bits, &x, sizeof(bits));
	exponent = (int)(bits >> 52) - 1022;
	bits = (bits & 0x000fffffffffffffu) | (uint64_t)1022 << 52;
	memcpy(&x, &bits, sizeof(x)); /* 1/2 <= x < 1 */
	if (x < 0.70710678118654752) {
		x *= 2;
		exponent--;
	}
	s = (x - 1) / (x + 1);
	square = s * s;
	for (int n = 17; n >= 1; n -= 2)
		sum = sum * square + 1.0 / n;
	return exponent * 0.69314718055994531 + 2 * s * sum;
}

/* Bytes to the next point: exponentially distributed, rounded up. */
static uint64_t next_gap(void)
{
	uint64_t x = __atomic_add_fetch(&random_state, 0x9e3779b97f4a7c15u, __ATOMIC_RELAXED);
	double uniform = (double)((hash_mix(x) >> 11) + 1) * (1.0 / 9007199254740992.0);

	return 1 + (uint64_t)(-logarithm(uniform) * (double)rate_bytes);
}

#define CREDIT_BYTES 65536 /* between two looks whether recording has begun */

NOINLINE bool alloc_sampler_takes(size_t size)
{
	uint64_t gap;

	if (!current_spool()) {
		thread_self.heap_left = is_over ? UINT64_MAX / 2 : CREDIT_BYTES;
		return false;
	}
	if (rate_bytes == 1) {
		thread_self.heap_left = 0;
		return true;
	}
	gap = next_gap();
	if (!thread_self.heap_started) {
		thread_self.heap_started = true;
		if (gap > size) {
			thread_self.heap_left = gap - size;
			return false;
		}
		gap = next_gap();
	}
	thread_self.heap_left = gap;
	return true;
}

/* --- samples --- */

static void add_live(struct spool_writer *spool, const struct spool_live *live)
{
	if (!spool_add_live(spool, live, thread_self.tid))
		return;
	if (is_fine)
		live_filter_keep(live->address);
	else
		live_filter_add(live->address);
}

static bool remove_live(struct spool_writer *spool, const void *block, struct spool_live *was)
{
	if (!spool_remove_live(spool, (uint64_t)block, thread_self.tid, was))
		return false;
	if (!is_fine)
		live_filter_remove((uint64_t)block);
	probe_free((uint64_t)block);
	spool_count(spool, SPOOL_COUNT_HEAP_FREES, 1);
	return true;
}

static bool is_past_stop(uint64_t now_ns)
{
	return stop_at_ns && now_ns >= stop_at_ns;
}

/* The slot of the stack whose FRAME_COUNT frames are SCRATCH's, with what is told behind them. */
static bool intern_stack(struct spool_writer *spool, struct unwind_scratch *scratch,
	size_t frame_count, spool_frame labels, struct spool_heap_site *site, uint32_t *slot)
{
	if (UNLIKELY(tells_generations))
		frame_count = modules_append_generations(scratch->frames, frame_count);
	frame_count = labels_append(scratch->frames, frame_count, labels);
	site->frames_hash = spool_hash_frames(0, scratch->frames, frame_count);
	if (UNLIKELY(labels && spool_is_half_full(spool))) {
		if (spool_find_heap_stack(spool, site, slot))
			return true;
		spool_count_lost_labels(spool);
		site->frames_hash = spool_hash_frames(0, scratch->frames, --frame_count);
	}
	return spool_intern_heap_stack(spool, site, scratch->frames, frame_count, slot);
}

/* Where stacks follow one another closely, most are along the last one, and known. */
static bool find_next_stack(struct spool_writer *spool, struct unwind_scratch *scratch,
	const uint64_t *frame, struct spool_heap_site *site, uint32_t *slot)
{
	const struct unwind_stack stack = unwind_capture_next(scratch, threads_own_stack(), frame);
	const spool_frame labels = labels_note(spool);

	if (stack.is_truncated)
		spool_count(spool, SPOOL_COUNT_HEAP_TRUNCATED, 1);
	site->frames_hash = stack.hash;
	if (LIKELY(!tells_generations && !labels) &&
		LIKELY(spool_find_heap_stack(spool, site, slot)))
		return true;
	return intern_stack(
		spool, scratch, unwind_write_frames(scratch, &stack), labels, site, slot);
}

static bool find_stack(struct spool_writer *spool, struct unwind_scratch *scratch,
	struct spool_heap_site *site, uint32_t *slot)
{
	size_t frame_count;

	unwind_registers_here(&scratch->registers);
	frame_count = unwind_capture(scratch, threads_own_stack());
	if (unwind_is_truncated(scratch, frame_count))
		spool_count(spool, SPOOL_COUNT_HEAP_TRUNCATED, 1);
	return intern_stack(spool, scratch, frame_count, labels_note(spool), site, slot);
}

/* When what was just allocated was.  The clock of the kernel's ticks does: no block is older than
 * the library whose code it is of. */
static uint64_t block_time_ns(void)
{
	const uint64_t now_ns = clock_now_ns(CLOCK_MONOTONIC_COARSE);
	const uint64_t latest_load_ns = module_life_latest_load_ns();

	return now_ns > latest_load_ns ? now_ns : latest_load_ns;
}

static bool record_stack(struct spool_writer *spool, struct unwind_scratch *scratch,
	enum spool_heap_kind kind, const uint64_t *frame, struct spool_live *live)
{
	struct spool_heap_site site = {
		.thread_name = threads_name_self(),
		.size_class = (uint16_t)heap_size_class(live->size),
		.kind = kind,
	};

	if (!(is_fine && frame ?
			    find_next_stack(spool, scratch, frame, &site, &live->stack) :
			    find_stack(spool, scratch, &site, &live->stack)))
		return false;
	/* Behind the walk, which may have met a library for the first time: the block is then
	 * younger than its load. */
	live->time_ns = block_time_ns();
	__atomic_store_n(&spool->header->last_monotonic_ns, live->time_ns, __ATOMIC_RELAXED);
	return true;
}

static bool take_stack(struct spool_writer *spool, enum spool_heap_kind kind,
	const uint64_t *frame, struct spool_live *live)
{
	struct unwind_scratch *scratch = thread_self.heap_scratch ?
		scratch_take_back(thread_self.heap_scratch, threads_own_stack()) :
		scratch_take(thread_self.tid);
	bool taken = false;

	spool_count(spool, SPOOL_COUNT_HEAP_SAMPLES, 1);
	if (!scratch) {
		spool_count(spool, SPOOL_LOST_HEAP_BUSY, 1);
		return false;
	}
	thread_self.heap_scratch = scratch_number(scratch);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	if (__atomic_load_n(&recording, __ATOMIC_SEQ_CST) == spool)
		taken = record_stack(spool, scratch, kind, frame, live);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	thread_self.heap_scratch = 0;
	scratch_give_back(scratch);
	return taken;
}

struct spool_writer *alloc_sampler_spool(void)
{
	struct spool_writer *spool = current_spool();

	return spool && !is_past_stop(stop_at_ns ? monotonic_ns() : 0) ? spool : NULL;
}

static bool is_live(const struct spool_writer *spool, const void *block)
{
	return is_fine ? spool_may_have_live(spool, (uint64_t)block) : live_filter_has(block);
}

bool alloc_sampler_knows(const void *block)
{
	const struct spool_writer *spool = alloc_sampler_spool();

	return spool && is_live(spool, block);
}

NOINLINE void alloc_sampler_record(const void *block, size_t size, const uint64_t *frame)
{
	struct spool_writer *spool = alloc_sampler_spool();
	struct spool_live live = { .address = (uint64_t)block, .size = size }, stale;
	struct heap_weight weight;

	if (!spool)
		return;
	spool_prefetch_live(spool, live.address);
	if (!take_stack(spool, SPOOL_HEAP_BLOCK, frame, &live))
		return;
	if (is_live(spool, block))
		remove_live(spool, block, &stale); /* freed past our hooks */
	weight = heap_weight_of(size, rate_bytes);
	spool_add_allocation(spool, live.stack, weight);
	add_live(spool, &live);
	probe_alloc(live.address, size, weight.bytes);
}

void alloc_sampler_record_mapping(uint64_t start, uint64_t size)
{
	struct spool_writer *spool = alloc_sampler_spool();
	struct spool_live live = { .address = start | SPOOL_LIVE_MAPPING, .size = size };

	if (!spool || !take_stack(spool, SPOOL_HEAP_MAPPING, NULL, &live))
		return;
	spool_add_allocation(spool, live.stack, heap_weight_of(size, 1));
	spool_add_live(spool, &live, thread_self.tid);
}

NOINLINE bool alloc_sampler_forget(const void *block, struct spool_live *was)
{
	struct spool_writer *spool = alloc_sampler_spool();

	alloc_sampler_mend_countdown();
	return spool && remove_live(spool, block, was);
}

void alloc_sampler_put_back(const struct spool_live *was)
{
	struct spool_writer *spool = current_spool();

	if (!spool)
		return;
	spool_count(spool, SPOOL_COUNT_HEAP_FREES, (uint64_t)-1);
	add_live(spool, was);
}

/* --- start and stop --- */

static void begin(struct spool_writer *spool)
{
	stop_at_ns = spool->header->stop_monotonic_ns;
	rate_bytes = spool->heap->rate_bytes;
	thread_self.heap_left = 0; /* the credit it had before */
	thread_self.heap_started = false;
	thread_self.heap_scratch = 0;
	__atomic_store_n(&recording, spool, __ATOMIC_SEQ_CST);
}

void alloc_sampler_start(struct spool_writer *spool, bool generations)
{
	tells_generations = generations;
	if (!spool->heap)
		return;
	random_state = hash_mix(__rdtsc() ^ (uint64_t)&spool);
	is_fine = spool->heap->rate_bytes <= FINE_RATE_BYTES;
	begin(spool);
}

void alloc_sampler_stop(void)
{
	__atomic_store_n(&recording, NULL, __ATOMIC_SEQ_CST);
	is_over = true;
}

void alloc_sampler_restart_in_child(struct spool_writer *spool)
{
	if (!spool->heap)
		return;
	random_state = hash_mix(random_state ^ __rdtsc());
	begin(spool);
}
