#define _GNU_SOURCE
#include "cli/input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/message.h"
#include "cli/pipeline.h"
#include "cli/spool_folder.h"
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

/* How a spool becomes a profile. */
typedef struct profile *spool_to_profile(const struct spool_reader *spool);

static struct profile *read_any(const struct spool_reader *spool)
{
	return spool_reader_has_cpu(spool) ? pipeline_read_spool(spool) : pipeline_read_heap(spool);
}

/* R is what opening SPOOL came to. */
static int from_spool(const char *path, int r, struct spool_reader *spool,
	spool_to_profile *to_profile, struct profile **ret)
{
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
	*ret = to_profile(spool);
	spool_reader_free(spool);
	return 0;
}

/* A spool's file is mostly holes, and may belong to a process that runs. */
static bool is_file_of_spool(const char *path)
{
	char magic[sizeof(SPOOL_MAGIC)] = "";
	struct stat st;
	int descriptor;
	ssize_t size;

	if (lstat(path, &st) < 0 || !S_ISREG(st.st_mode))
		return false;
	descriptor = open(path, O_RDONLY | O_CLOEXEC);
	size = descriptor < 0 ? -1 : read(descriptor, magic, sizeof(magic));
	if (descriptor >= 0)
		close(descriptor);
	return size == sizeof(magic) && memcmp(magic, SPOOL_MAGIC, sizeof(magic)) == 0;
}

static int open_as(const char *path, spool_to_profile *to_profile, struct profile **ret)
{
	struct spool_reader *spool = NULL;
	char *why = NULL;
	uint8_t *data;
	size_t size;
	int r;

	if (is_file_of_spool(path)) {
		r = spool_reader_open(path, &spool);
		return from_spool(path, r, spool, to_profile, ret);
	}
	r = read_bytes(path, &data, &size);
	if (r) {
		message_errno(r, "cannot read %s", path);
		return r;
	}
	if (size >= sizeof(SPOOL_MAGIC) && memcmp(data, SPOOL_MAGIC, sizeof(SPOOL_MAGIC)) == 0) {
		r = spool_reader_over(data, size, &spool);
		r = from_spool(path, r, spool, to_profile, ret);
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

int input_open(const char *path, struct profile **ret)
{
	return open_as(path, read_any, ret);
}

/* --- heap --- */

static bool has_type(const struct profile *p, const char *name)
{
	for (size_t i = 0; i < p->sample_types.count; i++)
		if (strcmp(profile_string(p, p->sample_types.items[i].type), name) == 0)
			return true;
	return false;
}

static bool has_names(const struct profile *p)
{
	for (size_t i = 0; i < p->mappings.count; i++)
		if (p->mappings.items[i].has_functions)
			return true;
	return p->mappings.count == 0;
}

int input_open_heap(const char *path, struct profile **ret)
{
	char *spool = spool_folder_is_process(path) ? spool_folder_find_process(path) : NULL;
	struct profile *p;
	int r;

	if (spool_folder_is_process(path) && !spool)
		return -ESRCH;
	r = open_as(spool ? spool : path, pipeline_read_heap, &p);
	free(spool);
	if (r)
		return r;
	if (!has_type(p, "inuse_space") || !has_type(p, "inuse_objects")) {
		message("%s is no heap profile: it has no inuse_space and inuse_objects", path);
		profile_free(p);
		return -EINVAL;
	}
	if (!has_names(p))
		pipeline_symbolize(p, NULL);
	*ret = p;
	return 0;
}
