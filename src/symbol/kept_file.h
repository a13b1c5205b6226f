/* Library files that were kept in the store when they were loaded (base/store.h). */
#ifndef SYMBOL_KEPT_FILE_H
#define SYMBOL_KEPT_FILE_H

#include "base/compiler.h"
#include "symbol/binary.h"
#include "symbol/trail.h"

/* The file of the build with this build-ID or, when that has size 0, this content ID, from the
 * first of STORES (NULL-terminated; NULL: none) that has it.  The caller's to binary_close().
 * NULL: not here.  A file in the store that is another build by now is not taken.  Where it is
 * not goes to TRAIL (NULL: nowhere). */
struct binary *kept_file_open(const char *const *stores, const struct build_id *build_id,
	uint64_t content_id, struct trail *trail);

/* Is the file at PATH, in a store, the build of that build-ID, or BY_CONTENT of the content ID of
 * which KEY is the key?  0: yes.  -ESTALE: it is another build or no library: it was written to, as
 * hard links are with the file that they were made of.  Else -errno: it cannot be read. */
int kept_file_check(const char *path, const struct build_id *key, bool by_content) MUST_CHECK;

#endif
