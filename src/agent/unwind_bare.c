#include "agent/unwind_bare.h"

#include "agent/code_ranges.h"

#define FRAME_SIZE_MAX ((uint64_t)16 << 20) /* bytes a frame-pointer step may go up */
#define LEAF_SIZE_MAX 16384 /* bytes of code from a leaf's entry to where it may be */

/* How sure a return address on top of the stack must be. */
enum call_proof {
	CALL_DIRECT_TO_HERE, /* behind a direct call (e8 rel32) to shortly before the pc */
	CALL_TO_HERE_OR_INDIRECT, /* or behind an indirect one (ff /2), whose target is not known */
	CALL_OF_ANY_KIND, /* or behind a direct one to elsewhere: through a PLT stub */
};

static bool is_behind_call(struct walk *w, uint64_t ra, enum call_proof proof)
{
	uint64_t bytes, target;
	uint32_t index;

	if (!walk_find_instance(w, ra - 1, &index) ||
		!stack_memory_read(&w->scratch->memory, ra - 8, &bytes))
		return false;
	if ((bytes >> 24 & 0xff) == 0xe8) {
		target = ra + (uint64_t)(int64_t)(int32_t)(bytes >> 32);
		return proof == CALL_OF_ANY_KIND ||
			(target <= w->pc && w->pc - target <= LEAF_SIZE_MAX);
	}
	/* Register, memory with displacement of 8 and of 32 bits: Intel SDM, CALL and table 2-2. */
	return proof != CALL_DIRECT_TO_HERE &&
		((bytes >> 48 & 0xf8ff) == 0xd0ff || (bytes >> 48 & 0xf8ff) == 0x10ff ||
			(bytes >> 40 & 0xf8ff) == 0x50ff || (bytes >> 16 & 0xf8ff) == 0x90ff ||
			(bytes >> 16 & 0xffff) == 0x15ff);
}

/* A leaf without unwind information that has made no frame (Go's, assembler's) has its return
 * address on top of the stack; one that has only aligned it (_init), a word higher; one that has
 * saved registers, up to all six that are the caller's, above these. */
static bool step_frameless(struct walk *w, union rule rule, enum call_proof proof)
{
	const uint64_t words = proof == CALL_OF_ANY_KIND ? 8 : 2;

	for (uint64_t at = w->sp; at < w->sp + 8 * words; at += 8) {
		uint64_t ra;

		if (stack_memory_read(&w->scratch->memory, at, &ra) &&
			is_behind_call(w, ra, proof))
			return walk_move_to(w, ra, at + 8, w->rbp, false, rule) &&
				walk_keep_three_registers(w);
	}
	return false;
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

	if (w->pc_is_exact &&
		step_frameless(
			w, rule, rule.is_go ? CALL_DIRECT_TO_HERE : CALL_TO_HERE_OR_INDIRECT))
		return true;
	if (w->rbp == 0 && rule.is_go)
		return false; /* runtime.goexit: the root of a goroutine */
	if (read_frame_record(w, rule, &rbp, &ra))
		return walk_move_to(w, ra, w->rbp + 16, rbp, rule.is_go, rule) &&
			walk_keep_three_registers(w);
	/* Go's system stacks begin where C calls runtime.mstart, with anything in rbp. */
	if (rule.is_go && !w->pc_is_exact)
		return false;
	return (w->pc_is_exact && step_frameless(w, rule, CALL_OF_ANY_KIND)) ||
		walk_end_with(w, SPOOL_NOTE_NO_UNWIND_INFO, rule);
}

bool bare_step_wild(struct walk *w)
{
	uint32_t index;
	uint64_t ra;

	if (!w->pc_is_exact || stack_memory_page_is_readable(w->pc) ||
		!stack_memory_read(&w->scratch->memory, w->sp, &ra) ||
		!walk_find_instance(w, ra - 1, &index))
		return false;
	return walk_move_to(w, ra, w->sp + 8, w->rbp, false, (union rule){ .word = 0 }) &&
		walk_keep_three_registers(w);
}
