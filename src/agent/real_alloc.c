#define _GNU_SOURCE
#include "agent/real_alloc.h"

#include <stdarg.h>
#include <string.h>

#include "agent/dl_symbols.h"
#include "agent/operators.h"
#include "base/compiler.h"
#include "base/malloc_doors.h"

/* --- what is not seen --- */

static void append(char *text, size_t size, const char *more)
{
	strncat(text, more, size - 1 - strlen(text));
}

bool real_alloc_describe_unseen(char *text, size_t size)
{
	const struct link_map *own = dl_symbols_own_library();
	const struct link_map *first = dl_symbols_first_library();
	struct dl_definition d = dl_symbols_find_from(first, "malloc");

	*text = '\0';
	if (d.library && d.library != own) {
		append(text, size, "no allocation: malloc is that of ");
		append(text, size, dl_symbols_base_name(d.library));
		return false;
	}
	/* Where it is ours, or libstdc++'s, nothing is missed. */
	d = dl_symbols_find_from(first, "_Znwm");
	if (d.library && d.library != own &&
		!dl_symbols_imports(d.library, malloc_doors, ARRAY_SIZE(malloc_doors))) {
		append(text, size, "C++'s operator new: that of ");
		append(text, size, dl_symbols_base_name(d.library));
		append(text, size, " does not take its memory from malloc");
	}
	return true;
}

/* --- until it is known --- */

bool real_alloc_has_own_reallocarray;

static void free_sized_by_free(void *block, size_t size)
{
	real_alloc.free(block);
}

static void free_aligned_sized_by_free(void *block, size_t alignment, size_t size)
{
	real_alloc.free(block);
}

/* Several threads may do this at once: they find the same. */
static COLD void look_up(void)
{
#define ROW(name) { #name, offsetof(struct real_alloc, name) }
	static const struct {
		const char *name;
		size_t offset;
	} rows[] = {
		ROW(malloc),
		ROW(free),
		ROW(calloc),
		ROW(realloc),
		ROW(reallocarray),
		ROW(posix_memalign),
		ROW(aligned_alloc),
		ROW(memalign),
		ROW(valloc),
		ROW(pvalloc),
		ROW(cfree),
		ROW(free_sized),
		ROW(free_aligned_sized),
		ROW(mmap),
		ROW(munmap),
		ROW(mremap),
		ROW(brk),
		ROW(sbrk),
	};
#undef ROW
	struct real_alloc found = { .cfree = NULL };
	const struct dl_definition array = dl_symbols_find_next("reallocarray");

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		*(void **)((char *)&found + rows[i].offset) =
			dl_symbols_find_next(rows[i].name).function;
	real_alloc_has_own_reallocarray =
		array.library && strcmp(dl_symbols_base_name(array.library), "libc.so.6") != 0;
	if (!found.cfree)
		found.cfree = found.free;
	if (!found.free_sized)
		found.free_sized = free_sized_by_free;
	if (!found.free_aligned_sized)
		found.free_aligned_sized = free_aligned_sized_by_free;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		__atomic_store_n((void **)((char *)&real_alloc + rows[i].offset),
			*(void **)((char *)&found + rows[i].offset), __ATOMIC_RELEASE);
	operators_look_up();
}

static void *first_malloc(size_t size)
{
	look_up();
	return real_alloc.malloc(size);
}

static void first_free(void *block)
{
	look_up();
	real_alloc.free(block);
}

static void *first_calloc(size_t count, size_t size)
{
	look_up();
	return real_alloc.calloc(count, size);
}

static void *first_realloc(void *block, size_t size)
{
	look_up();
	return real_alloc.realloc(block, size);
}

static void *first_reallocarray(void *block, size_t count, size_t size)
{
	look_up();
	return real_alloc.reallocarray(block, count, size);
}

static int first_posix_memalign(void **block, size_t alignment, size_t size)
{
	look_up();
	return real_alloc.posix_memalign(block, alignment, size);
}

static void *first_aligned_alloc(size_t alignment, size_t size)
{
	look_up();
	return real_alloc.aligned_alloc(alignment, size);
}

static void *first_memalign(size_t alignment, size_t size)
{
	look_up();
	return real_alloc.memalign(alignment, size);
}

static void *first_valloc(size_t size)
{
	look_up();
	return real_alloc.valloc(size);
}

static void *first_pvalloc(size_t size)
{
	look_up();
	return real_alloc.pvalloc(size);
}

static void first_cfree(void *block)
{
	look_up();
	real_alloc.cfree(block);
}

static void first_free_sized(void *block, size_t size)
{
	look_up();
	real_alloc.free_sized(block, size);
}

static void first_free_aligned_sized(void *block, size_t alignment, size_t size)
{
	look_up();
	real_alloc.free_aligned_sized(block, alignment, size);
}

static void *first_mmap(
	void *start, size_t size, int protection, int flags, int descriptor, long offset)
{
	look_up();
	return real_alloc.mmap(start, size, protection, flags, descriptor, offset);
}

static int first_munmap(void *start, size_t size)
{
	look_up();
	return real_alloc.munmap(start, size);
}

static void *first_mremap(void *start, size_t size, size_t new_size, int flags, ...)
{
	va_list arguments;
	void *wanted;

	va_start(arguments, flags);
	wanted = va_arg(arguments, void *);
	va_end(arguments);
	look_up();
	return real_alloc.mremap(start, size, new_size, flags, wanted);
}

static int first_brk(void *end)
{
	look_up();
	return real_alloc.brk(end);
}

static void *first_sbrk(long more)
{
	look_up();
	return real_alloc.sbrk(more);
}

struct real_alloc real_alloc = {
	.malloc = first_malloc,
	.free = first_free,
	.calloc = first_calloc,
	.realloc = first_realloc,
	.reallocarray = first_reallocarray,
	.posix_memalign = first_posix_memalign,
	.aligned_alloc = first_aligned_alloc,
	.memalign = first_memalign,
	.valloc = first_valloc,
	.pvalloc = first_pvalloc,
	.cfree = first_cfree,
	.free_sized = first_free_sized,
	.free_aligned_sized = first_free_aligned_sized,
	.mmap = first_mmap,
	.munmap = first_munmap,
	.mremap = first_mremap,
	.brk = first_brk,
	.sbrk = first_sbrk,
};
