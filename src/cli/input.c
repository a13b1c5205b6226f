#define _GNU_SOURCE
#include "cli/input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/xalloc.h"
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

/* R is what opening a spool came to. */
static int say_spool(const char *path, int r, const struct spool_reader *spool)
{
	if (r == -EPROTO)
		message("%s was written by another version of plugprof", path);
	else if (r == -ENODATA)
		message("%s is not filled in yet", path);
	else if (r)
		message("%s is a damaged spool", path);
	else if (spool_reader_is_cut_short(spool))
		message("%s was cut short: only what is whole in it is read", path);
	return r;
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

/* One of the two. */
struct input {
	struct spool_reader *spool;
	struct profile *profile;
};

static int open_any(const char *path, struct input *input)
{
	char *why = NULL;
	uint8_t *data;
	size_t size;
	int r;

	*input = (struct input){ .spool = NULL };
	if (is_file_of_spool(path)) {
		r = spool_reader_open(path, &input->spool);
		return say_spool(path, r, input->spool);
	}
	r = read_bytes(path, &data, &size);
	if (r) {
		message_errno(r, "cannot read %s", path);
		return r;
	}
	if (size >= sizeof(SPOOL_MAGIC) && memcmp(data, SPOOL_MAGIC, sizeof(SPOOL_MAGIC)) == 0) {
		r = spool_reader_over(data, size, &input->spool);
		say_spool(path, r, input->spool);
	} else {
		r = profile_load(data, size, &input->profile, &why);
		if (r)
			message("cannot use %s, which is no spool: %s", path,
				why ? why : strerror(-r));
		free(why);
	}
	free(data);
	return r;
}

static struct profile *read_any(const struct spool_reader *spool)
{
	return spool_reader_has_cpu(spool) ? pipeline_read_spool(spool) : pipeline_read_heap(spool);
}

int input_open(const char *path, struct profile **ret)
{
	struct input input;
	int r = open_any(path, &input);

	if (r)
		return r;
	*ret = input.spool ? read_any(input.spool) : input.profile;
	spool_reader_free(input.spool);
	return 0;
}

/* The spool of the process that PATH is the number of, or PATH; the caller's to free().  NULL after
 * one line was said. */
static char *path_of(const char *path)
{
	return spool_folder_is_process(path) ? spool_folder_find_process(path) : xstrdup(path);
}

int input_open_kinds(
	const char *path, struct profile *profiles[static INPUT_KINDS_MAX], size_t *count)
{
	char *file = path_of(path);
	struct input input;
	int r = file ? open_any(file, &input) : -ESRCH;

	free(file);
	if (r)
		return r;
	*count = 0;
	if (input.profile)
		profiles[(*count)++] = input.profile;
	if (input.spool && spool_reader_has_cpu(input.spool))
		profiles[(*count)++] = pipeline_read_spool(input.spool);
	if (input.spool && spool_reader_heap_rate(input.spool))
		profiles[(*count)++] = pipeline_read_heap(input.spool);
	if (*count == 0) /* it was cut short before its samples: what it tells of libraries */
		profiles[(*count)++] = read_any(input.spool);
	spool_reader_free(input.spool);
	return 0;
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

int input_check_heap(const struct spool_reader *spool, const char *name)
{
	if (spool_reader_heap_rate(spool))
		return 0;
	message("no allocations are sampled in %s: it was started with heap=off", name);
	return -ENODATA;
}

int input_open_heap(const char *path, struct profile **ret)
{
	char *file = path_of(path);
	struct input input;
	struct profile *p;
	int r = file ? open_any(file, &input) : -ESRCH;

	free(file);
	if (r)
		return r;
	r = input.spool ? input_check_heap(input.spool, path) : 0;
	if (r) {
		spool_reader_free(input.spool);
		return r;
	}
	p = input.spool ? pipeline_read_heap(input.spool) : input.profile;
	spool_reader_free(input.spool);
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
