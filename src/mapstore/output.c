#include "mapstore/output.h"

#include "base/compiler.h"

void output_free(struct output *out)
{
	VEC_FREE(&out->bytes);
}

/* Room for SIZE more bytes. */
static uint8_t *reserve(struct output *out, size_t size)
{
	if (UNLIKELY(out->bytes.capacity - out->bytes.count < size))
		out->bytes.items = vec_grow(
			out->bytes.items, &out->bytes.capacity, out->bytes.count, size, 1);
	return out->bytes.items + out->bytes.count;
}

void output_bytes(struct output *out, const void *data, size_t size)
{
	if (size > 0)
		memcpy(reserve(out, size), data, size);
	out->bytes.count += size;
}

void output_u8(struct output *out, uint8_t value)
{
	*reserve(out, 1) = value;
	out->bytes.count++;
}

void output_u32(struct output *out, uint32_t value)
{
	output_bytes(out, &value, sizeof(value));
}

void output_uleb128(struct output *out, uint64_t value)
{
	uint8_t *to = reserve(out, 10);

	for (; value >= 0x80; value >>= 7)
		*to++ = (uint8_t)value | 0x80;
	*to++ = (uint8_t)value;
	out->bytes.count = (size_t)(to - out->bytes.items);
}

void output_sleb128(struct output *out, int64_t value)
{
	uint8_t *to = reserve(out, 10);

	for (; value < -0x40 || value > 0x3f; value >>= 7)
		*to++ = (uint8_t)value | 0x80;
	*to++ = (uint8_t)value & 0x7f;
	out->bytes.count = (size_t)(to - out->bytes.items);
}

void output_align(struct output *out, size_t alignment)
{
	while (out->bytes.count % alignment)
		output_u8(out, 0);
}

void output_set_u32(struct output *out, size_t offset, uint32_t value)
{
	memcpy(out->bytes.items + offset, &value, sizeof(value));
}
