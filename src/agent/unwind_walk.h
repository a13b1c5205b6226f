/*
 * A walk up a stack, for the files that take its steps: unwind_cfi.c by the tables, unwind_bare.c
 * without.  A step moves the walk to the caller and says true, or says false at the end, with a
 * note when that is not the root.  Signal-safe.
 */
#ifndef AGENT_UNWIND_WALK_H
#define AGENT_UNWIND_WALK_H

#include "agent/modules.h"
#include "agent/rule_cache.h"
#include "agent/unwind.h"
#include "agent/unwind_deep.h"

#define WALK_SWITCHES_MAX 16 /* of stacks */

struct walk {
	struct unwind_scratch *scratch;
	struct module_map *map; /* NULL: not needed so far */
	uint64_t epoch;
	uint64_t pc, sp, rbp;
	bool pc_is_exact; /* a leaf, or what a signal interrupted; else a return address */
	bool in_full; /* registers is kept up too */
	bool all_registers; /* registers holds the state of this very frame */
	bool learned; /* the map was asked to grow for this walk's pc already */
	uint32_t switches; /* of stacks */
	size_t count, limit; /* frames: there are, and before deep_goes_on() is asked */
	struct unwind_tree *tree; /* NULL: neither grown nor followed */
	bool tree_is_void; /* since a library went: the same from now on */
	uint32_t met; /* its node that this walk has come to; 0: none yet */
	uint32_t steps_left; /* see TREE_STEPS_MAX */
	uint32_t new_count; /* of its new ones: the latest frames, from RUN_START on */
	size_t run_start;
	bool is_at_root;
	enum spool_note note; /* why it ended; 0: at the root */
	uint32_t note_module;
};

/* The span of a library that is loaded now; NULL: none holds PC. */
static inline const struct module_span *walk_find_span(const struct module_map *map, uint64_t pc)
{
	const struct module_span *span = module_map_find(map, pc);

	return span && module_instance_at(span->instance)->is_live ? span : NULL;
}

/* The map of modules as it is now, and what goes with it. */
void walk_enter_map(struct walk *w);
/* The library that holds PC, which may be met for the first time; NULL: none. */
const struct module_instance *walk_find_instance(struct walk *w, uint64_t pc, uint32_t *index);

/* No caller below this frame, and it is not the root: say why. */
static inline bool walk_end_with(struct walk *w, enum spool_note note, union rule rule)
{
	w->note = note;
	w->note_module = rule.shape ? module_instance_at((uint32_t)rule.instance)->module->id : 0;
	return false;
}

/* On to the caller.  A stack grows down, so a caller's frame lies higher; only a switch of
 * stacks (a signal's, Go's) may go elsewhere, and a leaf may have taken its return address off
 * the stack (vfork). */
static inline bool walk_move_to(struct walk *w, uint64_t pc, uint64_t sp, uint64_t rbp,
	bool may_switch, union rule rule)
{
	if (pc == 0)
		return false; /* what a hand-made root pushes */
	if (sp <= w->sp && !(sp == w->sp && w->pc_is_exact) &&
		(!may_switch || ++w->switches > WALK_SWITCHES_MAX))
		return walk_end_with(w, SPOOL_NOTE_BAD_STACK, rule);
	w->pc = pc;
	w->sp = sp;
	w->rbp = rbp;
	w->pc_is_exact = false;
	w->all_registers = false;
	stack_memory_enter(&w->scratch->memory, sp);
	return true;
}

/* The registers a full walk has left after a step that knows only these three. */
static inline bool walk_keep_three_registers(struct walk *w)
{
	struct cfi_registers *registers = &w->scratch->registers;

	registers->valid = 1u << CFI_RSP | 1u << CFI_RBP | 1u << CFI_RA;
	registers->value[CFI_RSP] = w->sp;
	registers->value[CFI_RBP] = w->rbp;
	registers->value[CFI_RA] = w->pc;
	return true;
}

#endif
