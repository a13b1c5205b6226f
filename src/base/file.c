#define _GNU_SOURCE
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/xalloc.h"

int file_map(const char *path, struct file_bytes *ret)
{
	int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	void *mapping;
	int r = 0;

	if (descriptor < 0)
		return -errno;
	if (fstat(descriptor, &st) < 0)
		r = -errno;
	else if (S_ISDIR(st.st_mode))
		r = -EISDIR;
	else if (!S_ISREG(st.st_mode))
		r = -EINVAL;
	else if (st.st_size == 0)
		r = -ENODATA;
	if (r)
		goto out;
	mapping = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, descriptor, 0);
	if (mapping == MAP_FAILED) {
		r = -errno;
		goto out;
	}
	*ret = (struct file_bytes){
		.data = mapping, .size = (size_t)st.st_size, .mapping = mapping };
out:
	close(descriptor);
	return r;
}

void file_unmap(struct file_bytes *bytes)
{
	if (bytes->mapping)
		munmap(bytes->mapping, bytes->size);
	*bytes = (struct file_bytes){ .data = NULL };
}

int file_write(int descriptor, const void *data, size_t size)
{
	const uint8_t *at = data;

	while (size > 0) {
		ssize_t written = write(descriptor, at, size);

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return written < 0 ? -errno : -EIO;
		at += written;
		size -= (size_t)written;
	}
	return 0;
}

static int write_straight(const char *path, const void *data, size_t size)
{
	int descriptor = open(path, O_WRONLY | O_CLOEXEC);
	int r;

	if (descriptor < 0)
		return -errno;
	r = file_write(descriptor, data, size);
	if (close(descriptor) < 0 && r == 0)
		r = -errno;
	return r;
}

/* In a folder that others can write to, a link may be there to have us write where its maker
 * cannot: the kernel's rule for sticky folders (proc(5), protected_symlinks), in any folder. */
static bool is_planted_link(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && S_ISLNK(st.st_mode) && st.st_uid != geteuid() &&
		st.st_uid != 0;
}

int file_replace(const char *path, const void *data, size_t size)
{
	struct stat st;
	char *target, *temporary;
	int descriptor;
	int r;

	if (is_planted_link(path))
		return -ELOOP;
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
		return S_ISDIR(st.st_mode) ? -EISDIR : write_straight(path, data, size);
	/* /dev/stdout may be a link to a regular file. */
	target = realpath(path, NULL);
	if (!target)
		target = xstrdup(path);
	temporary = xasprintf("%s.XXXXXX", target);
	descriptor = mkostemp(temporary, O_CLOEXEC); /* O_EXCL, mode 0600 */
	if (descriptor < 0) {
		r = -errno;
		goto out;
	}
	r = file_write(descriptor, data, size);
	if (r == 0 && fsync(descriptor) < 0 && errno != EINVAL)
		r = -errno;
	if (close(descriptor) < 0 && r == 0)
		r = -errno;
	if (r == 0 && rename(temporary, target) < 0)
		r = -errno;
	if (r)
		unlink(temporary);
out:
	free(temporary);
	free(target);
	return r;
}

int file_read_all(int descriptor, size_t limit, uint8_t **data, size_t *size)
{
	size_t capacity = 65536, used = 0;
	uint8_t *buffer = xmalloc(capacity);

	for (;;) {
		ssize_t got;

		if (used == capacity) {
			capacity *= 2;
			buffer = xreallocarray(buffer, capacity, 1);
		}
		got = read(descriptor, buffer + used, capacity - used);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 || used + (size_t)got > limit) {
			int r = got < 0 ? -errno : -EFBIG;

			free(buffer);
			return r;
		}
		if (got == 0)
			break;
		used += (size_t)got;
	}
	*data = buffer;
	*size = used;
	return 0;
}
