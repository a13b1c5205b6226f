/* One profile of each kind for all processes of a recording. */
#ifndef CLI_FINISH_SUM_H
#define CLI_FINISH_SUM_H

#include "cli/finish.h"

struct finish_sum;

struct finish_sum *finish_sum_new(void);
void finish_sum_free(struct finish_sum *sum); /* takes NULL */

/* Add the samples of SPOOL; to SUMMARY, what is told of a process.  0, or -errno after one line was
 * said: then nothing was added. */
int finish_sum_add(struct finish_sum *sum, const struct spool_reader *spool, unsigned int flags,
	struct summary *summary) MUST_CHECK;

/* Write what was added so far, as finish_spool() does with one process: CPU time to PATH,
 * allocations beside it.  SUM stays, for processes that end later.  0, or -errno after one line
 * was said. */
int finish_sum_write(const struct finish_sum *sum, const char *path, unsigned int flags,
	struct summary *summary) MUST_CHECK;

#endif
