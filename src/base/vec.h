/*
 * A growable array for the tool: VEC(type) declares one, VEC_PUSH gives the address of a new
 * zeroed element.  Elements move when it grows: keep indices, not pointers.  Exits for want
 * of memory.  Free with VEC_FREE; an all-zero VEC is an empty one.
 */
#ifndef BASE_VEC_H
#define BASE_VEC_H

#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"

#define VEC(type)                                                                               \
	struct {                                                                                \
		type *items;                                                                    \
		size_t count;                                                                   \
		size_t capacity;                                                                \
	}

static inline void *vec_grow(
	void *items, size_t *capacity, size_t count, size_t wanted, size_t size)
{
	size_t more = *capacity ? *capacity : 16;

	while (more < count + wanted)
		more *= 2;
	if (more > *capacity) {
		items = xreallocarray(items, more, size);
		*capacity = more;
	}
	memset((char *)items + count * size, 0, wanted * size);
	return items;
}

#define VEC_PUSH(vec)                                                                           \
	((vec)->items = vec_grow((vec)->items, &(vec)->capacity, (vec)->count, 1,               \
		 sizeof(*(vec)->items)),                                                        \
		&(vec)->items[(vec)->count++])

#define VEC_FREE(vec) (free((vec)->items), memset((vec), 0, sizeof(*(vec))))

#endif
