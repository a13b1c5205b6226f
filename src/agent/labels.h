/* The labels of threads, which the host sets through plugprof.h. */
#ifndef AGENT_LABELS_H
#define AGENT_LABELS_H

#include <stddef.h>

#include "spool/spool_writer.h"

/* From now on labels are kept; before, and in a process that is not recorded, setting them does
 * nothing. */
void labels_start(void);

/* Behind the COUNT frames of a stack, a note of the calling thread's labels, when it has any.
 * How many frames in all; FRAMES has room for SPOOL_FRAMES_PER_STACK_MAX.  Signal-safe. */
size_t labels_append(struct spool_writer *spool, spool_frame *frames, size_t count);

/* The calling thread ends, and needs no place for labels any more. */
void labels_thread_ends(void);

/* fork() has made a process with the calling thread alone. */
void labels_restart_in_child(void);

#endif
