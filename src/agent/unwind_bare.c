#include "agent/unwind_bare.h"

#include "agent/code_ranges.h"
#include "agent/unwind_rule.h"

#define FRAME_SIZE_MAX ((uint64_t)16 << 20) /* bytes a frame-pointer step may go up */
#define LEAF_SIZE_MAX  16384 /* bytes of code from a leaf's entry to where it may be */

/* The 8 bytes before a return address, the last on top: of a register; of memory with no
 * displacement, one of 8 bits, of 32; the same with a SIB byte; relative to rip.  Intel SDM,
 * CALL and tables 2-2 and 2-3. */
static bool ends_in_indirect_call(uint64_t bytes)
{
	return (bytes >> 48 & 0xf8ff) == 0xd0ff || (bytes >> 48 & 0xf8ff) == 0x10ff ||
	       (bytes >> 40 & 0xf8ff) == 0x50ff || (bytes >> 16 & 0xf8ff) == 0x90ff ||
	       (bytes >> 40 & 0xffff) == 0x14ff || (bytes >> 32 & 0xffff) == 0x54ff ||
	       (bytes >> 8 & 0xffff) == 0x94ff || (bytes >> 16 & 0xffff) == 0x15ff;
}

/* RA lies behind a call; with TO_HERE, behind a direct one (e8 rel32) to shortly before the pc.
 */
static bool is_behind_call(struct walk *w, uint64_t ra, bool to_here)
{
	uint64_t bytes, target;
	uint32_t index;

	if ((!walk_find_instance(w, ra - 1, &index) && !code_ranges_hold(ra - 1)) ||
		!stack_memory_read(&w->scratch->memory, ra - 8, &bytes))
		return false;
	if ((bytes >> 24 & 0xff) == 0xe8) {
		target = ra + (uint64_t)(int64_t)(int32_t)(bytes >> 32);
		return !to_here || (target <= w->pc && w->pc - target <= LEAF_SIZE_MAX);
	}
	return !to_here && ends_in_indirect_call(bytes);
}

bool bare_is_behind_call(struct walk *w, uint64_t ra)
{
	return is_behind_call(w, ra, false);
}

/* A leaf without unwind information that has made no frame (Go's, assembler's) has its return
 * address on top of the stack; one that has only aligned it, a word higher. */
static bool step_frameless(struct walk *w, union rule rule)
{
	for (uint64_t at = w->sp; at <= w->sp + 8; at += 8) {
		uint64_t ra;

		if (stack_memory_read(&w->scratch->memory, at, &ra) &&
			is_behind_call(w, ra, true))
			return walk_move_to(w, ra, at + 8, w->rbp, false, rule) &&
			       walk_keep_three_registers(w);
	}
	return false;
}

/* Where scratch->exit has the return address; 0: it cannot be read. */
static uint64_t exit_place(struct walk *w)
{
	const struct code_exit *exit = &w->scratch->exit;
	uint64_t base = exit->base == CODE_EXIT_RBP ? w->rbp : w->sp;

	if (exit->base == CODE_EXIT_SAVED &&
		!stack_memory_read(
			&w->scratch->memory, w->sp + (uint64_t)(int64_t)exit->saved_at, &base))
		return 0;
	return base + (uint64_t)(int64_t)exit->offset;
}

/* To the return address at PLACE, if a call has put it there. */
static bool step_to_place(
	struct walk *w, union rule rule, uint64_t place, bool restores_rbp, int64_t rbp_offset)
{
	struct stack_memory *memory = &w->scratch->memory;
	uint64_t ra, rbp = w->rbp;

	return place >= w->sp && place - w->sp <= FRAME_SIZE_MAX &&
	       stack_memory_read(memory, place, &ra) && bare_is_behind_call(w, ra) &&
	       (!restores_rbp ||
		       stack_memory_read(memory, place + (uint64_t)rbp_offset, &rbp)) &&
	       walk_move_to(w, ra, place + 8, rbp, false, rule) && walk_keep_three_registers(w);
}

