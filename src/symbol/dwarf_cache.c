#include "symbol/dwarf_cache.h"

#include "base/hash.h"

#define SIZE_MAX_BYTES (8u << 20)

static bool same_unit(const void *context, size_t index, const void *key)
{
	const struct dwarf_cache *cache = context;

	return cache->units.items[index]->unit == key;
}

static size_t size_of(const struct dwarf_loaded *l)
{
	return l->tree.functions.capacity * sizeof(*l->tree.functions.items) +
		l->tree.scopes.capacity * sizeof(*l->tree.scopes.items) +
		l->lines.rows.capacity * sizeof(*l->lines.rows.items) +
		l->tree.map.segments.capacity * 16;
}

struct dwarf_loaded *dwarf_cache_get(struct dwarf_cache *cache, struct dwarf_unit *u)
{
	const uint64_t hash = hash_mix((uintptr_t)u);
	struct dwarf_loaded *loaded;
	size_t index;

	if (table_find(&cache->by_unit, hash, same_unit, cache, u, &index))
		return cache->units.items[index];
	loaded = xcalloc(1, sizeof(*loaded));
	loaded->unit = u;
	dwarf_tree_read(&loaded->tree, dwarf_function_unit(loaded));
	dwarf_lines_read(&loaded->lines, u);
	if (u->split)
		dwarf_lines_read_files(&loaded->split_files, u->split, u->split->line_offset);
	table_insert(&cache->by_unit, hash, cache->units.count);
	*VEC_PUSH(&cache->units) = loaded;
	cache->size_bytes += size_of(loaded);
	return loaded;
}

static void forget_all(struct dwarf_cache *cache)
{
	for (size_t i = 0; i < cache->units.count; i++) {
		struct dwarf_loaded *loaded = cache->units.items[i];

		dwarf_tree_free(&loaded->tree);
		dwarf_lines_free(&loaded->lines);
		dwarf_lines_free(&loaded->split_files);
		free(loaded);
	}
	VEC_FREE(&cache->units);
	table_free(&cache->by_unit);
	cache->size_bytes = 0;
}

void dwarf_cache_trim(struct dwarf_cache *cache)
{
	if (cache->size_bytes > SIZE_MAX_BYTES)
		forget_all(cache);
}

void dwarf_cache_free(struct dwarf_cache *cache)
{
	forget_all(cache);
}
