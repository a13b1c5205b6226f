/* mmap, munmap, mremap, brk and sbrk: what never passes malloc.  Jumped through unless it is asked
 * for.  libc's malloc maps its memory past these; what other allocators map is left out, too. */
#define _GNU_SOURCE
#include <stdarg.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/mappings.h"
#include "agent/real_alloc.h"
#include "base/compiler.h"

/* Is a call from where this is inlined to be recorded? */
static ALWAYS_INLINE bool is_recorded(void)
{
	return UNLIKELY(mappings_are_recorded) &&
		!mappings_are_of_allocator(__builtin_return_address(0));
}

/* A reservation without access holds nothing. */
static void *mapped(void *start, size_t size, int protection)
{
	if (start != MAP_FAILED && protection != PROT_NONE)
		mappings_made((uint64_t)start, size);
	return start;
}

static ALWAYS_INLINE void *map(
	void *start, size_t size, int protection, int flags, int descriptor, off_t offset)
{
	if (!is_recorded())
		return real_alloc.mmap(start, size, protection, flags, descriptor, offset);
	return mapped(real_alloc.mmap(start, size, protection, flags, descriptor, offset), size,
		protection);
}

EXPORT void *mmap(void *start, size_t size, int protection, int flags, int descriptor, off_t offset)
{
	return map(start, size, protection, flags, descriptor, offset);
}

EXPORT void *mmap64(
	void *start, size_t size, int protection, int flags, int descriptor, off64_t offset)
{
	return map(start, size, protection, flags, descriptor, offset);
}

/* Forgotten first: once unmapped, another thread may be given the place. */
EXPORT int munmap(void *start, size_t size)
{
	struct mappings_gone gone;
	int r;

	if (!is_recorded())
		return real_alloc.munmap(start, size);
	mappings_go((uint64_t)start, size, &gone);
	r = real_alloc.munmap(start, size);
	if (r != 0)
		mappings_stay(&gone);
	return r;
}

/* Takes what glibc's own takes: one more word, whether given or not. */
EXPORT void *mremap(void *start, size_t size, size_t new_size, int flags, ...)
{
	struct mappings_gone gone;
	va_list arguments;
	void *wanted, *moved;

	va_start(arguments, flags);
	wanted = va_arg(arguments, void *);
	va_end(arguments);
	if (!is_recorded())
		return real_alloc.mremap(start, size, new_size, flags, wanted);
	mappings_go((uint64_t)start, size, &gone);
	moved = real_alloc.mremap(start, size, new_size, flags, wanted);
	if (moved == MAP_FAILED || (flags & MREMAP_DONTUNMAP))
		mappings_stay(&gone);
	return mapped(moved, new_size, PROT_READ);
}

/* The break was at BEFORE. */
static void note_break(char *before)
{
	char *now = real_alloc.sbrk(0);
	struct mappings_gone gone;

	if (now > before)
		mappings_made((uint64_t)before, (uint64_t)(now - before));
	else if (now < before)
		mappings_go((uint64_t)now, (uint64_t)(before - now), &gone);
}

EXPORT void *sbrk(intptr_t more)
{
	const bool is_noted = is_recorded();
	void *before = real_alloc.sbrk(more);

	if (is_noted && more != 0 && before != (void *)-1)
		note_break(before);
	return before;
}

EXPORT int brk(void *end)
{
	char *before = is_recorded() ? real_alloc.sbrk(0) : NULL;
	int r = real_alloc.brk(end);

	if (before && r == 0)
		note_break(before);
	return r;
}
