#define _GNU_SOURCE
#include "cli/map_files.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/vec.h"
#include "cli/message.h"
#include "mapstore/map_store.h"
#include "symbol/map_builder.h"

/* What all processes count in, in shared memory. */
struct progress {
	atomic_size_t next; /* file to be taken */
	atomic_size_t mapped, kept, unnamed, without_id, failed;
};

static struct paths {
	VEC(char *) list;
} found; /* nftw() has no context */

static bool is_elf(const char *path)
{
	char magic[SELFMAG];
	const int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	const bool is = descriptor >= 0 &&
		read(descriptor, magic, sizeof(magic)) == (ssize_t)sizeof(magic) &&
		memcmp(magic, ELFMAG, SELFMAG) == 0;

	if (descriptor >= 0)
		close(descriptor);
	return is;
}

static int visit_file(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	const size_t size = strlen(path);

	/* A debug file is found by the library it belongs to. */
	if (type == FTW_F && S_ISREG(st->st_mode) &&
		!(size > 6 && strcmp(path + size - 6, ".debug") == 0) && is_elf(path))
		*VEC_PUSH(&found.list) = xstrdup(path);
	return 0;
}

static int find_files(char *const *folders)
{
	for (; *folders; folders++)
		if (nftw(*folders, visit_file, 64, FTW_PHYS) < 0) {
			message_errno(-errno, "cannot look through %s", *folders);
			return -errno;
		}
	return 0;
}

void map_files_complain(const char *path, const char *to, int error)
{
	if (error == -ENOMSG)
		message("%s has no build-ID of 2 to %d bytes: link it with -Wl,--build-id", path,
			BUILD_ID_SIZE_MAX);
	else if (error == -ENODATA)
		message("%s has no names, and no debug file was found for it", path);
	else if (error == -ENOEXEC)
		message("%s is no x86-64 ELF library or program", path);
	else if (error == -EOVERFLOW)
		message("%s is too large for a map", path);
	else
		message_errno(error, "cannot map %s into %s", path, to);
}

static void count_failure(
	const struct map_request *request, struct progress *p, const char *path, int error)
{
	if (request->is_all && error == -ENOMSG) {
		p->without_id++;
		return;
	}
	if (request->is_all && (error == -ENODATA || error == -ENOEXEC)) {
		p->unnamed++;
		return;
	}
	p->failed++;
	map_files_complain(path, request->store, error);
}

static void map_one(const struct map_request *request, struct progress *p, const char *path)
{
	struct map_build build;
	char *entry = NULL;
	bool kept = false;
	int r = map_build(path, request->debug_folders, &build);

	if (r) {
		count_failure(request, p, path, r);
		return;
	}
	r = map_store_put(
		request->store, &build.build_id, build.data, build.size, &kept, &entry);
	free(build.data);
	if (r) {
		count_failure(request, p, path, r);
		return;
	}
	if (kept)
		p->kept++;
	else
		p->mapped++;
	if (!request->is_quiet && !request->is_all)
		message(kept ? "%s: %s is kept, it has lines" : "%s: wrote %s%s", path, entry,
			kept || build.has_lines ? "" : ", names without lines");
	free(entry);
}

static void show_progress(const struct map_request *request, size_t done, size_t count)
{
	if (request->is_all && !request->is_quiet && isatty(STDERR_FILENO))
		fprintf(stderr, "\rplugprof: %zu of %zu files", done, count);
}

static void work(const struct map_request *request, struct progress *p, const struct paths *paths)
{
	size_t i;

	while ((i = atomic_fetch_add(&p->next, 1)) < paths->list.count) {
		show_progress(request, i, paths->list.count);
		map_one(request, p, paths->list.items[i]);
	}
}

/* One process each: what goes wrong in a damaged file stays there. */
static int run_workers(
	const struct map_request *request, struct progress *p, const struct paths *paths)
{
	int running = 0, status, r = 0;

	for (int i = 0; i < request->jobs && (size_t)i < paths->list.count; i++) {
		const pid_t child = fork();

		if (child == 0) {
			work(request, p, paths);
			_exit(0);
		}
		if (child > 0)
			running++;
		else if (running == 0)
			r = -errno;
	}
	while (running > 0 && wait(&status) > 0) {
		running--;
		if (status != 0)
			p->failed++;
	}
	return r;
}

static void say_all(const struct progress *p)
{
	if (isatty(STDERR_FILENO))
		fputs("\r\033[K", stderr);
	message("%zu mapped, %zu kept as they were, %zu without names, %zu without build-ID, "
		"%zu failed",
		p->mapped, p->kept, p->unnamed, p->without_id, p->failed);
}

int map_files(const struct map_request *request, char *const *paths)
{
	struct progress *p = mmap(NULL, sizeof(*p), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status = EXIT_OWN_ERROR;

	if (p == MAP_FAILED) {
		message_errno(-errno, "cannot start");
		return EXIT_OWN_ERROR;
	}
	if (!request->is_all)
		for (; *paths; paths++)
			map_one(request, p, *paths);
	else if (find_files(paths) || run_workers(request, p, &found))
		p->failed++;
	if (request->is_all && !request->is_quiet)
		say_all(p);
	if (p->failed == 0)
		status = EXIT_OK;
	for (size_t i = 0; i < found.list.count; i++)
		free(found.list.items[i]);
	VEC_FREE(&found.list);
	munmap(p, sizeof(*p));
	return status;
}
