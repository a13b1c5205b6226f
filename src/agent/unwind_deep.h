/*
 * Stacks of more frames than a sample has room for.  The leaves are kept and the root, with a note
 * for what lies between (SPOOL_NOTE_LEFT_OUT).
 *
 * Behind the leaves, the frames of a sample are two halves.  When both are full the walk goes on
 * over the older one, and so on; at the root the last steps are taken again, from the beginning of
 * the older half, to have its frames in order.
 *
 * A walk over 100,000 frames takes more than a millisecond, so it must not come with every sample.
 * The outermost frames of a long walk are remembered for the thread's stack, each with the place of
 * its return address.  A later walk that is long again ends as the last one did when every one of
 * these words is what it was: down there, nothing has returned.  Where something has, a long walk
 * is made again, as often as takes a small share of the time.  Signal-safe.
 */
#ifndef AGENT_UNWIND_DEEP_H
#define AGENT_UNWIND_DEEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/cfi.h"
#include "spool/spool_format.h"

#define DEEP_LEAVES 384 /* kept of a stack that is too deep */
#define DEEP_HALF 63 /* frames; a note, two halves, and room for one more note make 512 */
#define DEEP_ROOTS DEEP_HALF /* kept: as many as there are in any case */
#define DEEP_FIRST_HALF (DEEP_LEAVES + 1)
static_assert(DEEP_FIRST_HALF + 2 * DEEP_HALF + 1 == SPOOL_FRAMES_PER_STACK_MAX, "it all fits");

/* What a walk knows of its halves. */
struct deep_walk {
	struct deep_half {
		uint64_t pc, sp, rbp;
		bool pc_is_exact, all_registers;
		struct cfi_registers registers;
	} halves[2]; /* where the walk was when it began them */
	uint32_t begun; /* halves; with the third, the stack is too deep */
	bool is_second_time; /* the last steps are being taken again */
	bool is_remembered;
	uint64_t long_since_tsc, long_stack_high; /* when it became a long one, and where */
	struct deep_root *root; /* is being remembered */
};

struct walk;

/* A walk begins. */
void deep_begin(struct walk *w);
/* COUNT frames are as many as LIMIT allows.  False: the walk ends here; the note is set, or the
 * root is there as it was remembered. */
bool deep_goes_on(struct walk *w);
/* The walk has ended.  True: the stack was too deep, and the last steps are to be taken again, from
 * the beginning of the older half, where W is now. */
bool deep_steps_back(struct walk *w);
/* Meanwhile: FRAME (0: of the agent) was that of PC, SP. */
void deep_note_frame(struct walk *w, uint64_t pc, uint64_t sp, spool_frame frame);
/* They are taken. */
void deep_end(struct walk *w);

/* fork() has made a process with one thread. */
void deep_restart_in_child(void);

#endif
