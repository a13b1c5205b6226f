/* The labels of the running goroutine, that runtime/pprof has set, as a set of the spool's. */
#ifndef AGENT_GO_LABELS_H
#define AGENT_GO_LABELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "spool/spool_writer.h"

/* Of all labels of a sample: bytes of keys and values, each with its NUL. */
#define GO_LABELS_BYTES_MAX 1024

/* True: the goroutine that runs on the calling thread has labels, and *SET is the number of the set
 * that they and the thread's own make (0: no room); of two under one key the goroutine's counts.
 * OWN: SIZE bytes of key and value in turn, each with its NUL.  What passes SPOOL_LABELS_MAX
 * labels or the limit above is left out, and the sample counted.  Signal-safe. */
bool go_labels_intern(struct spool_writer *spool, const char *own, size_t size, uint32_t *set);

#endif
