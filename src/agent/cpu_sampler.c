#define _GNU_SOURCE
#include "agent/cpu_sampler.h"

#include <stdbool.h>
#include <string.h>
#include <x86intrin.h>

#include "agent/alloc_sampler.h"
#include "agent/labels.h"
#include "agent/modules.h"
#include "agent/scratch.h"
#include "agent/signals.h"
#include "agent/threads.h"
#include "agent/unwind.h"
#include "base/compiler.h"
#include "base/monotonic.h"

static struct spool_writer *recording; /* NULL: ticks are ignored */
static uint64_t stop_at_ns;
static bool tells_generations;

/* Periods since the last tick was delivered: the kernel looks at timers once a scheduler tick, and
 * counts what it could not deliver separately. */
static uint64_t periods_of(const siginfo_t *info)
{
	return 1 + (uint64_t)(info->si_overrun > 0 ? info->si_overrun : 0);
}

static void note_cost(struct spool_writer *spool, uint64_t cycles)
{
	int log2 = 63 - __builtin_clzll(cycles | 1);
	int bucket = log2 < 2 ? 0 : 4 * (log2 - SPOOL_COST_FIRST) + (int)(cycles >> (log2 - 2) & 3);

	if (bucket < 0)
		bucket = 0;
	if (bucket >= SPOOL_COST_BUCKETS)
		bucket = SPOOL_COST_BUCKETS - 1;
	__atomic_fetch_add(&spool->header->handler_cost[bucket], 1, __ATOMIC_RELAXED);
}

/* --- ends of threads --- */

/* start_thread and what is below it: the same for every thread that libc starts. */
#define ROOT_FRAMES_MAX 8
static spool_frame root_frames[ROOT_FRAMES_MAX];
static size_t root_frame_count;

void cpu_sampler_thread_begins(void)
{
	struct unwind_scratch *scratch;
	size_t count;

	if (LIKELY(__atomic_load_n(&root_frame_count, __ATOMIC_ACQUIRE)))
		return;
	scratch = scratch_take(thread_self.tid);
	if (!scratch)
		return;
	unwind_registers_here(&scratch->registers);
	count = unwind_capture(scratch, threads_own_stack());
	/* Two first threads write the same. */
	if (count <= ROOT_FRAMES_MAX && !unwind_is_truncated(scratch, count)) {
		memcpy(root_frames, scratch->frames, count * sizeof(*root_frames));
		__atomic_store_n(&root_frame_count, count, __ATOMIC_RELEASE);
	}
	scratch_give_back(scratch);
}

/* Behind the note in SCRATCH->frames: how many frames in all. */
static size_t add_callers(struct unwind_scratch *scratch)
{
	size_t count = 1;

	if (!thread_self.routine) {
		/* The main thread, in exit. */
		unwind_registers_here(&scratch->registers);
		count = unwind_capture(scratch, threads_own_stack());
		if (count == SPOOL_FRAMES_PER_STACK_MAX)
			count--;
		memmove(scratch->frames + 1, scratch->frames, count * sizeof(*scratch->frames));
		return count + 1;
	}
	scratch->frames[count++] = unwind_frame_at((uint64_t)thread_self.routine);
	for (size_t i = 0; i < __atomic_load_n(&root_frame_count, __ATOMIC_ACQUIRE); i++)
		scratch->frames[count++] = root_frames[i];
	return count;
}

void cpu_sampler_record_end(uint64_t periods)
{
	struct spool_writer *spool = __atomic_load_n(&recording, __ATOMIC_ACQUIRE);
	struct unwind_scratch *scratch;
	size_t count;

	if (!spool || periods == 0 || (stop_at_ns && monotonic_ns() >= stop_at_ns))
		return;
	spool_count(spool, SPOOL_COUNT_TICKS, periods);
	scratch = scratch_take(thread_self.tid);
	if (!scratch) {
		spool_count(spool, SPOOL_LOST_BUSY, periods);
		return;
	}
	count = add_callers(scratch);
	scratch->frames[0] = spool_frame_note(SPOOL_NOTE_ENDED, 0);
	count = labels_append(scratch->frames, count, labels_note(spool));
	spool_append_sample(spool, scratch->frames, count, threads_name_self(), periods);
	spool_count(spool, SPOOL_COUNT_SAMPLES, 1);
	scratch_give_back(scratch);
}

