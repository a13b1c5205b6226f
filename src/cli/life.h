/*
 * What a profile tells of the libraries that were loaded after the start: where from, how
 * often, and what became of their files.  Found in the spool, and put into the profile's
 * comments so that it travels with it.  (Comments that begin with # do not show in pprof's
 * reports.)
 */
#ifndef CLI_LIFE_H
#define CLI_LIFE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/vec.h"
#include "cli/plugins.h"
#include "pprof/profile.h"
#include "spool/spool_reader.h"

#define LIFE_COMMENT "#plugprof life"
#define STORE_COMMENT "#plugprof store" /* behind a tab: folders with colons between them */
#define PERF_MAP_COMMENT "#plugprof perf-map" /* path, user: where a JIT compiler tells its names */

struct life_generation {
	uint64_t number; /* of the loads of this path, from 1 */
	int64_t load_ns, unload_ns; /* since the recording began */
	bool is_unloaded;
};

struct life {
	char *path, *build_id; /* hex or "" */
	uint64_t content_id; /* 0: it has a build-ID */
	bool is_plugin; /* opened by the host, not only needed by another library */
	uint64_t loads, unloads;
	int64_t references; /* dlopen less dlclose; -1: not known */
	/* Open descriptors of the process before the first load, and when it was unloaded last or
	 * at the end; -1: not known. */
	int64_t descriptors_before, descriptors_after;
	uint32_t kept, kept_error; /* enum spool_kept, errno */
	VEC(struct life_generation) generations; /* the latest ones, oldest first */
};

typedef VEC(struct life) lives;

/* A comment for each life in SPOOL, and one for the store. */
void life_add_comments(
	struct profile *p, const struct spool_reader *spool, const struct plugins *plugins);

/* What the comments of P tell.  The caller's to lives_free(). */
void lives_read(const struct profile *p, lives *found);
void lives_free(lives *found);
void life_free(struct life *l); /* what it points to: an all-zero one is fine */
/* NULL: the library was there at the start, or the profile is not from a spool. */
const struct life *lives_find(const lives *found, const char *path, const char *build_id);
/* The content ID of the library without build-ID at PATH; 0: none is known, LIFE_AMBIGUOUS: there
 * were several. */
uint64_t lives_find_content(const lives *found, const char *path);
#define LIFE_AMBIGUOUS UINT64_MAX

/* Why its file is not in the store, to follow "not kept: "; "" when it is, or nobody tried. */
const char *life_kept_reason(const struct life *l);

/* The text of the first comment of P that begins with NAME and a tab, behind the tab; NULL:
 * there is none.  Borrowed from P. */
const char *life_find_comment(const struct profile *p, const char *name);
/* Remove all of that name. */
void life_drop_comments(struct profile *p, const char *name);

#endif
