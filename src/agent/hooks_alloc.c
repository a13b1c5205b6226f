/*
 * The doors of the allocator.  Nearly every call is one subtraction or one test and a jump to the
 * real function, so that it costs next to nothing and leaves no frame.  strdup, libstdc++'s
 * operator new and their like come through here as well.
 *
 * A block is forgotten before it is freed: once freed, another thread may be given its address.
 * It is recorded before its caller has it.
 */
#include <stdlib.h>

#include "agent/hooks_alloc.h"
#include "agent/real_alloc.h"

/* --- malloc --- */

static NOINLINE void *malloc_when_due(size_t size)
{
	if (!alloc_sampler_takes(size))
		return real_alloc.malloc(size);
	return recorded(real_alloc.malloc(size), size);
}

EXPORT void *malloc(size_t size)
{
	if (alloc_sampler_is_due(size))
		return malloc_when_due(size);
	return real_alloc.malloc(size);
}

static NOINLINE void *calloc_when_due(size_t count, size_t size, size_t size_bytes)
{
	if (!alloc_sampler_takes(size_bytes))
		return real_alloc.calloc(count, size);
	return recorded(real_alloc.calloc(count, size), size_bytes);
}

EXPORT void *calloc(size_t count, size_t size)
{
	/* Where this overflows the call fails, and nothing is recorded. */
	const size_t size_bytes = count * size;

	if (alloc_sampler_is_due(size_bytes))
		return calloc_when_due(count, size, size_bytes);
	return real_alloc.calloc(count, size);
}

/* --- free --- */

NOINLINE void forget_known(void *block)
{
	struct spool_live was;

	alloc_sampler_forget(block, &was);
}

EXPORT void free(void *block)
{
	forget(block);
	real_alloc.free(block);
}

/* Of old programs. */
EXPORT void cfree(void *block);
EXPORT void cfree(void *block)
{
	forget(block);
	real_alloc.cfree(block);
}

/* C23, 7.24.3.4 and 7.24.3.5. */
EXPORT void free_sized(void *block, size_t size);
EXPORT void free_sized(void *block, size_t size)
{
	forget(block);
	real_alloc.free_sized(block, size);
}

EXPORT void free_aligned_sized(void *block, size_t alignment, size_t size);
EXPORT void free_aligned_sized(void *block, size_t alignment, size_t size)
{
	forget(block);
	real_alloc.free_aligned_sized(block, alignment, size);
}

/* --- realloc --- */

/* A block that has grown is the old one freed and a new one allocated; what could not grow stays
 * what it was.  With size 0 a null pointer means that it was freed. */
static NOINLINE void *realloc_with_care(void *block, size_t size, bool is_due)
{
	const bool takes = is_due && alloc_sampler_takes(size);
	struct spool_live was;
	const bool was_known =
		block && alloc_sampler_may_know(block) && alloc_sampler_forget(block, &was);
	void *grown = real_alloc.realloc(block, size);

	if (!grown && was_known && size != 0)
		alloc_sampler_put_back(&was);
	return takes ? recorded(grown, size) : grown;
}

EXPORT void *realloc(void *block, size_t size)
{
	const bool is_due = alloc_sampler_is_due(size);

	if (UNLIKELY(is_due) || alloc_sampler_may_know(block))
		return realloc_with_care(block, size, is_due);
	return real_alloc.realloc(block, size);
}

EXPORT void *reallocarray(void *block, size_t count, size_t size)
{
	size_t size_bytes;

	if (!real_alloc_has_own_reallocarray ||
		__builtin_mul_overflow(count, size, &size_bytes))
		return real_alloc.reallocarray(block, count, size);
	return realloc(block, size_bytes);
}

/* --- aligned --- */

static NOINLINE int posix_memalign_when_due(void **block, size_t alignment, size_t size)
{
	const bool takes = alloc_sampler_takes(size);
	int error = real_alloc.posix_memalign(block, alignment, size);

	if (takes && error == 0)
		recorded(*block, size);
	return error;
}

EXPORT int posix_memalign(void **block, size_t alignment, size_t size)
{
	if (alloc_sampler_is_due(size))
		return posix_memalign_when_due(block, alignment, size);
	return real_alloc.posix_memalign(block, alignment, size);
}

static NOINLINE void *aligned_when_due(
	void *(*allocate)(size_t alignment, size_t size), size_t alignment, size_t size)
{
	if (!alloc_sampler_takes(size))
		return allocate(alignment, size);
	return recorded(allocate(alignment, size), size);
}

EXPORT void *aligned_alloc(size_t alignment, size_t size)
{
	if (alloc_sampler_is_due(size))
		return aligned_when_due(real_alloc.aligned_alloc, alignment, size);
	return real_alloc.aligned_alloc(alignment, size);
}

EXPORT void *memalign(size_t alignment, size_t size);
EXPORT void *memalign(size_t alignment, size_t size)
{
	if (alloc_sampler_is_due(size))
		return aligned_when_due(real_alloc.memalign, alignment, size);
	return real_alloc.memalign(alignment, size);
}

static NOINLINE void *pages_when_due(void *(*allocate)(size_t size), size_t size)
{
	if (!alloc_sampler_takes(size))
		return allocate(size);
	return recorded(allocate(size), size);
}

EXPORT void *valloc(size_t size)
{
	if (alloc_sampler_is_due(size))
		return pages_when_due(real_alloc.valloc, size);
	return real_alloc.valloc(size);
}

EXPORT void *pvalloc(size_t size);
EXPORT void *pvalloc(size_t size)
{
	if (alloc_sampler_is_due(size))
		return pages_when_due(real_alloc.pvalloc, size);
	return real_alloc.pvalloc(size);
}
