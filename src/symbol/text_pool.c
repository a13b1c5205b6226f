#define _GNU_SOURCE
#include "symbol/text_pool.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/hash.h"
#include "base/table.h"
#include "base/vec.h"
#include "base/xalloc.h"

struct text {
	const char *start;
	size_t size;
};

#define BLOCK_SIZE ((size_t)64 << 10)

struct text_pool {
	VEC(struct text) texts;
	VEC(char *) blocks; /* what they lie in */
	char *next; /* room for the next ones, ROOM bytes */
	size_t room;
	struct table by_text;
};

struct text_pool *text_pool_new(void)
{
	return xcalloc(1, sizeof(struct text_pool));
}

void text_pool_free(struct text_pool *pool)
{
	if (!pool)
		return;
	for (size_t i = 0; i < pool->blocks.count; i++)
		free(pool->blocks.items[i]);
	VEC_FREE(&pool->blocks);
	VEC_FREE(&pool->texts);
	table_free(&pool->by_text);
	free(pool);
}

/* How long the UTF-8 character that starts with BYTE is; 0: none starts so. */
static size_t utf8_size_by_start(uint8_t byte)
{
	if (byte < 0x80)
		return 1;
	if (byte < 0xc2) /* inside a character, or an overlong one */
		return 0;
	if (byte < 0xe0)
		return 2;
	if (byte < 0xf0)
		return 3;
	return byte < 0xf5 ? 4 : 0;
}

/* The bytes of the printable character at AT, or 0: there is none (Unicode 15, table 3-7). */
static size_t utf8_size(const uint8_t *at, size_t left)
{
	static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const size_t size = utf8_size_by_start(at[0]);
	uint32_t rune;

	if (size <= 1)
		return at[0] >= 0x20 && at[0] != 0x7f ? size : 0;
	if (size > left)
		return 0;
	rune = at[0] & (0x7fu >> size);
	for (size_t i = 1; i < size; i++) {
		if ((at[i] & 0xc0) != 0x80)
			return 0;
		rune = rune << 6 | (at[i] & 0x3f);
	}
	if (rune < smallest[size] || rune > 0x10ffff || (rune >= 0xd800 && rune < 0xe000))
		return 0;
	return size;
}

/* Are all eight bytes of WORD printable ASCII?  A byte's high bit is set in the sum when it is
 * below 0x20, or is 0x7f or more. */
static bool is_printable_ascii(uint64_t word)
{
	const uint64_t ones = 0x0101010101010101;
	const uint64_t high = ones * 0x80;

	return ((word | (word - ones * 0x20) | (word + ones)) & high) == 0;
}

static size_t clean_prefix_size(const char *text, size_t size)
{
	size_t at = 0;
	uint64_t word;

	for (; size - at >= sizeof(word); at += sizeof(word)) { /* nearly all */
		memcpy(&word, text + at, sizeof(word));
		if (!is_printable_ascii(word))
			break;
	}
	while (at < size) {
		size_t step = utf8_size((const uint8_t *)text + at, size - at);

		if (step == 0)
			break;
		at += step;
	}
	return at;
}

/* A copy of TEXT with '?' for what pprof would refuse. */
static char *cleaned_copy(const char *text, size_t size)
{
	char *copy = xmalloc(size + 1);
	size_t at = 0;

	memcpy(copy, text, size);
	copy[size] = '\0';
	while ((at += clean_prefix_size(copy + at, size - at)) < size)
		copy[at++] = '?';
	return copy;
}

static bool same_text(const void *context, size_t index, const void *key)
{
	const struct text_pool *pool = context;
	const struct text *text = key;
	const struct text *kept = &pool->texts.items[index];

	return kept->size == text->size && memcmp(kept->start, text->start, text->size) == 0;
}

static char *add_block(struct text_pool *pool, size_t size)
{
	char *block = xmalloc(size);

	*VEC_PUSH(&pool->blocks) = block;
	return block;
}

static const char *keep(struct text_pool *pool, const char *text, size_t size)
{
	char *to;

	if (size >= BLOCK_SIZE / 8) {
		to = add_block(pool, size + 1);
	} else {
		if (pool->room <= size) {
			pool->next = add_block(pool, BLOCK_SIZE);
			pool->room = BLOCK_SIZE;
		}
		to = pool->next;
		pool->next += size + 1;
		pool->room -= size + 1;
	}
	memcpy(to, text, size);
	to[size] = '\0';
	return to;
}

static const char *add_clean(struct text_pool *pool, const char *text, size_t size)
{
	const struct text key = { text, size };
	const uint64_t hash = hash_bytes(text, size);
	size_t index;

	if (!table_find(&pool->by_text, hash, same_text, pool, &key, &index)) {
		index = pool->texts.count;
		*VEC_PUSH(&pool->texts) = (struct text){ keep(pool, text, size), size };
		table_insert(&pool->by_text, hash, index);
	}
	return pool->texts.items[index].start;
}

const char *text_pool_add_sized(struct text_pool *pool, const char *text, size_t size)
{
	const char *kept;
	char *copy;

	if (size > TEXT_SIZE_MAX)
		size = TEXT_SIZE_MAX;
	if (clean_prefix_size(text, size) == size)
		return add_clean(pool, text, size);
	copy = cleaned_copy(text, size);
	kept = add_clean(pool, copy, size);
	free(copy);
	return kept;
}

const char *text_pool_add(struct text_pool *pool, const char *text)
{
	return text ? text_pool_add_sized(pool, text, strnlen(text, TEXT_SIZE_MAX)) : NULL;
}
