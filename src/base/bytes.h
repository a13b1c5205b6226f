/*
 * A bounded cursor over bytes that nobody vouches for: ELF images, unwind tables, spools.
 *
 * Every read either succeeds whole or leaves the cursor "broken": from then on each read
 * gives 0 (or NULL) and bytes_ok() is false, so that a parser may read a run of fields and
 * check once.  Nothing is ever read outside [start, end).  No allocation, no libc call:
 * signal-safe, used by the agent as well as the tool.  Multi-byte values are little-endian.
 */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/compiler.h"

struct bytes {
	const uint8_t *at; /* END when broken: so nothing is left */
	const uint8_t *end;
	bool broken; /* bytes_break() sets it */
};

static inline struct bytes bytes_over(const void *start, size_t size)
{
	return (struct bytes){ .at = start, .end = (const uint8_t *)start + size };
}

static inline bool bytes_ok(const struct bytes *b)
{
	return !b->broken;
}

static inline void bytes_break(struct bytes *b)
{
	b->at = b->end;
	b->broken = true;
}

static inline size_t bytes_left(const struct bytes *b)
{
	return (size_t)(b->end - b->at);
}

/* SIZE bytes at the cursor, which moves behind them; NULL (and broken) when there are fewer. */
static inline const void *bytes_take(struct bytes *b, size_t size)
{
	const uint8_t *start = b->at;

	if (UNLIKELY(bytes_left(b) < size || (size == 0 && b->broken))) {
		bytes_break(b);
		return NULL;
	}
	b->at += size;
	return start;
}

static inline bool bytes_skip(struct bytes *b, size_t size)
{
	return bytes_take(b, size) != NULL;
}

#define BYTES_READER(name, type)                                                                \
	static inline type bytes_##name(struct bytes *b)                                        \
	{                                                                                       \
		const void *start = bytes_take(b, sizeof(type));                                \
		type value = 0;                                                                 \
                                                                                                \
		if (start)                                                                      \
			memcpy(&value, start, sizeof(value));                                   \
		return value;                                                                   \
	}
BYTES_READER(u8, uint8_t)
BYTES_READER(u16, uint16_t)
BYTES_READER(u32, uint32_t)
BYTES_READER(u64, uint64_t)
#undef BYTES_READER

/* A number of SIZE bytes, at most 8. */
static inline uint64_t bytes_uint(struct bytes *b, size_t size)
{
	const void *start;
	uint64_t value = 0;

	switch (size) { /* what is copied has a constant size: no call */
	case 1:
		return bytes_u8(b);
	case 2:
		return bytes_u16(b);
	case 4:
		return bytes_u32(b);
	case 8:
		return bytes_u64(b);
	}
	start = bytes_take(b, size);
	if (start)
		memcpy(&value, start, size);
	return value;
}

/* DWARF 5 section 7.6.  Bits beyond the 64th are dropped, as other readers do. */
static inline uint64_t bytes_uleb128(struct bytes *b)
{
	uint64_t value = 0;
	unsigned int shift = 0;
	uint8_t byte;

	if (LIKELY(bytes_left(b) > 0 && *b->at < 0x80)) /* nearly all */
		return *b->at++;
	do {
		byte = bytes_u8(b);
		if (shift < 64)
			value |= (uint64_t)(byte & 0x7f) << shift;
		shift += 7;
	} while (byte & 0x80);
	return value;
}

static inline int64_t bytes_sleb128(struct bytes *b)
{
	uint64_t value = 0;
	unsigned int shift = 0;
	uint8_t byte;

	do {
		byte = bytes_u8(b);
		if (shift < 64)
			value |= (uint64_t)(byte & 0x7f) << shift;
		shift += 7;
	} while (byte & 0x80);
	if ((byte & 0x40) && shift < 64)
		value |= ~(uint64_t)0 << shift;
	return (int64_t)value;
}

/* A NUL-terminated string wholly inside the bytes, or NULL (and broken). */
static inline const char *bytes_string(struct bytes *b)
{
	const uint8_t *start = b->at;

	while (bytes_left(b) > 0)
		if (*b->at++ == 0)
			return (const char *)start;
	bytes_break(b);
	return NULL;
}

#endif
