/*
 * The search for a module's files: its own (the image that ran) and one with its debug
 * information, each known to be of its build.  The places are asked in the order of enum
 * symbol_place (symbolizer.h), and no further than DWARF was found; the trail tells of them.
 */
#ifndef SYMBOL_SEARCH_H
#define SYMBOL_SEARCH_H

#include "symbol/binary.h"
#include "symbol/symbolizer.h"
#include "symbol/trail.h"

struct search {
	/* What is looked for; borrowed. */
	const struct symbolizer_options *options;
	const char *path; /* "" for none */
	const struct build_id *build_id; /* size 0: unknown */
	uint64_t content_id; /* of a build without build-ID; 0: unknown */
	const char *foreign_id; /* another tool's name for the build; "" for none */

	/* What was found. */
	struct binary *file; /* NULL: missing, replaced or bad, and nowhere else */
	struct binary *debug_file; /* when it knows more than FILE */
	bool is_elsewhere; /* FILE is not the one at PATH */
	/* Of the file at PATH: 0 or -errno; -ESTALE: it is another build, ID_THERE. */
	int file_error;
	struct build_id id_there;
	struct trail trail;
};

/* At the module's own path, which tells the build-ID when that is unknown. */
void search_own_path(struct search *s);
/* Everywhere else. */
void search_elsewhere(struct search *s);
void search_close(struct search *s);

#endif
