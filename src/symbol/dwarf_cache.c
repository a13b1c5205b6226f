#include "symbol/dwarf_cache.h"

#include "base/hash.h"

#define SIZE_MAX_BYTES (8u << 20)

static bool same_unit(const void *context, size_t index, const void *key)
{
	const struct dwarf_cache *cache = context;

	return cache->units.items[index]->unit == key;
}

static void remember(struct dwarf_cache *cache, struct dwarf_loaded *loaded)
{
	table_insert(&cache->by_unit, hash_mix((uintptr_t)loaded->unit), cache->units.count);
	*VEC_PUSH(&cache->units) = loaded;
	cache->size_bytes += dwarf_loaded_size(loaded);
}

static struct dwarf_loaded *find(struct dwarf_cache *cache, struct dwarf_unit *u, size_t *index)
{
	if (!table_find(&cache->by_unit, hash_mix((uintptr_t)u), same_unit, cache, u, index))
		return NULL;
	return cache->units.items[*index];
}

static struct dwarf_loaded *read_whole(struct dwarf_unit *u)
{
	return dwarf_loaded_read(u, (struct dwarf_wanted){ .count = 0 });
}

struct dwarf_loaded *dwarf_cache_get(struct dwarf_cache *cache, struct dwarf_unit *u)
{
	size_t index;
	struct dwarf_loaded *loaded = find(cache, u, &index);

	if (loaded)
		return loaded;
	loaded = cache->queue ? unit_queue_take(cache->queue, u) : NULL;
	if (!loaded)
		loaded = read_whole(u);
	remember(cache, loaded);
	return loaded;
}

struct dwarf_loaded *dwarf_cache_get_for(
	struct dwarf_cache *cache, struct dwarf_unit *u, uint64_t vaddr)
{
	struct dwarf_loaded *loaded = dwarf_cache_get(cache, u);
	size_t index;

	if (UNLIKELY(!dwarf_loaded_covers(loaded, vaddr))) {
		find(cache, u, &index);
		cache->size_bytes -= dwarf_loaded_size(loaded);
		dwarf_loaded_free(loaded);
		loaded = read_whole(u);
		cache->units.items[index] = loaded;
		cache->size_bytes += dwarf_loaded_size(loaded);
	}
	cache->current = loaded;
	return loaded;
}

/* All but KEPT. */
static void forget(struct dwarf_cache *cache, struct dwarf_loaded *kept)
{
	for (size_t i = 0; i < cache->units.count; i++)
		if (cache->units.items[i] != kept)
			dwarf_loaded_free(cache->units.items[i]);
	VEC_FREE(&cache->units);
	table_free(&cache->by_unit);
	cache->size_bytes = 0;
	cache->current = kept;
	if (kept)
		remember(cache, kept);
}

void dwarf_cache_trim(struct dwarf_cache *cache)
{
	const size_t current = cache->current ? dwarf_loaded_size(cache->current) : 0;

	if (cache->size_bytes > SIZE_MAX_BYTES + current)
		forget(cache, cache->current);
}

void dwarf_cache_free(struct dwarf_cache *cache)
{
	forget(cache, NULL);
}
