/*
 * The stacks that were walked lately, as a tree.
 *
 * Where every allocation is recorded, the same stacks come again and again.  A node is a frame
 * with the state in which a walk came to it: pc, sp and rbp; its parent is its caller.  The
 * rules that lead from one frame to the next ask for nothing else but the words at two places:
 * the return address below the caller's sp, and where the rule says so, the saved rbp.  So a
 * walk that comes to a node in its state goes on as the one before did, for as long as these
 * words are what they were: to compare them is all that is left to do.  rbp counts only where
 * some frame below makes use of it before it is restored (NEEDS_RBP): elsewhere it holds a
 * variable, which may well have changed.
 *
 * Nodes are frames of the two common shapes, on the thread's own stack, whose callers are
 * nodes, too, down to the root.  What the rules say is void with the epoch of modules.h.  Not
 * for use by two at once.
 */
#ifndef AGENT_UNWIND_TREE_H
#define AGENT_UNWIND_TREE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/compiler.h"
#include "base/hash.h"
#include "spool/spool_format.h"

/* All that is looked at to compare a stack. */
struct tree_step {
	uint64_t pc, sp; /* when the walk came here */
};

struct tree_node {
	uint64_t rbp; /* when the walk came here */
	uint64_t rbp_at; /* where the caller's rbp is saved, above SP; 0: it still has it, or
			  * does not need it */
	uint64_t root_sp;
	spool_frame frame; /* 0: of the agent, which does not show */
	uint64_t hash; /* of the frames from the root to this one, see unwind.h */
	uint16_t depth; /* nodes from the root to this one */
	uint16_t next; /* with the same key; 0: none */
	bool needs_rbp;
};

#define TREE_NODES 4096 /* when there are more, all are forgotten */
#define TREE_KEYS 2048
#define TREE_ALIKE_MAX 8 /* looked at */
#define TREE_STEPS_MAX 2048 /* compared in one walk */

struct unwind_tree {
	uint64_t epoch;
	uint32_t used; /* nodes; 0: forget all, before the next walk */
	uint16_t first[TREE_KEYS]; /* of the nodes with that key */
	/* A node is an index in these; the first is none. */
	uint16_t parents[TREE_NODES]; /* 0: this is the root */
	uint16_t ahead[TREE_NODES]; /* so many callers are the nodes that follow, by steps alone
				     */
	struct tree_step steps[TREE_NODES];
	struct tree_node nodes[TREE_NODES];
};

static inline uint16_t *tree_first(struct unwind_tree *t, uint64_t pc, uint64_t sp)
{
	return &t->first[(pc * UINT64_C(0x9e3779b97f4a7c15) +
				 sp * UINT64_C(0xd1342543de82ef95)) >>
			 (64 - 11)];
}
static_assert(TREE_KEYS == 1 << 11, "tree_first() takes 11 bits");

/* Ready for a walk, which adds SPOOL_FRAMES_PER_STACK_MAX nodes at most. */
static inline void tree_begin(struct unwind_tree *t, uint64_t epoch)
{
	if (t->used != 0 && t->epoch == epoch &&
		t->used + SPOOL_FRAMES_PER_STACK_MAX <= TREE_NODES)
		return;
	memset(t->first, 0, sizeof(t->first));
	t->used = 1;
	t->epoch = epoch;
}

/* Is the word that leads to node AT what it was? */
static inline bool tree_step_is_still_so(const struct unwind_tree *t, uint32_t at)
{
	uint64_t pc;

	memcpy(&pc, (const void *)(t->steps[at].sp - 8), sizeof(pc));
	return pc == t->steps[at].pc;
}

/* Are the words that lead from node AT to the root what they were? */
static inline bool tree_is_still_so(
	const struct unwind_tree *t, uint32_t at, uint32_t *steps_left)
{
	uint64_t rbp;

	if (UNLIKELY(*steps_left < t->nodes[at].depth))
		return false;
	*steps_left -= t->nodes[at].depth;
	for (;;) {
		for (const uint32_t end = at + t->ahead[at]; at < end;)
			if (!tree_step_is_still_so(t, ++at))
				return false;
		if (t->nodes[at].rbp_at) {
			memcpy(&rbp, (const void *)t->nodes[at].rbp_at, sizeof(rbp));
			if (rbp != t->nodes[t->parents[at]].rbp)
				return false;
		}
		at = t->parents[at];
		if (at == 0)
			return true;
		if (!tree_step_is_still_so(t, at))
			return false;
	}
}

/* A walk has come to PC, SP, RBP, and all up to HIGH can be read.  The node it has come to, if
 * it goes on from there as another did; 0: none is known. */
static inline uint32_t tree_find(struct unwind_tree *t, uint64_t pc, uint64_t sp, uint64_t rbp,
	uint64_t high, uint32_t *steps_left)
{
	uint32_t at = *tree_first(t, pc, sp);

	for (int i = 0; at && i < TREE_ALIKE_MAX; i++) {
		const struct tree_node *node = &t->nodes[at];

		if (t->steps[at].pc == pc && t->steps[at].sp == sp &&
			(!node->needs_rbp || node->rbp == rbp) && node->root_sp <= high &&
			tree_is_still_so(t, at, steps_left))
			return at;
		at = node->next;
	}
	return 0;
}

/* The walk goes on from the new frame INDEX. */
static inline void tree_note(
	struct unwind_tree *t, uint32_t index, struct tree_step step, struct tree_node node)
{
	t->steps[t->used + index] = step;
	t->nodes[t->used + index] = node;
}

/* The walk has come to the node MET, or to the root, its latest new one: keep its NEW_COUNT new
 * ones.  The node of the first of them; MET if there are none. */
static inline uint32_t tree_keep(struct unwind_tree *t, uint32_t met, uint32_t new_count)
{
	uint32_t at = t->used + new_count;

	while (at-- > t->used) {
		struct tree_node *node = &t->nodes[at];
		const struct tree_node *caller = &t->nodes[met];
		uint16_t *first = tree_first(t, t->steps[at].pc, t->steps[at].sp);

		t->parents[at] = (uint16_t)met;
		t->ahead[at] = 0;
		if (met == 0) {
			node->root_sp = t->steps[at].sp;
			node->depth = 1;
			node->hash = hash_add(0, node->frame);
			node->rbp_at = 0;
		} else {
			node->root_sp = caller->root_sp;
			node->depth = (uint16_t)(caller->depth + 1);
			node->hash = node->frame ? hash_add(caller->hash, node->frame)
						 : caller->hash;
			if (!caller->needs_rbp)
				node->rbp_at = 0;
			else if (!node->rbp_at)
				node->needs_rbp = true;
			if (met == at + 1 && !node->rbp_at)
				t->ahead[at] = (uint16_t)(t->ahead[met] + 1);
		}
		node->next = *first;
		*first = (uint16_t)at;
		met = at;
	}
	t->used += new_count;
	return met;
}

#endif
