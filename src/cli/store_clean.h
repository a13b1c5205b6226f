/*
 * Trimming a store (base/store.h): which of its files may go, and their removal.  Only what the
 * agent makes is touched, by its name: XX/HEX.elf, XX/HEX.content.elf, XX/PID.N.tmp; XX/HEX.psym
 * when asked to.  No symbolic link is followed.
 */
#ifndef CLI_STORE_CLEAN_H
#define CLI_STORE_CLEAN_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "base/compiler.h"
#include "base/vec.h"

/* Why a file goes. */
enum stored_fate {
	STORED_STAYS,
	STORED_LEFTOVER, /* half a copy, of a process that was killed an hour ago or more */
	STORED_OVERWRITTEN, /* not the build that its name says */
	STORED_OLD,
	STORED_TOO_MUCH, /* the oldest of what is more than the limit */
};

struct stored_file {
	char *path; /* with the store's folder */
	size_t folder; /* of struct stored_files */
	enum stored_kind { STORED_ELF, STORED_CONTENT, STORED_MAP, STORED_TEMPORARY } kind;
	/* When it was kept (st_ctime): a hard link's st_mtime is that of the original. */
	struct timespec kept;
	uint64_t size; /* bytes on the disk that it takes, and gives back: 0 for one of several
			* hard links */
	enum stored_fate fate;
};

struct stored_files {
	VEC(struct stored_file) items; /* oldest first, once sorted */
	VEC(struct stored_folder {
		char *path;
		int descriptor;
	}) folders;
	VEC(struct stored_part { /* a folder XX of one of them */
		size_t folder;
		char name[3];
		struct timespec changed; /* st_mtim: a file came or went */
	}) parts;
};

/* Add the files of the store in FOLDER, which is opened.  0 or -errno: -ELOOP for a symbolic link,
 * -EPERM for another user's folder. */
int stored_files_add(struct stored_files *files, const char *folder) MUST_CHECK;

struct clean_limits {
	struct timespec before; /* kept before that: too old */
	uint64_t size_max; /* bytes, of all stores together; UINT64_MAX: any */
	bool with_maps; /* else maps stay, and do not count */
};

/* Sort, and decide.  NOW is the time. */
void stored_files_judge(
	struct stored_files *files, const struct clean_limits *limits, const struct timespec *now);

/* Remove one.  0, also when it was gone already, or -errno. */
int stored_file_remove(
	const struct stored_files *files, const struct stored_file *file) MUST_CHECK;
/* Remove those folders XX that are empty, if nothing had come or gone in them for a while: a
 * process makes the folder first, and then the file in it. */
void stored_files_remove_parts(const struct stored_files *files, const struct timespec *now);
void stored_files_free(struct stored_files *files);

#endif
