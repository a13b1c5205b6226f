#define _GNU_SOURCE
#include "symbol/perf_map.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/vec.h"
#include "symbol/text_pool.h"

#define NOBODY UINT32_MAX

struct entry { /* a line of the file */
	uint64_t start, end;
	const char *name;
};

struct perf_map {
	struct text_pool *texts;
	VEC(struct entry) entries; /* in the order of the file */
	/* Cut at every start and end: from CUTS[i] to the next all addresses are OWNERS[i]'s. */
	uint64_t *cuts;
	uint32_t *owners;
	size_t cut_count;
};

/* --- lines --- */

static int digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* A number and the blanks behind it. */
static bool read_number(const char **at, const char *end, uint64_t *number)
{
	const char *first;

	if (end - *at > 2 && (*at)[0] == '0' && ((*at)[1] | 0x20) == 'x')
		*at += 2;
	first = *at;
	for (*number = 0; *at < end && digit_of(**at) >= 0; ++*at)
		*number = *number << 4 | (uint64_t)digit_of(**at);
	if (*at == first || *at - first > 16)
		return false;
	while (*at < end && **at == ' ')
		++*at;
	return true;
}

static void add_line(struct perf_map *map, const char *at, const char *end)
{
	struct entry e;
	uint64_t size;

	if (end > at && end[-1] == '\r')
		end--;
	if (!read_number(&at, end, &e.start) || !read_number(&at, end, &size) || at == end ||
		size == 0 || __builtin_add_overflow(e.start, size, &e.end) ||
		map->entries.count == NOBODY - 1)
		return;
	e.name = text_pool_add_sized(map->texts, at, (size_t)(end - at));
	*VEC_PUSH(&map->entries) = e;
}

/* --- who owns what --- */

static int by_address(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void make_cuts(struct perf_map *map)
{
	const size_t count = map->entries.count;
	size_t used = 0;

	map->cuts = xcalloc(2 * count + 1, sizeof(*map->cuts));
	for (size_t i = 0; i < count; i++) {
		map->cuts[2 * i] = map->entries.items[i].start;
		map->cuts[2 * i + 1] = map->entries.items[i].end;
	}
	if (count)
		qsort(map->cuts, 2 * count, sizeof(*map->cuts), by_address);
	for (size_t i = 0; i < 2 * count; i++)
		if (used == 0 || map->cuts[used - 1] != map->cuts[i])
			map->cuts[used++] = map->cuts[i];
	map->cut_count = used;
}

/* How many cuts are at or below ADDRESS. */
static size_t cuts_up_to(const struct perf_map *map, uint64_t address)
{
	size_t low = 0, high = map->cut_count;

	while (low < high) {
		const size_t middle = low + (high - low) / 2;

		if (map->cuts[middle] <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The first cut from AT on that nobody owns yet; what was passed points there for the next time. */
static uint32_t next_free(uint32_t *next, uint32_t at)
{
	uint32_t end = at;

	while (next[end] != end)
		end = next[end];
	while (next[at] != end) {
		const uint32_t after = next[at];

		next[at] = end;
		at = after;
	}
	return end;
}

/* The last line first: it owns all it covers, those before it only what is left. */
static void find_owners(struct perf_map *map)
{
	uint32_t *next = xcalloc(map->cut_count + 1, sizeof(*next));

	map->owners = xcalloc(map->cut_count + 1, sizeof(*map->owners));
	for (size_t i = 0; i <= map->cut_count; i++) {
		next[i] = (uint32_t)i;
		map->owners[i] = NOBODY;
	}
	for (size_t i = map->entries.count; i-- > 0;) {
		const struct entry *e = &map->entries.items[i];
		const size_t end = cuts_up_to(map, e->end) - 1;
		uint32_t at = next_free(next, (uint32_t)cuts_up_to(map, e->start) - 1);

		for (; at < end; at = next_free(next, at)) {
			map->owners[at] = (uint32_t)i;
			next[at] = at + 1;
		}
	}
	free(next);
}

struct perf_map *perf_map_over(const char *text, size_t size)
{
	struct perf_map *map = xcalloc(1, sizeof(*map));
	const char *const end = text + size;

	map->texts = text_pool_new();
	while (text < end) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));

		/* A last line without its newline is still being written. */
		if (!newline)
			break;
		add_line(map, text, newline);
		text = newline + 1;
	}
	make_cuts(map);
	find_owners(map);
	return map;
}

struct perf_map *perf_map_open(const char *path, uint32_t owner)
{
	int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct perf_map *map = NULL;
	struct stat st;
	uint8_t *data;
	size_t size;

	if (descriptor < 0)
		return NULL;
	if (fstat(descriptor, &st) == 0 && S_ISREG(st.st_mode) &&
		(st.st_uid == owner || st.st_uid == 0) &&
		file_read_all(descriptor, PERF_MAP_SIZE_MAX, &data, &size) == 0) {
		map = perf_map_over((const char *)data, size);
		free(data);
	}
	close(descriptor);
	return map;
}

void perf_map_free(struct perf_map *map)
{
	if (!map)
		return;
	text_pool_free(map->texts);
	VEC_FREE(&map->entries);
	free(map->cuts);
	free(map->owners);
	free(map);
}

const char *perf_map_find(const struct perf_map *map, uint64_t pc)
{
	const size_t at = cuts_up_to(map, pc);

	if (at == 0 || map->owners[at - 1] == NOBODY)
		return NULL;
	return map->entries.items[map->owners[at - 1]].name;
}
