/* What readers of pprof profiles make of one: go tool pprof, Parca, Pyroscope. */
#ifndef PPROF_PROFILE_CHECK_H
#define PPROF_PROFILE_CHECK_H

#include <stddef.h>
#include <stdint.h>

enum finding_kind {
	FINDING_ERROR, /* go tool pprof refuses the file */
	FINDING_WARNING, /* another reader does, or something is shown wrongly or not at all */
	FINDING_KINDS
};

struct profile_finding {
	enum finding_kind kind;
	const char *record; /* "sample 3", counted from 1 as in the file; "profile": the whole */
	const char *text; /* what is wrong, and what comes of it */
};

typedef void profile_finding_visitor(void *context, const struct profile_finding *finding);

/* Check all of the file in DATA.  Of findings that differ only in the record the first few come,
 * then one that counts the others. */
void profile_check(
	const uint8_t *data, size_t size, profile_finding_visitor *visit, void *context);

#endif
