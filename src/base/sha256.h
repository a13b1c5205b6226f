/* SHA-256 (FIPS 180-4).  Pure; no allocation, 400 bytes of stack.  Signal-safe. */
#ifndef BASE_SHA256_H
#define BASE_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define SHA256_SIZE 32 /* bytes */

struct sha256 {
	uint32_t state[8];
	uint64_t size; /* bytes added */
	uint8_t block[64]; /* the last SIZE % 64 of them */
};

void sha256_begin(struct sha256 *s);
void sha256_add(struct sha256 *s, const void *data, size_t size);
/* *S is to be begun again after this. */
void sha256_end(struct sha256 *s, uint8_t digest[static SHA256_SIZE]);

#endif
