#include "base/crc32.h"

uint32_t crc32_of(const void *data, size_t size)
{
	const uint8_t *at = data;
	uint32_t table[256];
	uint32_t crc = ~0u;

	for (uint32_t i = 0; i < 256; i++) {
		uint32_t value = i;

		for (int bit = 0; bit < 8; bit++)
			value = value >> 1 ^ (value & 1 ? 0xedb88320u : 0);
		table[i] = value;
	}
	while (size-- > 0)
		crc = table[(crc ^ *at++) & 0xff] ^ crc >> 8;
	return ~crc;
}
