#include "mapstore/output.h"

#include <stdbool.h>

void output_free(struct output *out)
{
	VEC_FREE(&out->bytes);
}

static uint8_t *grow(struct output *out, size_t size)
{
	uint8_t *added;

	out->bytes.items =
		vec_grow(out->bytes.items, &out->bytes.capacity, out->bytes.count, size, 1);
	added = out->bytes.items + out->bytes.count;
	out->bytes.count += size;
	return added;
}

void output_bytes(struct output *out, const void *data, size_t size)
{
	if (size > 0)
		memcpy(grow(out, size), data, size);
}

void output_u8(struct output *out, uint8_t value)
{
	*grow(out, 1) = value;
}

void output_u32(struct output *out, uint32_t value)
{
	output_bytes(out, &value, sizeof(value));
}

void output_uleb128(struct output *out, uint64_t value)
{
	uint8_t bytes[10];
	size_t count = 0;

	do {
		bytes[count] = (uint8_t)(value & 0x7f);
		value >>= 7;
		if (value)
			bytes[count] |= 0x80;
		count++;
	} while (value);
	output_bytes(out, bytes, count);
}

void output_sleb128(struct output *out, int64_t value)
{
	uint8_t bytes[10];
	size_t count = 0;
	bool more = true;

	while (more) {
		const uint8_t low = (uint8_t)(value & 0x7f);

		value >>= 7;
		more = !((value == 0 && !(low & 0x40)) || (value == -1 && (low & 0x40)));
		bytes[count++] = more ? low | 0x80 : low;
	}
	output_bytes(out, bytes, count);
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
