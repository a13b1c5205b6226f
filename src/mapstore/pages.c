#define _GNU_SOURCE
#include "mapstore/pages.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <zlib.h>

#include "base/compiler.h"

#define RAW_DEFLATE (-15) /* zlib's window bits: no header */
#define LEVEL 3 /* more make a map 4 % smaller, and half as much again of the time */

enum page_state { PAGE_PACKED, PAGE_UNPACKED, PAGE_DAMAGED };

static size_t page_count(uint64_t size)
{
	return (size_t)((size + MAP_PAGE_SIZE - 1) / MAP_PAGE_SIZE);
}

/* --- writing --- */

static void pack_page(z_stream *stream, const uint8_t *page, size_t size, struct output *out)
{
	uint8_t packed[MAP_PAGE_SIZE + MAP_PAGE_SIZE / 8 + MAP_PAGE_PACKED_MIN] = { 0 };
	size_t packed_size;

	deflateReset(stream);
	stream->next_in = (uint8_t *)page;
	stream->avail_in = (uInt)size;
	stream->next_out = packed;
	stream->avail_out = sizeof(packed);
	deflate(stream, Z_FINISH);
	packed_size = sizeof(packed) - stream->avail_out;
	if (size == MAP_PAGE_SIZE && packed_size < MAP_PAGE_PACKED_MIN)
		packed_size = MAP_PAGE_PACKED_MIN;
	output_bytes(out, packed, packed_size);
}

void pages_write(struct output *out, const struct output *section)
{
	const size_t start = out->bytes.count, size = section->bytes.count;
	z_stream stream = { .next_in = NULL };

	if (deflateInit2(&stream, LEVEL, Z_DEFLATED, RAW_DEFLATE, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		abort(); /* only for want of memory */
	for (size_t i = 0; i < page_count(size); i++)
		output_u32(out, 0);
	for (size_t i = 0; i < page_count(size); i++) {
		const size_t at = i * MAP_PAGE_SIZE;

		output_set_u32(out, start + 4 * i, (uint32_t)(out->bytes.count - start));
		pack_page(&stream, section->bytes.items + at,
			size - at < MAP_PAGE_SIZE ? size - at : MAP_PAGE_SIZE, out);
	}
	deflateEnd(&stream);
}

/* --- reading --- */

bool pages_open(struct pages *p, struct bytes packed, uint64_t size)
{
	const size_t count = page_count(size);

	*p = (struct pages){ .packed = packed, .size = size };
	if (size == 0)
		return true;
	if (size > UINT32_MAX ||
		(count - 1) * (4 + MAP_PAGE_PACKED_MIN) + 4 > bytes_left(&packed))
		return false;
	p->data = mmap(NULL, size, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	p->states = calloc(count, 1);
	p->stream = calloc(1, sizeof(*p->stream));
	if (p->data == MAP_FAILED)
		p->data = NULL;
	if (p->data && p->states && p->stream && inflateInit2(p->stream, RAW_DEFLATE) == Z_OK)
		return true;
	pages_close(p);
	return false;
}

void pages_close(struct pages *p)
{
	if (p->stream)
		inflateEnd(p->stream);
	if (p->data)
		munmap(p->data, p->size);
	free(p->stream);
	free(p->states);
	memset(p, 0, sizeof(*p));
}

void pages_forget(struct pages *p)
{
	if (p->unpacked_size == 0)
		return;
	madvise(p->data, p->size, MADV_DONTNEED);
	memset(p->states, PAGE_PACKED, page_count(p->size));
	p->unpacked_size = 0;
}

/* The packed bytes of page NUMBER and, the last one's end not being told, all behind them. */
static struct bytes packed_page(const struct pages *p, uint64_t number)
{
	struct bytes index = p->packed, at = p->packed;

	bytes_skip(&index, number * 4);
	bytes_skip(&at, bytes_u32(&index));
	return at;
}

static bool unpack_to(struct pages *p, uint64_t number)
{
	const uint64_t start = number * MAP_PAGE_SIZE;
	const size_t size = p->size - start < MAP_PAGE_SIZE ? p->size - start : MAP_PAGE_SIZE;
	const struct bytes packed = packed_page(p, number);
	const size_t limit = 2 * MAP_PAGE_SIZE; /* no page packed well takes as much */

	if (inflateReset(p->stream) != Z_OK)
		return false;
	p->stream->next_in = (uint8_t *)packed.at;
	p->stream->avail_in =
		(uInt)(bytes_left(&packed) < limit ? bytes_left(&packed) : limit);
	p->stream->next_out = p->data + start;
	p->stream->avail_out = (uInt)size;
	p->unpacked_size += size;
	return inflate(p->stream, Z_FINISH) == Z_STREAM_END && p->stream->avail_out == 0;
}

/* A damaged page is tried once. */
static bool unpack(struct pages *p, uint64_t number)
{
	if (p->states[number] == PAGE_PACKED)
		p->states[number] = unpack_to(p, number) ? PAGE_UNPACKED : PAGE_DAMAGED;
	return p->states[number] == PAGE_UNPACKED;
}

struct bytes pages_at(struct pages *p, uint64_t offset, uint64_t size)
{
	struct bytes at = { .broken = true };

	if (offset >= p->size || size == 0)
		return at;
	if (size > p->size - offset)
		size = p->size - offset;
	for (uint64_t i = offset / MAP_PAGE_SIZE; i <= (offset + size - 1) / MAP_PAGE_SIZE; i++)
		if (UNLIKELY(p->states[i] != PAGE_UNPACKED) && !unpack(p, i))
			return at;
	return bytes_over(p->data + offset, size);
}
