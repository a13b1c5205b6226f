/* The files that a process runs code from, by /proc/PID/maps. */
#ifndef CLI_PROCESS_FILES_H
#define CLI_PROCESS_FILES_H

#include <stdbool.h>

#include "base/vec.h"

struct process_file {
	char *path; /* in the process's own root, without " (deleted)" */
	bool deleted; /* what it runs has no name any more; another file may have it */
	char *device_and_inode; /* "08:01 1234", as in maps */
	char *mapping_path; /* the file itself, also when deleted; opening it takes privileges
			     */
	char *present_path; /* what lies at PATH now, seen from here */
};

struct process_files {
	VEC(struct process_file) items; /* each file once, in the order of addresses */
};

/* 0 or -errno (-ENOENT: no such process); process_files_free() in both cases. */
int process_files_read(unsigned int pid, struct process_files *ret);
void process_files_free(struct process_files *files);

#endif
