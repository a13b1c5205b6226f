#ifndef CLI_LABELS_UNSEEN_H
#define CLI_LABELS_UNSEEN_H

#include "spool/spool_reader.h"

/* Which labels the agent could not read, and why; the caller's to free().  NULL: it could. */
char *labels_unseen(const struct spool_reader *spool);

#endif
