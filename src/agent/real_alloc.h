/*
 * The allocator behind our hooks, and what maps memory: the next in the order in which ld.so
 * searches libraries, be it libc's or another that was preloaded or linked.
 *
 * It is looked up (dl_symbols.h) in the first call, which may come from anywhere, also before any
 * constructor.  Until then each pointer leads to a function that looks all of them up and goes on
 * to the right one.
 */
#ifndef AGENT_REAL_ALLOC_H
#define AGENT_REAL_ALLOC_H

#include <stdbool.h>
#include <stddef.h>

#include "base/compiler.h"

struct real_alloc {
	void *(*malloc)(size_t size);
	void (*free)(void *block);
	void *(*calloc)(size_t count, size_t size);
	void *(*realloc)(void *block, size_t size);
	void *(*reallocarray)(void *block, size_t count, size_t size);
	int (*posix_memalign)(void **block, size_t alignment, size_t size);
	void *(*aligned_alloc)(size_t alignment, size_t size);
	void *(*memalign)(size_t alignment, size_t size);
	void *(*valloc)(size_t size);
	void *(*pvalloc)(size_t size);
	void (*cfree)(void *block); /* free, where there is none; the next two likewise */
	void (*free_sized)(void *block, size_t size);
	void (*free_aligned_sized)(void *block, size_t alignment, size_t size);
	void *(*mmap)(void *start, size_t size, int protection, int flags, int descriptor,
		long offset);
	int (*munmap)(void *start, size_t size);
	void *(*mremap)(void *start, size_t size, size_t new_size, int flags, ...);
	int (*brk)(void *end);
	void *(*sbrk)(long more);
};

extern struct real_alloc real_alloc HIDDEN;

/* The real reallocarray is an allocator's own.  libc's calls realloc, and so our hook, itself. */
extern bool real_alloc_has_own_reallocarray HIDDEN;

/* What of the program's allocations does not come through our hooks: a line for people, of at most
 * SIZE bytes in TEXT, or "".  False: none do, since the program's malloc is not our hook. */
bool real_alloc_describe_unseen(char *text, size_t size);

#endif
