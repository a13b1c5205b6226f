/* Which allocations of a process cannot have been sampled, and why. */
#ifndef CLI_HEAP_UNSEEN_H
#define CLI_HEAP_UNSEEN_H

#include "spool/spool_reader.h"

/* One line, the caller's to free(); NULL: all could be. */
char *heap_unseen(const struct spool_reader *spool);

#endif
