#define _GNU_SOURCE
#include "symbol/section.h"

#include <elf.h>
#include <lzma.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "base/xalloc.h"

#ifndef ELFCOMPRESS_ZSTD
#define ELFCOMPRESS_ZSTD 2
#endif

/* zlib's format can not do better than 1032 to 1, and no debug information is as dull as that. */
#define RATIO_MAX 1100u
#define XZ_MEMORY_MAX (128u << 20) /* of the decoder; xz -9 needs 65 MB */

static void *unpack_zlib(struct bytes packed, size_t size)
{
	void *data = xmalloc(size);
	z_stream stream = { .next_in = (void *)packed.at,
		.avail_in = (uInt)bytes_left(&packed),
		.next_out = data,
		.avail_out = (uInt)size };
	bool whole = false;

	if (bytes_left(&packed) <= UINT32_MAX && size <= UINT32_MAX &&
		inflateInit(&stream) == Z_OK) {
		whole = inflate(&stream, Z_FINISH) == Z_STREAM_END && stream.avail_out == 0;
		inflateEnd(&stream);
	}
	if (whole)
		return data;
	free(data);
	return NULL;
}

static void *unpack_zstd(struct bytes packed, size_t size)
{
	void *data = xmalloc(size);

	if (ZSTD_decompress(data, size, packed.at, bytes_left(&packed)) == size)
		return data;
	free(data);
	return NULL;
}

/* PACKED without its header becomes *RET. */
static bool unpack(struct bytes packed, uint32_t method, uint64_t size, struct section *ret)
{
	void *data = NULL;

	if (size == 0 || size / RATIO_MAX > bytes_left(&packed))
		return false;
	if (method == ELFCOMPRESS_ZLIB)
		data = unpack_zlib(packed, size);
	else if (method == ELFCOMPRESS_ZSTD)
		data = unpack_zstd(packed, size);
	if (data)
		*ret = (struct section){ .bytes = bytes_over(data, size), .heap = data };
	return data != NULL;
}

static bool load_compressed(struct bytes packed, struct section *ret)
{
	const uint32_t method = bytes_u32(&packed);
	uint64_t size;

	bytes_u32(&packed);
	size = bytes_u64(&packed);
	bytes_u64(&packed); /* alignment */
	return bytes_ok(&packed) && unpack(packed, method, size, ret);
}

/* ".zdebug_info": "ZLIB", the size in big-endian, the stream. */
static bool load_gnu_compressed(struct bytes packed, struct section *ret)
{
	const char *magic = bytes_take(&packed, 4);
	const uint64_t size = __builtin_bswap64(bytes_u64(&packed));

	return bytes_ok(&packed) && memcmp(magic, "ZLIB", 4) == 0 &&
		unpack(packed, ELFCOMPRESS_ZLIB, size, ret);
}

bool section_load(const struct binary *b, const char *name, struct section *ret)
{
	struct binary_section found;
	char old_name[64];

	if (binary_find_section(b, name, &found)) {
		if (found.compressed)
			return load_compressed(found.bytes, ret);
		*ret = (struct section){ .bytes = found.bytes };
		return bytes_left(&found.bytes) > 0;
	}
	if (strncmp(name, ".debug_", 7) != 0 || strlen(name) >= sizeof(old_name) - 1)
		return false;
	old_name[0] = '.';
	old_name[1] = 'z';
	strcpy(old_name + 2, name + 1);
	return binary_find_section(b, old_name, &found) &&
		load_gnu_compressed(found.bytes, ret);
}

void section_free(struct section *s)
{
	free(s->heap);
	*s = (struct section){ .heap = NULL };
}

void *section_unpack_xz(struct bytes packed, size_t limit, size_t *size)
{
	lzma_stream stream = LZMA_STREAM_INIT;
	size_t capacity = 4 * bytes_left(&packed) + 65536;
	uint8_t *data = NULL;
	lzma_ret r;

	if (lzma_stream_decoder(&stream, XZ_MEMORY_MAX, 0) != LZMA_OK)
		return NULL;
	stream.next_in = packed.at;
	stream.avail_in = bytes_left(&packed);
	do {
		capacity = capacity > limit ? limit : capacity;
		data = xreallocarray(data, capacity, 1);
		stream.next_out = data + stream.total_out;
		stream.avail_out = capacity - stream.total_out;
		r = lzma_code(&stream, LZMA_FINISH);
		if (capacity == limit)
			break;
		capacity *= 2;
	} while (r == LZMA_OK);
	*size = stream.total_out;
	lzma_end(&stream);
	if (r == LZMA_STREAM_END)
		return data;
	free(data);
	return NULL;
}