/* --- ticks --- */

static void record(struct spool_writer *spool, struct unwind_scratch *scratch, uint64_t periods,
	const ucontext_t *context)
{
	size_t frame_count;

	unwind_registers(context, &scratch->registers);
	frame_count = unwind_capture(scratch, threads_own_stack());
	if (unwind_is_truncated(scratch, frame_count))
		spool_count(spool, SPOOL_COUNT_TRUNCATED, 1);
	if (UNLIKELY(tells_generations))
		frame_count = modules_append_generations(scratch->frames, frame_count);
	frame_count = labels_append(scratch->frames, frame_count, labels_note(spool));
	spool_append_sample(spool, scratch->frames, frame_count, threads_name_self(), periods);
	spool_count(spool, SPOOL_COUNT_SAMPLES, 1);
}

static void sample(struct spool_writer *spool, const siginfo_t *info, const ucontext_t *context)
{
	const uint64_t started = __rdtsc();
	const uint64_t periods = periods_of(info);
	const uint64_t now_ns = monotonic_ns();
	struct unwind_scratch *scratch;

	alloc_sampler_mend_countdown();
	if (UNLIKELY(thread_self.tid == 0))
		threads_adopt_self();
	if (UNLIKELY(stop_at_ns && now_ns >= stop_at_ns)) {
		threads_silence_self();
		return;
	}
	if (UNLIKELY(info->si_value.sival_ptr == &process_tick_cookie)) {
		if (thread_self.has_timer)
			return; /* it counts its own time */
		spool_count(spool, SPOOL_COUNT_FALLBACK_TICKS, periods);
	} else {
		thread_self.has_timer = true; /* perhaps since a scan */
	}
	if (UNLIKELY(thread_self.has_ended))
		return; /* counted by threads_end() */
	thread_self.periods_seen += (uint32_t)periods;
	spool_count(spool, SPOOL_COUNT_TICKS, periods);
	scratch = scratch_take(thread_self.tid);
	if (UNLIKELY(!scratch)) {
		spool_count(spool, SPOOL_LOST_BUSY, periods);
		return;
	}
	if (LIKELY(__atomic_load_n(&recording, __ATOMIC_SEQ_CST) == spool)) {
		record(spool, scratch, periods, context);
		__atomic_store_n(&spool->header->last_monotonic_ns, now_ns, __ATOMIC_RELAXED);
		__atomic_store_n(&spool->header->last_tsc, started, __ATOMIC_RELAXED);
		threads_scan_sometimes(now_ns);
		note_cost(spool, __rdtsc() - started);
	}
	scratch_give_back(scratch);
}

void cpu_sampler_tick(int number, siginfo_t *info, void *context)
{
	struct spool_writer *spool = __atomic_load_n(&recording, __ATOMIC_ACQUIRE);

	if (UNLIKELY(!signals_is_tick(info))) {
		if (spool)
			spool_count(spool, SPOOL_COUNT_FOREIGN_SIGNALS, 1);
		signals_forward(number, info, context);
		return;
	}
	/* No errno to keep: nothing below calls libc's wrappers of system calls. */
	if (spool)
		sample(spool, info, context);
}

void cpu_sampler_start(struct spool_writer *spool, bool generations)
{
	tells_generations = generations;
	stop_at_ns = spool->header->stop_monotonic_ns;
	__atomic_store_n(&recording, spool, __ATOMIC_SEQ_CST);
}

void cpu_sampler_stop(void)
{
	__atomic_store_n(&recording, NULL, __ATOMIC_SEQ_CST);
	scratch_wait_for_all();
}
