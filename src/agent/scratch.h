/*
 * Working memory for unwinding, lent for the duration of one sample, so that threads cost nothing
 * until they take one.  Signal-safe: a handler that interrupts a sample gets another one.
 */
#ifndef AGENT_SCRATCH_H
#define AGENT_SCRATCH_H

#include <stdint.h>

#include "agent/unwind.h"

/* The same for a HINT (a thread's number) as last time, if it is free: its lines may still be in
 * cache.  NULL: all are lent. */
struct unwind_scratch *scratch_take(uint32_t hint);
void scratch_give_back(struct unwind_scratch *scratch);

/* From 1 on. */
uint8_t scratch_number(const struct unwind_scratch *scratch);
/* The scratch of that NUMBER, lent to a sample of the calling thread, which has the stack OWN.  The
 * host may have jumped out of the sample, from a handler (siglongjmp): when it began further down
 * the stack than we are now, it is over, and its scratch is ours.  NULL: it goes on, or that cannot
 * be told, on another stack. */
struct unwind_scratch *scratch_take_back(uint8_t number, struct stack_range own);

/* None is lent any more when this returns (or a tenth of a second has passed). */
void scratch_wait_for_all(void);

/* fork() has made a process with one thread, which has none. */
void scratch_restart_in_child(void);

#endif
