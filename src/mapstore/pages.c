#define _GNU_SOURCE
#include "mapstore/pages.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <zstd.h>

#include "base/compiler.h"

#define LEVEL 3

enum page_state { PAGE_PACKED, PAGE_UNPACKED, PAGE_DAMAGED };

static size_t page_count(uint64_t size)
{
	return (size_t)((size + MAP_PAGE_SIZE - 1) / MAP_PAGE_SIZE);
}

/* --- writing --- */

static void pack_page(ZSTD_CCtx *context, const uint8_t *page, size_t size, struct output *out)
{
	uint8_t packed[ZSTD_COMPRESSBOUND(MAP_PAGE_SIZE)] = { 0 };
	size_t packed_size = ZSTD_compress2(context, packed, sizeof(packed), page, size);

	if (ZSTD_isError(packed_size))
		abort(); /* only for want of memory */
	if (size == MAP_PAGE_SIZE && packed_size < MAP_PAGE_PACKED_MIN)
		packed_size = MAP_PAGE_PACKED_MIN;
	output_bytes(out, packed, packed_size);
}

void pages_write(struct output *out, const struct output *section)
{
	const size_t start = out->bytes.count, size = section->bytes.count;
	ZSTD_CCtx *context = ZSTD_createCCtx();

	if (!context)
		abort();
	ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, LEVEL);
	for (size_t i = 0; i < page_count(size); i++)
		output_u32(out, 0);
	for (size_t i = 0; i < page_count(size); i++) {
		const size_t at = i * MAP_PAGE_SIZE;

		output_set_u32(out, start + 4 * i, (uint32_t)(out->bytes.count - start));
		pack_page(context, section->bytes.items + at,
			size - at < MAP_PAGE_SIZE ? size - at : MAP_PAGE_SIZE, out);
	}
	ZSTD_freeCCtx(context);
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
	if (p->data == MAP_FAILED)
		p->data = NULL;
	if (p->data && p->states)
		return true;
	pages_close(p);
	return false;
}

void pages_close(struct pages *p)
{
	if (p->data)
		munmap(p->data, p->size);
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

/* The packed bytes of page NUMBER and all behind them: the last one's end is not told. */
static struct bytes packed_page(const struct pages *p, uint64_t number)
{
	struct bytes index = p->packed, at = p->packed;

	bytes_skip(&index, number * 4);
	bytes_skip(&at, bytes_u32(&index));
	return at;
}

/* Made once: it is larger than what is unpacked with it. */
static ZSTD_DCtx *unpacking_context(void)
{
	static ZSTD_DCtx *context;

	if (!context)
		context = ZSTD_createDCtx();
	return context;
}

static bool unpack_to(struct pages *p, uint64_t number)
{
	ZSTD_DCtx *context = unpacking_context();
	const uint64_t start = number * MAP_PAGE_SIZE;
	const size_t size = p->size - start < MAP_PAGE_SIZE ? p->size - start : MAP_PAGE_SIZE;
	const struct bytes packed = packed_page(p, number);
	const size_t packed_size = ZSTD_findFrameCompressedSize(packed.at, bytes_left(&packed));

	p->unpacked_size += size;
	return context && !ZSTD_isError(packed_size) &&
		ZSTD_decompressDCtx(
			context, p->data + start, size, packed.at, packed_size) == size;
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
