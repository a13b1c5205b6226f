/* A profile from whatever the user names: a spool, a pprof file, or - for standard input. */
#ifndef CLI_INPUT_H
#define CLI_INPUT_H

#include "base/compiler.h"
#include "pprof/profile.h"
#include "spool/spool_reader.h"

/* 0, and *RET is the caller's to profile_free(); else -errno after one line was said.  Of a spool
 * its CPU profile, or if there is none its heap profile. */
int input_open(const char *path, struct profile **ret) MUST_CHECK;

/* All kinds of samples, *COUNT profiles without names, CPU time before allocations: of a spool, of
 * the running process that PATH is the number of, or of a file, which holds one. */
#define INPUT_KINDS_MAX 2
int input_open_kinds(const char *path, struct profile *profiles[static INPUT_KINDS_MAX],
	size_t *count) MUST_CHECK;

/* The same for a heap profile: of a spool, of the running process that PATH is the number of, or a
 * file.  With names.  A profile without sample types for what is in use is refused. */
int input_open_heap(const char *path, struct profile **ret) MUST_CHECK;

/* Are allocations sampled in SPOOL, which the user knows as NAME?  0, or -ENODATA after one line
 * was said. */
int input_check_heap(const struct spool_reader *spool, const char *name) MUST_CHECK;

#endif
