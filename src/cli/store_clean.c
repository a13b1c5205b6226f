#define _GNU_SOURCE
#include "cli/store_clean.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/build_id.h"
#include "base/store.h"
#include "symbol/kept_file.h"

#define TEMPORARY_SUFFIX ".tmp"
#define LONG_ENOUGH_S 3600 /* nobody still copies to that file, or has just made that folder */
#define BLOCK_SIZE 512 /* bytes, of st_blocks */

/* --- names --- */

static bool ends_with(const char *name, const char *suffix, size_t *length)
{
	const size_t whole = strlen(name), tail = strlen(suffix);

	if (whole <= tail || strcmp(name + whole - tail, suffix) != 0)
		return false;
	*length = whole - tail;
	return true;
}

static bool is_hex(const char *text, size_t length)
{
	return strspn(text, "0123456789abcdef") >= length;
}

/* "PID.N", both decimal. */
static bool is_temporary(const char *name, size_t length)
{
	const size_t pid = strspn(name, "0123456789");

	return pid && name[pid] == '.' && pid + 1 < length &&
		pid + 1 + strspn(name + pid + 1, "0123456789") == length;
}

/* False: nobody of ours gave that name. */
static bool find_kind(const char *name, enum stored_kind *kind)
{
	static const struct {
		const char *suffix;
		enum stored_kind kind;
	} suffixes[] = { /* the longer one first: both end in .elf */
		{ STORE_CONTENT_SUFFIX, STORED_CONTENT },
		{ STORE_KEPT_SUFFIX, STORED_ELF },
		{ STORE_MAP_SUFFIX, STORED_MAP },
	};
	size_t length;

	*kind = STORED_TEMPORARY;
	if (ends_with(name, TEMPORARY_SUFFIX, &length))
		return is_temporary(name, length);
	for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++) {
		*kind = suffixes[i].kind;
		if (ends_with(name, suffixes[i].suffix, &length))
			return length % 2 == 0 && length <= 2 * (BUILD_ID_SIZE_MAX - 1) &&
				is_hex(name, length);
	}
	return false;
}

static bool is_part_name(const char *name)
{
	return strlen(name) == 2 && is_hex(name, 2);
}

/* --- what is there --- */

/* Each name in the folder DESCRIPTOR, which stays open, to VISIT. */
typedef void visit_name(void *context, int descriptor, const char *name);

