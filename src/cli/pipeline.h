/*
 * The way of the data through the tool: spool -> profile -> names -> file.  The one place that
 * knows the spool, the profile model and the symbolizer.
 */
#ifndef CLI_PIPELINE_H
#define CLI_PIPELINE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/vec.h"
#include "pprof/profile.h"
#include "spool/spool_reader.h"

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

struct report {
	VEC(struct module_report) modules; /* most frames first */
	int64_t frames, resolved;
};

/* The samples of SPOOL as a profile without names: labels, mappings, comments are in place. */
struct profile *pipeline_read_spool(const struct spool_reader *spool);

/* Name every location whose mapping has no names yet.  DEBUG_FOLDERS: see symbolizer.h.  What
 * was found out about each module goes into comments that pipeline_report() reads. */
void pipeline_symbolize(struct profile *p, const char *const *debug_folders);

/* Take stock of a profile, ours or anybody's. */
void pipeline_report(const struct profile *p, struct report *report);
void report_free(struct report *report);

/* Pack and write.  0 or -errno. */
int pipeline_write(const struct profile *p, const char *path) MUST_CHECK;

#endif
