/*
 * Sampling of allocations: a Poisson process over the bytes that each thread asks for.  A thread
 * counts down the bytes to its next point; the block that passes it is a sample, and is weighted by
 * its own size (spool/heap_weight.h).  Until it is freed it is among the spool's live ones.
 *
 * For the hooks.  Nothing here allocates, locks or touches errno; any thread, and any handler of
 * the host's, whatever it has interrupted.
 */
#ifndef AGENT_ALLOC_SAMPLER_H
#define AGENT_ALLOC_SAMPLER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/live_filter.h"
#include "agent/threads.h"
#include "base/compiler.h"
#include "spool/spool_writer.h"

/* SIZE bytes are asked for.  True: ask alloc_sampler_takes(), which is hardly ever so, except on a
 * thread's first call and where nothing is sampled at all. */
static inline bool alloc_sampler_is_due(size_t size)
{
	/* left -= size, and was left <= size?  GCC wants two more instructions for it. */
	__asm__ goto("subq %1, %0\n\tjbe %l[due]"
		     : /* none: GCC before 11 */
		     : "m"(thread_self.heap_left), "r"(size)
		     : "memory", "cc"
		     : due);
	return false;
due:
	return true;
}

/* This one is to be sampled, if it succeeds.  The countdown begins anew. */
bool alloc_sampler_takes(size_t size);

/* When the host jumps out of a hook (siglongjmp in a handler) between these two, the countdown is
 * below zero, a very large number: nothing would be due any more.  Free calls and ticks look. */
static inline void alloc_sampler_mend_countdown(void)
{
	if (UNLIKELY((int64_t)thread_self.heap_left < 0))
		thread_self.heap_left = 0;
}

/* BLOCK was allocated, and its caller does not have it yet.  FRAME: the hook's, see
 * unwind_capture_next(). */
void alloc_sampler_record(const void *block, size_t size, const uint64_t *frame);

/* Is BLOCK perhaps a sampled one? */
static inline bool alloc_sampler_may_know(const void *block)
{
	return UNLIKELY(live_filter_has(block));
}

/* It is among the live samples; where not every allocation is one, perhaps. */
bool alloc_sampler_knows(const void *block);

/* BLOCK is about to be freed, and nobody else has it.  True: it was a sampled one; *WAS is for
 * alloc_sampler_put_back(), should it stay after all. */
bool alloc_sampler_forget(const void *block, struct spool_live *was);
void alloc_sampler_put_back(const struct spool_live *was);

/* For mappings.h: a mapping of SIZE bytes has been made at START, recorded whatever its size. */
void alloc_sampler_record_mapping(uint64_t start, uint64_t size);
/* NULL: nothing is recorded now. */
struct spool_writer *alloc_sampler_spool(void);

/* From now on allocations are recorded in SPOOL, until alloc_sampler_stop() or until the time its
 * header says.  Without a place for them there: never.  GENERATIONS: stacks tell their
 * modules', see modules_append_generations().  Not in a handler. */
void alloc_sampler_start(struct spool_writer *spool, bool generations);
void alloc_sampler_stop(void);
/* fork() has made a process with one thread; SPOOL is its own, with what it inherits. */
void alloc_sampler_restart_in_child(struct spool_writer *spool);

#endif
