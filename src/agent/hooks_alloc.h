/*
 * What the doors of the allocator (hooks_alloc.c, hooks_new.c) do in common.
 */
#ifndef AGENT_HOOKS_ALLOC_H
#define AGENT_HOOKS_ALLOC_H

#include "agent/alloc_sampler.h"
#include "base/compiler.h"

/* Record BLOCK unless the call failed.  The stack begins where this hook was called from. */
static ALWAYS_INLINE void *recorded(void *block, size_t size)
{
	if (block)
		alloc_sampler_record(block, size, __builtin_frame_address(0));
	return block;
}

void forget_known(void *block) HIDDEN;

/* BLOCK is about to be freed. */
static ALWAYS_INLINE void forget(void *block)
{
	if (alloc_sampler_may_know(block))
		forget_known(block);
}

#endif
