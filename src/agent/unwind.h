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

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <ucontext.h>

#include "agent/cfi.h"
#include "agent/code_exit.h"
#include "agent/stack_memory.h"
#include "agent/unwind_deep.h"
#include "agent/unwind_tree.h"
#include "spool/spool_format.h"

struct unwind_scratch {
	spool_frame frames[SPOOL_FRAMES_PER_STACK_MAX];
	struct stack_memory memory;
	struct cfi_registers registers;
	struct cfi_machine machine;
	struct code_exit_way way;
	struct code_exit exit; /* of the walk's latest frame in code without unwind information */
	struct deep_walk deep;
	struct unwind_tree tree;
};

/* The registers a signal interrupted. */
void unwind_registers(const ucontext_t *context, struct cfi_registers *registers);

/* The registers here: those that callees keep, and where we are. */
static inline void unwind_registers_here(struct cfi_registers *registers)
{
	uint64_t *value = registers->value;

	__asm__ volatile("leaq 0(%%rip), %0\n\tmovq %%rsp, %1\n\tmovq %%rbp, %2\n\tmovq %%rbx, %3"
			 : "=&r"(value[CFI_RA]), "=m"(value[CFI_RSP]), "=m"(value[CFI_RBP]),
			 "=m"(value[CFI_RBX]));
	__asm__ volatile("movq %%r12, %0\n\tmovq %%r13, %1\n\tmovq %%r14, %2\n\tmovq %%r15, %3"
			 : "=m"(value[12]), "=m"(value[13]), "=m"(value[14]), "=m"(value[15]));
	registers->valid = 1u << CFI_RA | 1u << CFI_RSP | 1u << CFI_RBP | 1u << CFI_RBX | 0xf000u;
}

/* Fill SCRATCH->frames, leaf first, from SCRATCH->registers; STACK is the thread's own, {0, 0}
 * when not known.  The number of frames, at least 1.  Frames of the agent are left out. */
size_t unwind_capture(struct unwind_scratch *scratch, struct stack_range stack);

/* A stack whose first LEAF_COUNT frames are in FRAMES, and its CALLERS in the tree. */
struct unwind_stack {
	uint64_t hash; /* as spool_hash_frames() */
	uint32_t leaf_count;
	uint32_t callers; /* the node of the first; 0: none */
	bool is_truncated;
};

/* The same, for stacks that follow one another closely: the callers that this one shares with one
 * taken so with SCRATCH not long ago are not walked again.  FRAME is the
 * __builtin_frame_address(0) of the agent's function that the first of them has called, and which
 * lasts. */
struct unwind_stack unwind_capture_next(
	struct unwind_scratch *scratch, struct stack_range stack, const uint64_t *frame);
/* Complete SCRATCH->frames; the number of frames. */
size_t unwind_write_frames(struct unwind_scratch *scratch, const struct unwind_stack *stack);

/* The frame of the instruction at PC. */
spool_frame unwind_frame_at(uint64_t pc);

/* The stack ended before its root: the last frame is a note. */
bool unwind_is_truncated(const struct unwind_scratch *scratch, size_t frame_count);

#endif
