/*
 * Adding profiles up: one profile of what several processes, or several runs, did.
 *
 * What go tool pprof does with a list of files (profile.Merge in github.com/google/pprof), with one
 * difference: a file that is named in some of the profiles, and not in others, has two mappings, so
 * that the names that are missing can still be found, and no other addresses get them.
 */
#ifndef PPROF_PROFILE_MERGE_H
#define PPROF_PROFILE_MERGE_H

#include "base/compiler.h"
#include "pprof/profile.h"

#define PROFILE_MERGE_LABEL "profile"

struct profile_merge;

struct profile_merge *profile_merge_new(void);
void profile_merge_free(struct profile_merge *m); /* takes NULL */

/* Add P, which is copied.  ORIGIN, unless NULL, becomes a label of each of its samples, with the
 * key PROFILE_MERGE_LABEL.  Mappings of one file (by build-ID, else by name) become one wherever
 * they lay; the times are added, the earliest start stays, and of the periods the largest.
 * -EINVAL: its sample types or its kind of period are not those of the profiles before; *WHY says
 * so in one line that the caller frees, "its ... is ..., that of those before ...".  Nothing was
 * added then. */
int profile_merge_add(struct profile_merge *m, const struct profile *p, const char *origin,
	char **why) MUST_CHECK;

/* What the profiles came to so far.  Borrowed until the next is added; NULL: there were none. */
const struct profile *profile_merge_sum(const struct profile_merge *m);
/* The same; the caller's to profile_free().  M is empty again. */
struct profile *profile_merge_take(struct profile_merge *m);

#endif
