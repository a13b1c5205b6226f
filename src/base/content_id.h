/*
 * The identity of a library that has no build-ID: a hash of what its file and every process
 * that has loaded it hold alike, the segments that nobody writes to.  (Text relocations make
 * the two differ: then the file is not taken for the library's.)
 *
 * Of a segment above CONTENT_PAGES_MAX pages so many are taken, evenly spread, so the work is
 * bounded: 1 MiB a segment.  Pure; no allocation.  Signal-safe if READ is.
 */
#ifndef BASE_CONTENT_ID_H
#define BASE_CONTENT_ID_H

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/build_id.h"

#define CONTENT_PAGE_SIZE 4096
#define CONTENT_PAGES_MAX 256

/* SIZE bytes (at most CONTENT_PAGE_SIZE) of SEGMENT, AT bytes from its start: where they are, or
 * NULL when they cannot be had. */
typedef const void *content_read(
	void *context, const Elf64_Phdr *segment, uint64_t at, size_t size);

/* 0: there is no such segment, or one cannot be read. */
uint64_t content_id_of(const Elf64_Phdr *headers, size_t header_count, content_read *read,
	void *context);

/* As a key in the store; empty for 0. */
void content_id_to_key(uint64_t content_id, struct build_id *key);

#endif
