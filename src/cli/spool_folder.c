#define _GNU_SOURCE
#include "cli/spool_folder.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/message.h"

static bool has_suffix(const char *name)
{
	size_t length = strlen(name), suffix = strlen(SPOOL_SUFFIX);

	return length > suffix && strcmp(name + length - suffix, SPOOL_SUFFIX) == 0;
}

static int by_start(const void *a, const void *b)
{
	const struct spool_header *x = spool_reader_header(((const struct found_spool *)a)->reader);
	const struct spool_header *y = spool_reader_header(((const struct found_spool *)b)->reader);

	return (x->start_monotonic_ns > y->start_monotonic_ns) -
		(x->start_monotonic_ns < y->start_monotonic_ns);
}

int spool_folder_list(const char *folder,
	bool (*wanted)(const struct spool_header *header, const char *path, const void *context),
	const void *context, found_spools *found)
{
	DIR *directory = opendir(folder);
	struct dirent *entry;

	if (!directory)
		return errno == ENOENT ? 0 : -errno;
	while ((entry = readdir(directory))) {
		struct spool_reader *reader;
		struct spool_header header;
		char *path;

		if (!has_suffix(entry->d_name))
			continue;
		path = xasprintf("%s/%s", folder, entry->d_name);
		if (spool_read_header(path, &header) == 0 && wanted(&header, path, context) &&
			spool_reader_open(path, &reader) == 0)
			*VEC_PUSH(found) = (struct found_spool){ path, reader };
		else
			free(path);
	}
	closedir(directory);
	if (found->count)
		qsort(found->items, found->count, sizeof(*found->items), by_start);
	return 0;
}

void found_spools_free(found_spools *found)
{
	for (size_t i = 0; i < found->count; i++) {
		free(found->items[i].path);
		spool_reader_free(found->items[i].reader);
	}
	VEC_FREE(found);
}

bool spool_is_in_use(const struct spool_header *header, const char *path)
{
	const char *name = strrchr(path, '/');
	char maps[64], *line = NULL;
	size_t capacity = 0;
	bool mapped = false;
	FILE *file;

	name = name ? name : path;
	snprintf(maps, sizeof(maps), "/proc/%u/maps", header->pid);
	file = fopen(maps, "re");
	if (!file)
		return errno == EACCES; /* it lives, as somebody else: leave it alone */
	while (!mapped && getline(&line, &capacity, file) > 0) {
		size_t length = strcspn(line, "\n");

		line[length] = '\0';
		mapped = length > strlen(name) && strcmp(line + length - strlen(name), name) == 0;
	}
	free(line);
	fclose(file);
	return mapped;
}

/* --- of one process --- */

bool spool_folder_is_process(const char *text)
{
	return text[0] && strspn(text, "0123456789") == strlen(text) && access(text, F_OK) < 0;
}

/* The file of a line in /proc/PID/maps, if it is a spool; NULL: it is not. */
static char *spool_of_line(const char *pid, char *line)
{
	char *path = strchr(line, '/');
	char *seen_from_here;

	line[strcspn(line, "\n")] = '\0';
	if (!path || !has_suffix(path))
		return NULL;
	if (access(path, R_OK) == 0)
		return xstrdup(path);
	/* It may have another root folder. */
	seen_from_here = xasprintf("/proc/%s/root%s", pid, path);
	if (access(seen_from_here, R_OK) == 0)
		return seen_from_here;
	free(seen_from_here);
	return NULL;
}

char *spool_folder_find_process(const char *pid)
{
	char *maps = xasprintf("/proc/%s/maps", pid), *line = NULL, *found = NULL;
	FILE *file = fopen(maps, "re");
	size_t capacity = 0;

	free(maps);
	if (!file) {
		message_errno(errno == ENOENT ? -ESRCH : -errno, "cannot look at process %s", pid);
		return NULL;
	}
	while (!found && getline(&line, &capacity, file) > 0)
		found = spool_of_line(pid, line);
	free(line);
	fclose(file);
	if (!found)
		message("process %s is not being recorded: start it with plugprof record, or with "
			"libplugprof.so preloaded",
			pid);
	return found;
}
