#include "agent/module_maps.h"

#define MAP_BUFFERS 8

static struct module_map buffers[MAP_BUFFERS];
static struct module_map *current = &buffers[0];
static uint32_t readers[MAP_BUFFERS]; /* handlers inside each */

static uint32_t *readers_of(const struct module_map *map)
{
	return &readers[map - buffers];
}

struct module_map *modules_enter(void)
{
	for (;;) {
		struct module_map *map = __atomic_load_n(&current, __ATOMIC_SEQ_CST);

		__atomic_fetch_add(readers_of(map), 1, __ATOMIC_SEQ_CST);
		if (map == __atomic_load_n(&current, __ATOMIC_SEQ_CST))
			return map;
		/* Replaced meanwhile; its buffer may be in a writer's hands. */
		__atomic_fetch_sub(readers_of(map), 1, __ATOMIC_SEQ_CST);
	}
}

void modules_leave(struct module_map *map)
{
	__atomic_fetch_sub(readers_of(map), 1, __ATOMIC_RELEASE);
}

const struct module_span *module_map_find(const struct module_map *map, uint64_t pc)
{
	uint32_t low = 0, high = map->count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (map->spans[middle].end <= pc)
			low = middle + 1;
		else
			high = middle;
	}
	return low < map->count && map->spans[low].start <= pc ? &map->spans[low] : NULL;
}

struct module_map *module_maps_current(void)
{
	return current;
}

bool module_maps_current_has(uint32_t instance)
{
	for (uint32_t i = 0; i < current->count; i++)
		if (current->spans[i].instance == instance)
			return true;
	return false;
}

bool module_maps_old_are_empty(void)
{
	for (size_t i = 0; i < MAP_BUFFERS; i++)
		if (&buffers[i] != current &&
			__atomic_load_n(&readers[i], __ATOMIC_SEQ_CST) != 0)
			return false;
	return true;
}

void module_maps_restart_in_child(void)
{
	for (size_t i = 0; i < MAP_BUFFERS; i++)
		readers[i] = 0;
}

static struct module_map *free_buffer(void)
{
	for (size_t i = 0; i < MAP_BUFFERS; i++)
		if (&buffers[i] != current &&
			__atomic_load_n(&readers[i], __ATOMIC_SEQ_CST) == 0)
			return &buffers[i];
	return NULL;
}

static bool overlaps(const struct module_span *a, const struct module_span *b)
{
	return a->start < b->end && b->start < a->end;
}

static void insert_span(struct module_map *map, const struct module_span *span)
{
	uint32_t at = map->count++;

	for (; at > 0 && map->spans[at - 1].start > span->start; at--)
		map->spans[at] = map->spans[at - 1];
	map->spans[at] = *span;
}

bool module_maps_publish(const struct module_span *new_spans, size_t new_count,
	void (*unloaded)(struct module_instance *instance))
{
	struct module_map *map = free_buffer();

	if (!map || current->count + new_count > MODULE_SPANS_MAX)
		return false;
	for (uint32_t i = 0; i < current->count; i++)
		for (size_t n = 0; n < new_count; n++)
			if (overlaps(&current->spans[i], &new_spans[n]) &&
				module_instances[current->spans[i].instance].is_live)
				unloaded(&module_instances[current->spans[i].instance]);
	map->count = 0;
	for (uint32_t i = 0; i < current->count; i++)
		if (module_instances[current->spans[i].instance].is_live)
			map->spans[map->count++] = current->spans[i];
	for (size_t n = 0; n < new_count; n++)
		insert_span(map, &new_spans[n]);
	__atomic_store_n(&current, map, __ATOMIC_SEQ_CST);
	return true;
}
