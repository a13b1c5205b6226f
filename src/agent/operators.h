/*
 * C++'s replaceable operators new and delete ([new.delete]; their names: Itanium C++ ABI, 5.1), and
 * who answers them.
 *
 * libstdc++'s call malloc and free, where our hooks see them.  Those of an allocator that is
 * preloaded or linked (jemalloc, tcmalloc, mimalloc) do not, and so the agent has operators of its
 * own before them, hooks_new.c.  In all other processes these are withdrawn in the first call of
 * malloc or its kin, which is before any library is opened: a plugin in a C program must find the
 * operators of its own libstdc++, or those it brings along.  What the loader has bound to us by
 * then belongs to the libraries that the program began with; they stay, as does who answers them.
 */
#ifndef AGENT_OPERATORS_H
#define AGENT_OPERATORS_H

#include <stdbool.h>
#include <stddef.h>

/* ROW(name, parameters, arguments).  Alignments are of a scoped enum over size_t, tags for "does
 * not throw" are references. */
#define OPERATORS_NEW(ROW)                                                                     \
	ROW(_Znwm, (size_t size), (size))                                                      \
	ROW(_Znam, (size_t size), (size))                                                      \
	ROW(_ZnwmRKSt9nothrow_t, (size_t size, const void *tag), (size, tag))                  \
	ROW(_ZnamRKSt9nothrow_t, (size_t size, const void *tag), (size, tag))                  \
	ROW(_ZnwmSt11align_val_t, (size_t size, size_t alignment), (size, alignment))          \
	ROW(_ZnamSt11align_val_t, (size_t size, size_t alignment), (size, alignment))          \
	ROW(_ZnwmSt11align_val_tRKSt9nothrow_t,                                                \
		(size_t size, size_t alignment, const void *tag), (size, alignment, tag))      \
	ROW(_ZnamSt11align_val_tRKSt9nothrow_t,                                                \
		(size_t size, size_t alignment, const void *tag), (size, alignment, tag))

#define OPERATORS_DELETE(ROW)                                                                  \
	ROW(_ZdlPv, (void *block), (block))                                                    \
	ROW(_ZdaPv, (void *block), (block))                                                    \
	ROW(_ZdlPvm, (void *block, size_t size), (block, size))                                \
	ROW(_ZdaPvm, (void *block, size_t size), (block, size))                                \
	ROW(_ZdlPvRKSt9nothrow_t, (void *block, const void *tag), (block, tag))                \
	ROW(_ZdaPvRKSt9nothrow_t, (void *block, const void *tag), (block, tag))                \
	ROW(_ZdlPvSt11align_val_t, (void *block, size_t alignment), (block, alignment))        \
	ROW(_ZdaPvSt11align_val_t, (void *block, size_t alignment), (block, alignment))        \
	ROW(_ZdlPvmSt11align_val_t, (void *block, size_t size, size_t alignment),              \
		(block, size, alignment))                                                      \
	ROW(_ZdaPvmSt11align_val_t, (void *block, size_t size, size_t alignment),              \
		(block, size, alignment))                                                      \
	ROW(_ZdlPvSt11align_val_tRKSt9nothrow_t,                                               \
		(void *block, size_t alignment, const void *tag), (block, alignment, tag))     \
	ROW(_ZdaPvSt11align_val_tRKSt9nothrow_t,                                               \
		(void *block, size_t alignment, const void *tag), (block, alignment, tag))

#define OPERATORS_ID(name, parameters, arguments) OPERATOR##name,
enum operator_id { OPERATORS_NEW(OPERATORS_ID) OPERATORS_DELETE(OPERATORS_ID) OPERATOR_COUNT };
#undef OPERATORS_ID

struct operator_next {
	void *function; /* of the type in its row; never NULL */
	bool is_allocators; /* it is of a library that answers malloc, too */
};

/* Look all of them up, once, and withdraw those of ours that are not before an allocator's.  From
 * anywhere; several threads may do this at once. */
void operators_look_up(void);
/* Who answers ID behind us. */
const struct operator_next *operators_next(enum operator_id id);

#endif
