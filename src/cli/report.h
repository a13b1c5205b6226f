/*
 * Taking stock of a profile: how well each library's frames are named.  The reasons come from
 * comments that pipeline_symbolize() leaves in the file, so they travel with it.
 */
#ifndef CLI_REPORT_H
#define CLI_REPORT_H

#include <stdint.h>

#include "base/vec.h"
#include "pprof/profile.h"

/* A comment that begins with this holds, behind tabs, verdict, build-ID, path and reason.  With
 * its # it does not show in pprof's reports. */
#define REPORT_COMMENT "#plugprof module"

#define REPORT_HOST "(host)" /* the label "plugin" where no plugin is on the stack */

/* How well one library's frames were named.  Counted in frames of samples: a location in 10
 * samples counts 10 times. */
struct module_report {
	char *path;
	char *build_id; /* hex or "" */
	char *verdict; /* "dwarf", "symbols", ...; "" not symbolized */
	char *reason; /* one line, "" when there is nothing to say */
	int64_t frames, resolved;
	int64_t self; /* of the last sample type: samples whose leaf is here */
};

/* What the label "plugin" adds up to, in the last sample type's unit; the host itself is left
 * out. */
struct plugin_report {
	char *name;
	int64_t value;
};

struct report {
	VEC(struct module_report) modules; /* most frames first */
	VEC(struct plugin_report) plugins; /* dearest first */
	int64_t value; /* of all samples, in the last sample type's unit */
	int64_t frames, resolved;
};

/* Take stock of a profile, ours or anybody's. */
void report_make(const struct profile *p, struct report *report);
void report_free(struct report *report);

#endif
