/*
 * The seam between sampling and unwinding: from a signal's context to the frames of the stack
 * it interrupted.
 *
 * It reads only memory it knows to be there: the thread's own stack, and beyond it pages that a
 * system call has said are readable; so it never faults, whatever the stack holds.  A stack
 * that ends before its root ends in a note (enum spool_note).  Signal-safe, any thread; uses
 * less than 1 KiB of stack, the rest is in SCRATCH.
 */
#ifndef AGENT_UNWIND_H
#define AGENT_UNWIND_H

#include <stddef.h>
#include <stdint.h>
#include <ucontext.h>

#include "agent/cfi.h"
#include "agent/stack_memory.h"
#include "spool/spool_format.h"

struct unwind_scratch {
	spool_frame frames[SPOOL_FRAMES_PER_STACK_MAX];
	struct stack_memory memory;
	struct cfi_registers registers;
	struct cfi_machine machine;
};

/* The registers a signal interrupted. */
void unwind_registers(const ucontext_t *context, struct cfi_registers *registers);

/* Fill SCRATCH->frames, leaf first, from SCRATCH->registers; STACK is the thread's own, {0, 0}
 * when not known.  The number of frames, at least 1.  Frames of the agent are left out. */
size_t unwind_capture(struct unwind_scratch *scratch, struct stack_range stack);

/* The stack ended before its root: the last frame is a note. */
bool unwind_is_truncated(const struct unwind_scratch *scratch, size_t frame_count);

#endif
