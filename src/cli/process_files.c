#define _GNU_SOURCE
#include "cli/process_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/xalloc.h"

#define MAPS_SIZE_MAX (256u << 20)
#define DELETED " (deleted)"

/* A process in a container or chroot has another root. */
static bool has_our_root(unsigned int pid)
{
	char *path = xasprintf("/proc/%u/root", pid);
	struct stat ours, its;
	const bool same = stat("/", &ours) < 0 || stat(path, &its) < 0 ||
			  (ours.st_dev == its.st_dev && ours.st_ino == its.st_ino);

	free(path);
	return same;
}

static bool is_known(const struct process_files *files, const char *path, const char *inode)
{
	for (size_t i = 0; i < files->items.count; i++)
		if (strcmp(files->items.items[i].path, path) == 0 &&
			strcmp(files->items.items[i].device_and_inode, inode) == 0)
			return true;
	return false;
}

static bool cut_deleted(char *path)
{
	const size_t size = strlen(path), tail = strlen(DELETED);

	if (size <= tail || strcmp(path + size - tail, DELETED) != 0)
		return false;
	path[size - tail] = '\0';
	return true;
}

/* "7f..-7f.. r-xp OFFSET DEVICE INODE   PATH" (proc(5)); PATH may hold blanks. */
static void read_line(
	struct process_files *files, unsigned int pid, bool our_root, const char *line)
{
	char range[40], permissions[8], device[24], inode[24], *both;
	struct process_file *file;
	int path_at = 0;
	char *path;
	bool deleted;

	if (sscanf(line, "%39s %7s %*s %23s %23s %n", range, permissions, device, inode,
		    &path_at) < 4 ||
		path_at == 0 || line[path_at] != '/' || permissions[2] != 'x')
		return;
	path = xstrdup(line + path_at);
	deleted = cut_deleted(path);
	both = xasprintf("%s %s", device, inode);
	if (is_known(files, path, both)) {
		free(path);
		free(both);
		return;
	}
	file = VEC_PUSH(&files->items);
	*file = (struct process_file){ .path = path,
		.deleted = deleted,
		.device_and_inode = both,
		.mapping_path = xasprintf("/proc/%u/map_files/%s", pid, range) };
	if (our_root)
		file->present_path = xstrdup(path);
	else
		file->present_path = xasprintf("/proc/%u/root%s", pid, path);
}

int process_files_read(unsigned int pid, struct process_files *ret)
{
	char *path = xasprintf("/proc/%u/maps", pid);
	const int descriptor = open(path, O_RDONLY | O_CLOEXEC);
	const bool our_root = has_our_root(pid);
	char *text = NULL, *rest, *line;
	uint8_t *data;
	size_t size;
	int r = descriptor < 0 ? -errno :
				 file_read_all(descriptor, MAPS_SIZE_MAX, &data, &size);

	*ret = (struct process_files){ .items = { .count = 0 } };
	free(path);
	if (descriptor >= 0)
		close(descriptor);
	if (r < 0)
		return r == -ESRCH ? -ENOENT : r;
	text = rest = xstrndup((const char *)data, size);
	free(data);
	while ((line = strsep(&rest, "\n")) != NULL)
		read_line(ret, pid, our_root, line);
	free(text);
	return 0;
}

void process_files_free(struct process_files *files)
{
	for (size_t i = 0; i < files->items.count; i++) {
		struct process_file *file = &files->items.items[i];

		free(file->path);
		free(file->device_and_inode);
		free(file->mapping_path);
		free(file->present_path);
	}
	VEC_FREE(&files->items);
}
