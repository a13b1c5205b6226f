/*
 * The way of the data through the tool: spool -> profile -> names -> file.  The one place that
 * knows the spool, the profile model and the symbolizer.
 */
#ifndef CLI_PIPELINE_H
#define CLI_PIPELINE_H

#include <stdbool.h>
#include <stdint.h>

#include "pprof/profile.h"
#include "spool/spool_reader.h"
#include "symbol/symbolizer.h"

#define PIPELINE_ANONYMOUS "[anon-rx]" /* code that no file holds: path and name */

/* The samples of SPOOL as a profile without names: labels, mappings, comments are in place.  CPU
 * time, and allocations. */
struct profile *pipeline_read_spool(const struct spool_reader *spool);
struct profile *pipeline_read_heap(const struct spool_reader *spool);

/* So begins a comment on what a profile lacks, and why. */
#define PIPELINE_UNSEEN_COMMENT "not seen"

/* A label of what is in use although the plugin whose code allocated it has been unloaded. */
#define PIPELINE_UNLOADED_LABEL "unloaded"

/* Name every location whose mapping has no names yet.  OPTIONS may be NULL; what else is
 * to be searched is found here, see cli/stores.h.  What
 * was found out about each module goes into comments, see report.h. */
void pipeline_symbolize(struct profile *p, const struct symbolizer_options *options);
/* The same, and TELL of each module when all is named. */
typedef void pipeline_module_visitor(void *context, struct symbol_module *m);
void pipeline_symbolize_with(struct profile *p, const struct symbolizer_options *options,
	pipeline_module_visitor *tell, void *context);

/* P's addresses are about to be mixed with those of other processes: name now what only its own
 * process's perf map names, and forget that map. */
void pipeline_settle(struct profile *p);

/* Pack and write; "-" is standard output.  0 or -errno. */
int pipeline_write(const struct profile *p, const char *path) MUST_CHECK;

#endif
