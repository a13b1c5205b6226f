/* Naming the addresses of one library, as addr2line does: for people and for scripts. */
#ifndef CLI_ADDRESSES_H
#define CLI_ADDRESSES_H

#include "base/build_id.h"
#include "base/compiler.h"
#include "cli/places.h"
#include "symbol/symbolizer.h"

enum address_format {
	FORMAT_TEXT, /* one line a frame: "0x1144: codec_dct at /src/codec.c:12:3" */
	FORMAT_JSON, /* one object a line */
	FORMAT_LLVM, /* as llvm-symbolizer prints them */
};

struct address_request {
	const char *path; /* "" when only the build-ID is known */
	struct build_id build_id; /* size 0: unknown */
	struct symbolizer_options options;
	enum address_format format;
	enum places_detail detail;
	char *const *addresses; /* as the user wrote them, NULL-terminated; empty: from stdin */
};

/* Name them all, in their order, on standard output.  *UNRESOLVED is how many have no name; why
 * is said once.  0 or -errno after one line was said. */
int addresses_symbolize(const struct address_request *request, size_t *unresolved) MUST_CHECK;

#endif