static bool step_by_exit(struct walk *w, union rule rule)
{
	const struct code_exit *exit = &w->scratch->exit;

	return step_to_place(w, rule, exit_place(w), exit->restores_rbp, exit->rbp_offset);
}

bool bare_step_code(struct walk *w, union rule rule)
{
	const uint64_t cfa = w->sp + (uint64_t)(int64_t)rule.cfa_offset;

	if (rule.shape == SHAPE_CODE ? step_by_exit(w, rule)
				     : step_to_place(w, rule, cfa - 8, rule.saves_rbp,
					       8 * (rule.rbp_offset + 1)))
		return true;
	return bare_step(w, rule);
}

bool bare_step_generated(struct walk *w, union rule rule)
{
	return (w->pc_is_exact && code_ranges_hold(w->pc) && unwind_rule_of_generated(w) &&
		       step_by_exit(w, rule)) ||
	       bare_step(w, rule);
}

bool bare_step_injected(struct walk *w, union rule rule)
{
	uint64_t pc;

	if (!stack_memory_read(&w->scratch->memory, w->sp, &pc))
		return walk_end_with(w, SPOOL_NOTE_BAD_STACK, rule);
	if (!walk_move_to(w, pc, w->sp + 8, w->rbp, false, rule))
		return false;
	w->pc_is_exact = true;
	return walk_keep_three_registers(w);
}

/* The caller's rbp and the return address that rbp points to, if it does.  crosscall2, where C
 * calls Go, saves rbp once more right below its frame record (since Go 1.21): that one is passed
 * over. */
static bool read_frame_record(struct walk *w, union rule rule, uint64_t *rbp, uint64_t *ra)
{
	struct stack_memory *memory = &w->scratch->memory;
	uint32_t index;

	if ((w->rbp & 7) ||
		(!rule.is_go && (w->rbp < w->sp || w->rbp - w->sp > FRAME_SIZE_MAX)) ||
		!stack_memory_read(memory, w->rbp, rbp))
		return false;
	if (rule.is_go && *rbp == w->rbp + 8) {
		w->rbp = *rbp;
		if (!stack_memory_read(memory, w->rbp, rbp))
			return false;
	}
	if (!stack_memory_read(memory, w->rbp + 8, ra))
		return false;
	/* Into a library, or into generated code whose own caller is found the same way. */
	return *ra == 0 || walk_find_instance(w, *ra - 1, &index) ||
	       (code_ranges_hold(*ra - 1) && *rbp > w->rbp && (*rbp & 7) == 0);
}

bool bare_step(struct walk *w, union rule rule)
{
	uint64_t rbp, ra;

	if (w->pc_is_exact && step_frameless(w, rule))
		return true;
	if (w->rbp == 0 && rule.is_go)
		return false; /* runtime.goexit: the root of a goroutine */
	/* What a library's code does with rbp before it calls anything is told by the code
	 * alone. */
	if ((rule.is_go || !rule.shape || !w->pc_is_exact) &&
		read_frame_record(w, rule, &rbp, &ra))
		return walk_move_to(w, ra, w->rbp + 16, rbp, rule.is_go, rule) &&
		       walk_keep_three_registers(w);
	/* Go's system stacks begin where C calls runtime.mstart, with anything in rbp. */
	if (rule.is_go && !w->pc_is_exact)
		return false;
	return walk_end_with(w, SPOOL_NOTE_NO_UNWIND_INFO, rule);
}

bool bare_step_wild(struct walk *w)
{
	uint32_t index;
	uint64_t ra;

	if (!w->pc_is_exact || stack_memory_page_is_readable(w->pc) ||
		!stack_memory_read(&w->scratch->memory, w->sp, &ra) ||
		!walk_find_instance(w, ra - 1, &index))
		return false;
	return walk_move_to(w, ra, w->sp + 8, w->rbp, false, (union rule){ .word = 0}) &&
	       walk_keep_three_registers(w);
}
