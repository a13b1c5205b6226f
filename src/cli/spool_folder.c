#define _GNU_SOURCE
#include "cli/spool_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file_use.h"
#include "base/settings.h"
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

/* --- in use --- */

/* A line of /proc/PID/maps: addresses, rights, offset, device, inode, path (proc(5)).  The folder
 * may have another name in another mount namespace. */
static bool is_of_file(const char *line, const char *name)
{
	const size_t length = strcspn(line, "\n"), name_length = strlen(name);

	return length > name_length &&
		strncmp(line + length - name_length, name, name_length) == 0;
}

enum maps { MAPS_WITHOUT, MAPS_WITH, MAPS_REFUSED };

/* Has process PID mapped a file of that NAME (with its slash)? */
static enum maps look_at_maps(const char *pid, const char *name)
{
	char *path = xasprintf("/proc/%s/maps", pid), *line = NULL;
	FILE *file = fopen(path, "re");
	enum maps found = MAPS_WITHOUT;
	size_t capacity = 0;

	free(path);
	if (!file)
		return errno == EACCES ? MAPS_REFUSED : MAPS_WITHOUT;
	while (found == MAPS_WITHOUT && getline(&line, &capacity, file) > 0)
		if (is_of_file(line, name))
			found = MAPS_WITH;
	free(line);
	fclose(file);
	return found;
}

/* What process PID is called in the innermost of its pid namespaces; 0: it is gone. */
static uint32_t innermost_pid(const char *pid)
{
	char *path = xasprintf("/proc/%s/status", pid), *line = NULL;
	FILE *file = fopen(path, "re");
	uint32_t innermost = 0;
	size_t capacity = 0;

	free(path);
	while (file && innermost == 0 && getline(&line, &capacity, file) > 0)
		if (strncmp(line, "NSpid:", 6) == 0)
			innermost = (uint32_t)strtoul(strrchr(line, '\t') + 1, NULL, 10);
	free(line);
	if (file)
		fclose(file);
	return innermost;
}

enum user { USER_UNSEEN, USER_COPY, USER_OWNER };

/* Somebody has mapped the file, and it is not the process that we know by that number.  If it is in
 * another pid namespace the number is that of there.  Else it is a copy that a bare system call has
 * made of the process, which does not write. */
static enum user find_user(const struct spool_header *header, const char *name)
{
	DIR *processes = opendir("/proc");
	enum user user = USER_UNSEEN;
	struct dirent *entry;

	while (processes && user != USER_OWNER && (entry = readdir(processes)))
		if (entry->d_name[0] >= '0' && entry->d_name[0] <= '9' &&
			look_at_maps(entry->d_name, name) == MAPS_WITH)
			user = innermost_pid(entry->d_name) == header->pid ? USER_OWNER : USER_COPY;
	if (processes)
		closedir(processes);
	return user;
}

static enum file_use use_of(const char *path)
{
	const int descriptor = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	enum file_use use = FILE_UNUSED;

	if (descriptor >= 0) {
		use = file_use_of(descriptor);
		close(descriptor);
	}
	return use;
}

#define LOOKS_MAX 4
#define LOOK_AGAIN_US 5000

bool spool_is_in_use(const struct spool_header *header, const char *path)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash : path;
	char pid[16];

	snprintf(pid, sizeof(pid), "%u", header->pid);
	for (int look = 0; look < LOOKS_MAX; look++) {
		const enum file_use use = use_of(path);
		enum user user;

		if (use == FILE_UNUSED)
			return false;
		/* One whose maps we may not see lives as somebody else. */
		if (look_at_maps(pid, name) != MAPS_WITHOUT)
			return true;
		if (use == FILE_USE_UNKNOWN)
			return false;
		user = find_user(header, name);
		if (user != USER_UNSEEN)
			return user == USER_OWNER;
		usleep(LOOK_AGAIN_US); /* it may be at its very end */
	}
	return true; /* whom we do not see we leave alone */
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

static bool is_left_by(const struct spool_header *header, const char *path, const void *pid)
{
	return header->pid == *(const uint32_t *)pid && !spool_is_in_use(header, path);
}

/* Where spools lie as far as nobody says otherwise here. */
static void find_folder(struct settings *settings)
{
	char why[256];

	if (!settings_parse(settings, getenv(SETTINGS_VARIABLE), why, sizeof(why)))
		settings_default(settings);
	if (!settings->spool[0])
		settings_spool_folder(settings->spool);
}

/* Process PID has no maps to look at, for ERROR: what is to be done? */
static void say_it_cannot_be_looked_at(const char *pid, int error)
{
	const uint32_t number = (uint32_t)strtoul(pid, NULL, 10);
	found_spools left = { .count = 0 };
	struct settings settings;

	find_folder(&settings);
	if (error == EACCES && geteuid() != 0)
		message("cannot look at process %s: it is another user's; be that user, or root",
			pid);
	else if (error == ENOENT &&
		spool_folder_list(settings.spool, is_left_by, &number, &left) == 0 && left.count)
		message("process %s has ended without writing its profile: plugprof recover %s",
			pid, left.items[left.count - 1].path);
	else
		message_errno(error == ENOENT ? -ESRCH : -error, "cannot look at process %s", pid);
	found_spools_free(&left);
}

char *spool_folder_find_process(const char *pid)
{
	char *maps = xasprintf("/proc/%s/maps", pid), *line = NULL, *found = NULL;
	FILE *file = fopen(maps, "re");
	size_t capacity = 0;

	free(maps);
	if (!file) {
		say_it_cannot_be_looked_at(pid, errno);
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
