/*
 * The formats from before profile.proto, as gperftools and tcmalloc write them: CPU profiles ("CPU
 * Profile Format" in gperftools' docs) and heap profiles (text, "heap profile: ... @ heap_v2/N"),
 * each with /proc/PID/maps behind.  Read as go tool pprof reads them: callers' addresses less one,
 * the handler's own frames dropped, sampled heaps scaled to what they stand for.
 */
#ifndef PPROF_PROFILE_LEGACY_H
#define PPROF_PROFILE_LEGACY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "pprof/profile.h"

/* Does the file begin as one of these? */
bool profile_is_legacy(const uint8_t *data, size_t size);

/* 0: *RET is the caller's to profile_free(); -EBADMSG: damaged, *WHY says how. */
int profile_load_legacy(const uint8_t *data, size_t size, struct profile **ret,
	char **why) MUST_CHECK;

#endif
