#define _GNU_SOURCE
#include "cli/input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/message.h"
#include "cli/pipeline.h"
#include "pprof/profile_io.h"
#include "spool/spool_reader.h"

static int read_bytes(const char *path, uint8_t **data, size_t *size)
{
	int descriptor = strcmp(path, "-") == 0 ? dup(STDIN_FILENO) :
						  open(path, O_RDONLY | O_CLOEXEC);
	int r;

	if (descriptor < 0)
		return -errno;
	r = file_read_all(descriptor, PROFILE_SIZE_MAX, data, size);
	close(descriptor);
	return r;
}

static int from_spool(const char *path, const uint8_t *data, size_t size, struct profile **ret)
{
	struct spool_reader *spool;
	int r = spool_reader_over(data, size, &spool);

	if (r == -EPROTO)
		message("%s was written by another version of plugprof", path);
	else if (r == -ENODATA)
		message("%s is not filled in yet", path);
	else if (r)
		message("%s is a damaged spool", path);
	if (r)
		return r;
	if (spool_reader_is_cut_short(spool))
		message("%s was cut short: only what is whole in it is read", path);
	*ret = spool_reader_has_cpu(spool) ? pipeline_read_spool(spool) :
					     pipeline_read_heap(spool);
	spool_reader_free(spool);
	return 0;
}

int input_open(const char *path, struct profile **ret)
{
	char *why = NULL;
	uint8_t *data;
	size_t size;
	int r = read_bytes(path, &data, &size);

	if (r) {
		message_errno(r, "cannot read %s", path);
		return r;
	}
	if (size >= sizeof(SPOOL_MAGIC) && memcmp(data, SPOOL_MAGIC, sizeof(SPOOL_MAGIC)) == 0) {
		r = from_spool(path, data, size, ret);
	} else {
		r = profile_load(data, size, ret, &why);
		if (r)
			message("cannot use %s, which is no spool: %s", path,
				why ? why : strerror(-r));
		free(why);
	}
	free(data);
	return r;
}
