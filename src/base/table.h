/*
 * A hash table for the tool, from a 64-bit hash to the index of an element that the caller
 * keeps in an array of its own.  Grows by itself; exits for want of memory.  An all-zero
 * struct is an empty table.
 */
#ifndef BASE_TABLE_H
#define BASE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct table {
	struct table_slot *slots;
	size_t count;
	size_t capacity; /* a power of two, or 0 */
};

/* Is the element at INDEX the one looked for?  KEY and CONTEXT are the caller's own. */
typedef bool table_equal(const void *context, size_t index, const void *key);

/* The index stored under HASH whose element EQUAL accepts; false: none. */
bool table_find(const struct table *t, uint64_t hash, table_equal *equal, const void *context,
	const void *key, size_t *index);

/* Remember INDEX, below 2^32 - 1, under HASH.  The caller has looked first: equal elements are not
 * noticed. */
void table_insert(struct table *t, uint64_t hash, size_t index);

void table_free(struct table *t);

#endif