static int for_each_name(int descriptor, visit_name *visit, void *context)
{
	int again = openat(descriptor, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *folder = again < 0 ? NULL : fdopendir(again);
	const struct dirent *entry;

	if (!folder) {
		const int r = -errno;

		if (again >= 0)
			close(again);
		return r;
	}
	while ((entry = readdir(folder)))
		visit(context, descriptor, entry->d_name);
	closedir(folder);
	return 0;
}

struct search {
	struct stored_files *files;
	size_t folder;
	const char *part; /* "ab" */
};

static void add_file(void *context, int descriptor, const char *name)
{
	const struct search *s = context;
	struct stored_file *file;
	enum stored_kind kind;
	struct stat st;

	if (!find_kind(name, &kind) || fstatat(descriptor, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		!S_ISREG(st.st_mode))
		return;
	file = VEC_PUSH(&s->files->items);
	*file = (struct stored_file){
		.path = xasprintf(
			"%s/%s/%s", s->files->folders.items[s->folder].path, s->part, name),
		.folder = s->folder,
		.kind = kind,
		.kept = st.st_ctim,
		.size = st.st_nlink == 1 ? (uint64_t)st.st_blocks * BLOCK_SIZE : 0,
	};
}

static int open_folder(int at, const char *name)
{
	return openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static void add_part(void *context, int descriptor, const char *name)
{
	struct search *s = context;
	int inner = is_part_name(name) ? open_folder(descriptor, name) : -1;
	struct stored_part *part;
	struct stat st;

	if (inner < 0)
		return;
	if (fstat(inner, &st) == 0) {
		part = VEC_PUSH(&s->files->parts);
		part->folder = s->folder;
		memcpy(part->name, name, sizeof(part->name));
		part->changed = st.st_mtim;
	}
	s->part = name;
	for_each_name(inner, add_file, s);
	close(inner);
}

/* A folder of our own, not by a link.  The descriptor or -errno. */
static int open_store(const char *path, struct stat *st)
{
	int descriptor = open_folder(AT_FDCWD, path);
	int r = descriptor < 0 ? -errno : 0;

	/* A link is no folder to the kernel. */
	if (r == -ENOTDIR && lstat(path, st) == 0 && S_ISLNK(st->st_mode))
		r = -ELOOP;
	if (r == 0 && fstat(descriptor, st) < 0)
		r = -errno;
	if (r == 0 && st->st_uid != geteuid())
		r = -EPERM;
	if (r == 0)
		return descriptor;
	if (descriptor >= 0)
		close(descriptor);
	return r;
}

/* A list may name a folder twice; its files are to count once. */
static bool has_folder(const struct stored_files *files, const struct stat *st)
{
	struct stat known;

	for (size_t i = 0; i < files->folders.count; i++)
		if (fstat(files->folders.items[i].descriptor, &known) == 0 &&
			known.st_dev == st->st_dev && known.st_ino == st->st_ino)
			return true;
	return false;
}

int stored_files_add(struct stored_files *files, const char *folder)
{
	struct search search = { .files = files, .folder = files->folders.count };
	char *path = xstrdup(folder);
	struct stored_folder *added;
	struct stat st;
	int r;

	/* A slash at the end would follow a link. */
	for (size_t length = strlen(path); length > 1 && path[length - 1] == '/'; length--)
		path[length - 1] = '\0';
	r = open_store(path, &st);
	if (r < 0 || has_folder(files, &st)) {
		if (r >= 0)
			close(r);
		free(path);
		return r < 0 ? r : 0;
	}
	added = VEC_PUSH(&files->folders);
	added->path = path;
	added->descriptor = r;
	return for_each_name(r, add_part, &search);
}

/* --- what goes --- */

static int by_age(const void *left, const void *right)
{
	const struct stored_file *a = left, *b = right;

	if (a->kept.tv_sec != b->kept.tv_sec)
		return a->kept.tv_sec < b->kept.tv_sec ? -1 : 1;
	if (a->kept.tv_nsec != b->kept.tv_nsec)
		return a->kept.tv_nsec < b->kept.tv_nsec ? -1 : 1;
	return strcmp(a->path, b->path);
}

static bool is_before(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec < b->tv_sec || (a->tv_sec == b->tv_sec && a->tv_nsec < b->tv_nsec);
}

static bool is_overwritten(const struct stored_file *file)
{
	char hex[2 * BUILD_ID_SIZE_MAX + 1];
	const char *name = strrchr(file->path, '/') + 1;
	const size_t length = strcspn(name, ".");
	struct build_id key;

	if (file->kind != STORED_ELF && file->kind != STORED_CONTENT)
		return false;
	memcpy(hex, name - 3, 2);
	memcpy(hex + 2, name, length);
	hex[2 + length] = '\0';
	return build_id_from_hex(hex, &key) &&
		kept_file_check(file->path, &key, file->kind == STORED_CONTENT) == -ESTALE;
}

static enum stored_fate judge(const struct stored_file *file, const struct clean_limits *limits,
	const struct timespec *leftover)
{
	if (file->kind == STORED_TEMPORARY)
		return is_before(&file->kept, leftover) ? STORED_LEFTOVER : STORED_STAYS;
	if (file->kind == STORED_MAP && !limits->with_maps)
		return STORED_STAYS;
	if (is_overwritten(file))
		return STORED_OVERWRITTEN;
	return is_before(&file->kept, &limits->before) ? STORED_OLD : STORED_STAYS;
}

static bool counts(const struct stored_file *file, const struct clean_limits *limits)
{
	return file->fate == STORED_STAYS && file->kind != STORED_TEMPORARY &&
		(file->kind != STORED_MAP || limits->with_maps);
}

void stored_files_judge(
	struct stored_files *files, const struct clean_limits *limits, const struct timespec *now)
{
	const struct timespec leftover = { .tv_sec = now->tv_sec - LONG_ENOUGH_S };
	uint64_t left = 0;

	if (files->items.count)
		qsort(files->items.items, files->items.count, sizeof(*files->items.items), by_age);
	for (size_t i = 0; i < files->items.count; i++) {
		struct stored_file *file = &files->items.items[i];

		file->fate = judge(file, limits, &leftover);
		if (counts(file, limits))
			left += file->size;
	}
	for (size_t i = 0; i < files->items.count && left > limits->size_max; i++) {
		struct stored_file *file = &files->items.items[i];

		/* Another name for a file that is elsewhere, too, makes no room. */
		if (!counts(file, limits) || !file->size)
			continue;
		file->fate = STORED_TOO_MUCH;
		left -= file->size;
	}
}

/* --- going --- */

int stored_file_remove(const struct stored_files *files, const struct stored_file *file)
{
	const struct stored_folder *folder = &files->folders.items[file->folder];
	const char *name = strrchr(file->path, '/') + 1;
	char part[3] = "";
	int inner, r = 0;

	memcpy(part, name - 3, 2);
	inner = open_folder(folder->descriptor, part);
	if (inner < 0 || unlinkat(inner, name, 0) < 0)
		r = errno == ENOENT ? 0 : -errno;
	if (inner >= 0)
		close(inner);
	return r;
}

void stored_files_remove_parts(const struct stored_files *files, const struct timespec *now)
{
	const struct timespec recently = { .tv_sec = now->tv_sec - LONG_ENOUGH_S };

	for (size_t i = 0; i < files->parts.count; i++) {
		const struct stored_part *part = &files->parts.items[i];

		if (is_before(&part->changed, &recently))
			unlinkat(files->folders.items[part->folder].descriptor, part->name,
				AT_REMOVEDIR);
	}
}

void stored_files_free(struct stored_files *files)
{
	for (size_t i = 0; i < files->items.count; i++)
		free(files->items.items[i].path);
	for (size_t i = 0; i < files->folders.count; i++) {
		free(files->folders.items[i].path);
		close(files->folders.items[i].descriptor);
	}
	VEC_FREE(&files->items);
	VEC_FREE(&files->folders);
	VEC_FREE(&files->parts);
}
