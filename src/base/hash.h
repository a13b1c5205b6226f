/* A 64-bit mix for hash tables of stacks, strings and addresses.  Pure, signal-safe. */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The finalizer of MurmurHash3 (Austin Appleby, public domain): every input bit reaches
 * every output bit; a bijection, so distinct inputs stay distinct. */
static inline uint64_t hash_mix(uint64_t x)
{
	x ^= x >> 33;
	x *= 0xff51afd7ed558ccdu;
	x ^= x >> 33;
	x *= 0xc4ceb9fe1a85ec53u;
	x ^= x >> 33;
	return x;
}

/* One step of a running hash over words: cheap, and order matters. */
static inline uint64_t hash_add(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
	return hash ^ (hash >> 32);
}

static inline uint64_t hash_bytes(const void *data, size_t size)
{
	const uint8_t *at = data;
	uint64_t hash = size;
	uint64_t word;

	for (; size >= sizeof(word); size -= sizeof(word), at += sizeof(word)) {
		memcpy(&word, at, sizeof(word));
		hash = hash_add(hash, word);
	}
	word = 0;
	memcpy(&word, at, size);
	return hash_mix(hash_add(hash, word));
}

#endif
