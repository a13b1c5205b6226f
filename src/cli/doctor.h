/*
 * The checks of `plugprof doctor`: each turns facts of one library into findings.  Facts come
 * from src/symbol; here is the judgement, and what to do about it.
 */
#ifndef CLI_DOCTOR_H
#define CLI_DOCTOR_H

#include <stdbool.h>

#include "base/store.h"
#include "cli/findings.h"
#include "symbol/inspection.h"
#include "symbol/library_closure.h"

struct doctor_case {
	const char *name; /* for people and for commands they can type; "codec.so" */
	const struct symbolizer_options *places; /* where else to look */
	const struct inspection *library;
	const struct inspection *host; /* NULL: not known */
	/* The host with all it needs, then the library with all that it needs besides.  NULL:
	 * the library has been loaded, so that question is answered. */
	struct closure *closure;
	const struct closure_library *loaded; /* the library in it; NULL: as above */
};

typedef void doctor_check(const struct doctor_case *c, struct findings *f, const char *name);

struct doctor_check_row {
	const char *name; /* one word; what the check's findings are called */
	doctor_check *check;
};

/* Can plugprof name what runs in it? */
extern const struct doctor_check_row doctor_symbol_checks[];
/* Does it fit into a process? */
extern const struct doctor_check_row doctor_runtime_checks[];
/* Will ld.so find all that it needs?  With a closure only. */
extern const struct doctor_check_row doctor_load_checks[];
/* Will Go's plugin.Open() take it?  With Go's build info only. */
extern const struct doctor_check_row doctor_go_checks[];

/* All of them, in this order; for a file that is no library, only what it is instead. */
void doctor_examine(const struct doctor_case *c, struct findings *f);

/* The path of what is kept of the build ID, with a suffix of base/store.h.  False: nothing. */
bool doctor_find_kept(const struct symbolizer_options *places, const struct build_id *id,
	const char *suffix, char path[static STORE_PATH_MAX]);

#endif
