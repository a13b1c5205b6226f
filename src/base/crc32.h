/* The CRC-32 of IEEE 802.3 (as in zip, PNG and .gnu_debuglink).  Pure. */
#ifndef BASE_CRC32_H
#define BASE_CRC32_H

#include <stddef.h>
#include <stdint.h>

uint32_t crc32_of(const void *data, size_t size);

#endif
