/*
 * Keeps the files of libraries that are loaded after the start, each build once, in the store
 * (base/store.h), before the host can delete or replace them: by a reflink, else a copy,
 * else, where that would be large, a hard link.  A file in the store appears whole or not at all.
 *
 * Ordinary context: it opens, links and copies files.  Allocates nothing, leaves errno alone, keeps
 * no descriptor.  One thread at a time keeps; another one that comes meanwhile goes on without.
 */
#ifndef AGENT_KEEPER_H
#define AGENT_KEEPER_H

#include <stdbool.h>

#include "base/build_id.h"
#include "base/settings.h"
#include "spool/spool_format.h"

/* Once, in the constructor: the environment is read here. */
void keeper_start(const struct settings *settings);
/* The folders of the store, with colons between them: where the tool is to look. */
const char *keeper_folders(void);
void keeper_restart_in_child(void);

/* The library at PATH is about to be loaded; it may be none, or be known already. */
void keeper_keep_path(const char *path);

struct keeper_result {
	enum spool_kept kept;
	int error; /* errno, for SPOOL_KEPT_FAILED */
};

/* The library whose build-ID, or content ID when BY_CONTENT, is ID was loaded from PATH.  False:
 * another thread is at work, ask again. */
bool keeper_keep_module(const char *path, const struct build_id *id, bool by_content,
	struct keeper_result *result);

#endif
