/*
 * C++'s operators, where an allocator answers them past the doors of malloc and free (operators.h).
 * Like these, each is one subtraction or one test, and a jump to the real one.  Where there is no
 * such allocator it is the jump alone, and only for libraries that were bound to us at the start.
 *
 * The real one may throw, through us: nothing is held while it is called.
 */
#include "agent/hooks_alloc.h"
#include "agent/operators.h"

/* --- what calls malloc itself --- */

/* An operator of a library that answers malloc, too, may do so by calling it, or by another
 * operator: its blocks have passed a door then.  The first call that can tell decides. */
enum way { WAY_UNKNOWN, WAY_PAST_THE_DOORS, WAY_THROUGH_A_DOOR };

/* SIZE bytes were asked for and given; there were LEFT on the thread's countdown before the real
 * one was called.  TAKES: this call is a sample; WAS_RECORDED: a door has recorded it. */
static enum way way_of(size_t size, uint64_t left, bool takes, bool was_recorded)
{
	if (was_recorded)
		return WAY_THROUGH_A_DOOR;
	if (size == 0)
		return WAY_UNKNOWN;
	/* A door takes its bytes from what was left, and begins anew where there are too few. */
	if (left / 2 > size)
		return thread_self.heap_left <= left - size ? WAY_THROUGH_A_DOOR :
							      WAY_PAST_THE_DOORS;
	return takes ? WAY_PAST_THE_DOORS : WAY_UNKNOWN;
}

/* --- new --- */

#define NEW(name, parameters, arguments)                                                       \
	EXPORT void *name parameters;                                                          \
	static void *(*real##name) parameters;                                                 \
	static void *first##name parameters;                                                   \
	static void *(*door##name) parameters = first##name;                                   \
                                                                                               \
	static NOINLINE void *due##name parameters                                             \
	{                                                                                      \
		if (!alloc_sampler_takes(size))                                                \
			return real##name arguments;                                           \
		return recorded(real##name arguments, size);                                   \
	}                                                                                      \
                                                                                               \
	static void *sampled##name parameters                                                  \
	{                                                                                      \
		if (alloc_sampler_is_due(size))                                                \
			return due##name arguments;                                            \
		return real##name arguments;                                                   \
	}                                                                                      \
                                                                                               \
	static COLD void *first##name parameters                                               \
	{                                                                                      \
		const struct operator_next *next = operators_next(OPERATOR##name);             \
		const bool takes = next->is_allocators && alloc_sampler_is_due(size) &&        \
				   alloc_sampler_takes(size);                                  \
		const uint64_t left = thread_self.heap_left;                                   \
		enum way way = WAY_THROUGH_A_DOOR;                                             \
		bool was_recorded;                                                             \
		void *block;                                                                   \
                                                                                               \
		real##name = (void *(*)parameters)next->function;                              \
		block = real##name arguments;                                                  \
		was_recorded = takes && block && alloc_sampler_knows(block);                   \
		if (next->is_allocators)                                                       \
			way = block ? way_of(size, left, takes, was_recorded) : WAY_UNKNOWN;   \
		if (way != WAY_UNKNOWN)                                                        \
			door##name = way == WAY_THROUGH_A_DOOR ? real##name : sampled##name;   \
		return takes && !was_recorded ? recorded(block, size) : block;                 \
	}                                                                                      \
                                                                                               \
	EXPORT void *name parameters                                                           \
	{                                                                                      \
		return door##name arguments;                                                   \
	}

OPERATORS_NEW(NEW)
#undef NEW

/* --- delete --- */

#define DELETE(name, parameters, arguments)                                                    \
	EXPORT void name parameters;                                                           \
	static void(*real##name) parameters;                                                   \
	static void first##name parameters;                                                    \
	static void(*door##name) parameters = first##name;                                     \
                                                                                               \
	static void forgetting##name parameters                                                \
	{                                                                                      \
		forget(block);                                                                 \
		real##name arguments;                                                          \
	}                                                                                      \
                                                                                               \
	static COLD void first##name parameters                                                \
	{                                                                                      \
		const struct operator_next *next = operators_next(OPERATOR##name);             \
                                                                                               \
		real##name = (void (*)parameters)next->function;                               \
		door##name = next->is_allocators ? forgetting##name : real##name;              \
		door##name arguments;                                                          \
	}                                                                                      \
                                                                                               \
	EXPORT void name parameters                                                            \
	{                                                                                      \
		door##name arguments;                                                          \
	}

OPERATORS_DELETE(DELETE)
#undef DELETE
