/* The labels of samples: of threads, which the host sets through plugprof.h, and of goroutines. */
#ifndef AGENT_LABELS_H
#define AGENT_LABELS_H

#include <stddef.h>

#include "spool/spool_writer.h"

/* From now on labels are kept; before, and in a process that is not recorded, setting them does
 * nothing. */
void labels_start(void);

/* The note of the labels that the calling thread has, or the goroutine that runs on it; 0: none.
 * Signal-safe. */
spool_frame labels_note(struct spool_writer *spool);
/* NOTE, unless it is 0, behind the COUNT frames of a stack.  How many frames in all; FRAMES has
 * room for SPOOL_FRAMES_PER_STACK_MAX.  Signal-safe. */
size_t labels_append(spool_frame *frames, size_t count, spool_frame note);

/* The calling thread ends, and needs no place for labels any more. */
void labels_thread_ends(void);

/* fork() has made a process with the calling thread alone. */
void labels_restart_in_child(void);

#endif
