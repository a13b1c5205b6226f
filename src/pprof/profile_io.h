/* profile.proto on disk: gzipped protobuf.  profile_pack.c writes, profile_load.c reads. */
#ifndef PPROF_PROFILE_IO_H
#define PPROF_PROFILE_IO_H

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "pprof/profile.h"

#define PROFILE_SIZE_MAX ((size_t)1 << 30) /* bytes after decompression that a reader takes */
#define PROFILE_UNPACKED_MAX (2 * PROFILE_SIZE_MAX)

/* The gzipped bytes of P, free()'d by the caller.  At most 16 000 samples are written (what
 * Pyroscope takes): the smallest beyond are folded into one sample per label set whose frame
 * is "(truncated)", so that totals stay exact.  P itself is unchanged. */
void profile_pack(const struct profile *p, uint8_t **data, size_t *size);

/* Gzipped or plain protobuf, or what gperftools writes (profile_legacy.h).  0: *RET is the
 * caller's to profile_free().  Ids may be sparse in the file; here they are dense, in the file's
 * order.  Equal functions and samples become one.
 * -EBADMSG: no profile, or one that go tool pprof would refuse: *WHY (may be NULL) then says
 * which record and why, in one line that the caller frees.  -EFBIG: larger than
 * PROFILE_SIZE_MAX, or one that needs more than PROFILE_UNPACKED_MAX bytes of memory while it
 * is unpacked.  -ENOMEM: zlib has none.  Untouched outputs on failure, *WHY excepted. */
int profile_load(const uint8_t *data, size_t size, struct profile **ret, char **why) MUST_CHECK;

#endif
