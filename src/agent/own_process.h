/*
 * Is this the process that records, and not a copy that somebody made of it behind our back (clone,
 * _Fork)?  A child of vfork, which has the same memory, counts as that process.
 */
#ifndef AGENT_OWN_PROCESS_H
#define AGENT_OWN_PROCESS_H

#include <stdbool.h>

/* From now on it is this one.  Not signal-safe. */
void own_process_mark(void);

/* Signal-safe; a load, where the kernel can empty a page in a copy (from 4.14). */
bool own_process_is_here(void);

#endif
