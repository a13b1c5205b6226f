/* Whole files for the tool: map one to read, write one so that it appears whole or not at all. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

struct file_bytes {
	const uint8_t *data;
	size_t size;
	void *mapping; /* NULL: DATA is heap memory or nothing */
};

/* Map PATH for reading.  0: *RET is the caller's to file_unmap(); -errno: untouched.
 * -EISDIR and -EINVAL for what is not a regular file; an empty file is -ENODATA. */
int file_map(const char *path, struct file_bytes *ret) MUST_CHECK;
void file_unmap(struct file_bytes *bytes);

/* Write SIZE bytes to PATH with mode 0600: a temporary file beside it, fsync, rename.  When
 * PATH is no regular file (a device, a fifo) it is written straight; when it is a symbolic link,
 * what it points to is replaced, not the link; another user's link, but for root's, is -ELOOP.
 * 0 or -errno; on failure nothing is left behind
 * and an older PATH is as it was. */
int file_replace(const char *path, const void *data, size_t size) MUST_CHECK;

/* All SIZE bytes to DESCRIPTOR.  0 or -errno. */
int file_write(int descriptor, const void *data, size_t size) MUST_CHECK;

/* All of DESCRIPTOR to its end, at most LIMIT bytes (-EFBIG beyond).  *DATA is free()'d by
 * the caller. */
int file_read_all(int descriptor, size_t limit, uint8_t **data, size_t *size) MUST_CHECK;

#endif
