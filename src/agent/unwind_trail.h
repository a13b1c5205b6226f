/*
 * The callers that the last stack and the next one have in common.
 *
 * Where every allocation is recorded, a stack is hardly ever other than the one before by more
 * than its leaves.  A trail keeps the frames of the last walk, root first, with the state in which
 * the walk came to each: pc, sp and rbp.  The rules that lead from one frame to the next ask for
 * nothing else but the words at two places: the return address below the caller's sp, and where
 * the rule says so, the saved rbp.  So a walk that comes to a kept frame in the kept state goes on
 * as the last one did, for as long as these words are what they were: to compare them is all that
 * is left to do.  rbp counts only where some frame below makes use of it before it is restored
 * (NEEDS_RBP): elsewhere it holds a variable, which may well have changed.
 *
 * Kept are frames of the two common shapes, on the thread's own stack, down to the root.  What the
 * rules say is void with the epoch of modules.h.  Not for use by two at once.
 */
#ifndef AGENT_UNWIND_TRAIL_H
#define AGENT_UNWIND_TRAIL_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/hash.h"
#include "spool/spool_format.h"

/* A word of the stack as the walk read it. */
struct trail_word {
	uint64_t address, value;
};

struct trail_frame {
	uint64_t pc, sp, rbp; /* when the walk came here */
	uint64_t rbp_at; /* where the caller's rbp is saved, above SP; 0: it still has it */
	spool_frame frame; /* 0: of the agent, which does not show */
	uint64_t hash; /* of the frames from the root to this one, see unwind.h */
	bool needs_rbp;
	uint16_t word_count; /* so many words lead from here to the root */
};

struct unwind_trail {
	uint64_t epoch;
	uint32_t count;
	/* The first is the root.  A walk notes its new ones at the other end, the last of them
	 * deepest. */
	struct trail_frame frames[SPOOL_FRAMES_PER_STACK_MAX];
	struct trail_word words[2 * SPOOL_FRAMES_PER_STACK_MAX]; /* in the same order */
};

/* The place of the new frame INDEX while the walk goes on. */
static inline struct trail_frame *trail_new_frame(struct unwind_trail *t, size_t index)
{
	return &t->frames[SPOOL_FRAMES_PER_STACK_MAX - 1 - index];
}

/* Are the words that lead from frame AT to the root what they were?  0: they are; else a frame
 * whose caller may be another now. */
static inline uint32_t trail_compare(const struct unwind_trail *t, uint32_t at)
{
	const struct trail_word *word = t->words + t->frames[at].word_count;
	uint64_t value;

	while (word > t->words) {
		word--;
		memcpy(&value, (const void *)word->address, sizeof(value));
		if (value != word->value) {
			while (at > 0 && t->frames[at - 1].word_count > word - t->words)
				at--;
			return at;
		}
	}
	return 0;
}

/* A walk has come to PC, SP, RBP, and all up to HIGH can be read.  *LEFT frames of the trail lie
 * still ahead of it, the others are taken off.  True: it goes on along these *LEFT, to the root. */
static inline bool trail_meets(const struct unwind_trail *t, uint32_t *left, uint64_t pc,
	uint64_t sp, uint64_t rbp, uint64_t high)
{
	const struct trail_frame *f;

	while (*left && t->frames[*left - 1].sp < sp)
		--*left;
	if (*left == 0)
		return false;
	f = &t->frames[*left - 1];
	if (f->sp != sp || f->pc != pc || (f->needs_rbp && f->rbp != rbp) ||
		t->frames[0].sp > high)
		return false;
	/* From the frame with another caller on, nothing is known; it is not compared again. */
	f = &t->frames[trail_compare(t, *left - 1)];
	if (f == t->frames)
		return true;
	*left = (uint32_t)(f - t->frames);
	return false;
}

/* Frame AT leads to its caller by a word or two. */
static inline void trail_add_words(struct unwind_trail *t, uint32_t at)
{
	struct trail_frame *f = &t->frames[at];
	const struct trail_frame *caller = f - 1;
	uint16_t count = caller->word_count;

	if (caller->needs_rbp && f->rbp_at)
		t->words[count++] = (struct trail_word){ f->rbp_at, caller->rbp };
	t->words[count++] = (struct trail_word){ caller->sp - 8, caller->pc };
	f->word_count = count;
	f->needs_rbp = f->needs_rbp || (caller->needs_rbp && !f->rbp_at);
	f->hash = f->frame ? hash_add(caller->hash, f->frame) : caller->hash;
}

/* The walk has come to the root: to the LEFT frames that it met come its NEW_COUNT own ones. */
static inline void trail_keep(
	struct unwind_trail *t, uint32_t left, uint32_t new_count, uint64_t epoch)
{
	for (uint32_t i = new_count; i-- > 0; left++) {
		t->frames[left] = *trail_new_frame(t, i);
		if (left > 0) {
			trail_add_words(t, left);
		} else {
			t->frames[0].word_count = 0;
			t->frames[0].hash = hash_add(0, t->frames[0].frame);
		}
	}
	t->count = left;
	t->epoch = epoch;
}

#endif
