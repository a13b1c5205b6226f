/* Library files that were kept in the store when they were loaded (base/store.h). */
#ifndef SYMBOL_KEPT_FILE_H
#define SYMBOL_KEPT_FILE_H

#include "symbol/binary.h"

/* The file of the build with this build-ID or, when that has size 0, this content ID, from the
 * first of STORES (NULL-terminated; NULL: none) that has it.  The caller's to binary_close().
 * NULL: not here.  A file in the store that is another build by now is not taken. */
struct binary *kept_file_open(
	const char *const *stores, const struct build_id *build_id, uint64_t content_id);

#endif
