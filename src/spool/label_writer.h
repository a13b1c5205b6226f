/* Sets of labels in the spool.  Any thread, any handler. */
#ifndef SPOOL_LABEL_WRITER_H
#define SPOOL_LABEL_WRITER_H

#include "spool/spool_writer.h"

/* The number of the set TEXT, SIZE bytes of key and value in turn, each with its NUL, which is
 * added when new; 0: there is no room, one sample's labels are lost and counted. */
uint32_t spool_intern_labels(struct spool_writer *w, const char *text, size_t size);

/* A sample lacks labels for another reason: count it. */
void spool_count_lost_labels(struct spool_writer *w);

/* Part of spool_inherit(): FROM's sets get the same numbers in W, where its heap is inherited.
 */
bool spool_inherit_labels(struct spool_writer *w, const struct spool_writer *from) MUST_CHECK;

#endif
