/* From a spool to its profile on disk, and what to tell people about it. */
#ifndef CLI_FINISH_H
#define CLI_FINISH_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/report.h"
#include "spool/spool_reader.h"

/* What was written, added up over the processes of one recording. */
struct summary {
	uint32_t processes;
	uint64_t lost, ticks, cpu_ns, wall_ns, truncated;
	uint64_t refused; /* threads that got no timer */
	/* Of the first one written, the busiest process's: */
	char *file;
	uint32_t plugins;
	struct report report;
	bool raw;
};

/* Write the profile of SPOOL to PATH (no template).  RAW: without names.  Adds to SUMMARY.
 * 0, or -errno after one line was said. */
int finish_spool(const struct spool_reader *spool, const char *path, bool raw,
	struct summary *summary) MUST_CHECK;

/* At most six lines on stderr, the last the next command to type. */
void summary_print(const struct summary *summary);
/* One line for each library: how many of its frames have a name, and why. */
void summary_print_libraries(const struct summary *summary);
void summary_free(struct summary *summary);

/* The options the process was started with ask for a profile without names. */
bool spool_wants_raw(const struct spool_reader *spool);

#endif
