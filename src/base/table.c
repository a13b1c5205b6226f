#include "base/table.h"

#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"

struct table_slot {
	uint32_t hash; /* its lower half: as much as the place depends on */
	uint32_t index_plus_one; /* 0: empty */
};

bool table_find(const struct table *t, uint64_t hash, table_equal *equal, const void *context,
	const void *key, size_t *index)
{
	if (t->capacity == 0)
		return false;
	for (size_t at = hash & (t->capacity - 1); t->slots[at].index_plus_one;
		at = (at + 1) & (t->capacity - 1)) {
		const struct table_slot *slot = &t->slots[at];

		if (slot->hash == (uint32_t)hash && equal(context, slot->index_plus_one - 1, key)) {
			*index = slot->index_plus_one - 1;
			return true;
		}
	}
	return false;
}

static void place(struct table *t, uint32_t hash, uint32_t index)
{
	size_t at = hash & (t->capacity - 1);

	while (t->slots[at].index_plus_one)
		at = (at + 1) & (t->capacity - 1);
	t->slots[at] = (struct table_slot){ .hash = hash, .index_plus_one = index + 1 };
}

static void grow(struct table *t)
{
	struct table old = *t;

	t->capacity = old.capacity ? 2 * old.capacity : 64;
	t->slots = xcalloc(t->capacity, sizeof(*t->slots));
	for (size_t i = 0; i < old.capacity; i++)
		if (old.slots[i].index_plus_one)
			place(t, old.slots[i].hash, old.slots[i].index_plus_one - 1);
	free(old.slots);
}

void table_insert(struct table *t, uint64_t hash, size_t index)
{
	if (index >= UINT32_MAX) /* more than there is memory for */
		abort();
	if (4 * (t->count + 1) > 3 * t->capacity)
		grow(t);
	place(t, (uint32_t)hash, (uint32_t)index);
	t->count++;
}

void table_free(struct table *t)
{
	free(t->slots);
	memset(t, 0, sizeof(*t));
}
