/* The folder where spools lie, and which of them belong to processes that are no more. */
#ifndef CLI_SPOOL_FOLDER_H
#define CLI_SPOOL_FOLDER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/vec.h"
#include "spool/spool_reader.h"

struct found_spool {
	char *path;
	struct spool_reader *reader;
};

typedef VEC(struct found_spool) found_spools;

/* Every readable spool in FOLDER that WANTED accepts (CONTEXT is its own), oldest first.  A
 * folder that is not there holds none.  0 or -errno. */
int spool_folder_list(const char *folder,
	bool (*wanted)(const struct spool_header *header, const char *path, const void *context),
	const void *context, found_spools *found);
void found_spools_free(found_spools *found);

/* Is TEXT the number of a process, and not a file? */
bool spool_folder_is_process(const char *text);
/* The spool that process PID is writing, wherever it is.  The caller's to free(); NULL after one
 * line was said. */
char *spool_folder_find_process(const char *pid);

/* The program that writes the spool at PATH still runs (and has not become another by exec). */
bool spool_is_in_use(const struct spool_header *header, const char *path);

#endif
