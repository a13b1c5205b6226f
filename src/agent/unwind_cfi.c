/*
 * Table-driven unwinding for x86-64.
 *
 * Nearly every frame is answered by the rule cache.  Otherwise the library is looked up, its call
 * frame information run, and the rule, if it is one of the few shapes that compilers emit,
 * remembered.
 *
 * The cached shapes need rsp and rbp only, so only these are carried along.  Should a rare frame
 * want another register (the lazy binder's CFA is in rbx), the stack is walked again in full.
 */
#define _GNU_SOURCE
#include "agent/unwind.h"

#include <string.h>

#include "agent/unwind_bare.h"
#include "agent/unwind_rule.h"
#include "base/compiler.h"
#include "spool/heap_writer.h"

static bool read_word(void *context, uint64_t address, uint64_t *word)
{
	return stack_memory_read(context, address, word);
}

/* Room is kept for a note. */
static bool push_frame(struct walk *w, spool_frame frame)
{
	if (UNLIKELY(w->count == w->limit) && !deep_goes_on(w))
		return false;
	w->scratch->frames[w->count++] = frame;
	return true;
}

/* One step by the call frame information itself, with whatever registers it wants. */
static NOINLINE bool step_full(struct walk *w, uint64_t lookup_pc, union rule rule, bool *again)
{
	struct cfi_registers *registers = &w->scratch->registers;
	const struct module_instance *instance = module_instance_at((uint32_t)rule.instance);
	const struct cfi_table *table = &instance->module->unwind;
	struct cfi_machine *machine = &w->scratch->machine;
	enum cfi_step step;

	if (!cfi_find_row(table, lookup_pc - instance->bias, machine))
		return walk_end_with(w, SPOOL_NOTE_NO_UNWIND_INFO, rule);
	if (!w->in_full && !w->all_registers)
		walk_keep_three_registers(w);
	step = cfi_step(table, &machine->row, registers, read_word, &w->scratch->memory, NULL);
	if (step == CFI_OUTERMOST)
		return false;
	if (step == CFI_NEEDS_REGISTER && !w->in_full) {
		*again = true;
		return false;
	}
	if (step != CFI_STEPPED)
		return walk_end_with(w, SPOOL_NOTE_BAD_STACK, rule);
	if (!walk_move_to(w, registers->value[CFI_RA], registers->value[CFI_RSP],
		    registers->value[CFI_RBP], machine->is_signal_frame, rule))
		return false;
	w->pc_is_exact = machine->is_signal_frame;
	w->all_registers = machine->is_signal_frame;
	return true;
}

/* A step by a cached shape. */
static inline bool step_shape(struct walk *w, union rule rule)
{
	struct stack_memory *memory = &w->scratch->memory;
	const uint64_t cfa = (rule.shape == SHAPE_RSP ? w->sp : w->rbp) +
		(uint64_t)(int64_t)rule.cfa_offset;
	uint64_t rbp = w->rbp, ra;

	if (!stack_memory_read(memory, cfa - 8, &ra))
		return walk_end_with(w, SPOOL_NOTE_BAD_STACK, rule);
	if (rule.saves_rbp &&
		!stack_memory_read(memory, cfa + (uint64_t)((int64_t)rule.rbp_offset * 8), &rbp))
		return walk_end_with(w, SPOOL_NOTE_BAD_STACK, rule);
	return walk_move_to(w, ra, cfa, rbp, false, rule);
}

/* The frame just pushed is the root. */
static inline bool arrive_at_root(struct walk *w, union rule rule)
{
	if (w->tree && !rule.is_agent) {
		w->is_at_root = true;
		tree_note(w->tree, w->new_count++, (struct tree_step){ w->pc, w->sp },
			(struct tree_node){ .frame = w->scratch->frames[w->count - 1] });
	}
	return false;
}

/* One frame.  False: it was the last. */
static inline bool walk_frame(struct walk *w, bool *again)
{
	const uint64_t pc = w->pc_is_exact ? w->pc : w->pc - 1;
	union rule rule;

	if (!rule_cache_find(pc, w->epoch, &rule))
		rule = unwind_rule_find(w, pc);
	if (UNLIKELY(rule.shape == SHAPE_NONE)) {
		if (!push_frame(w, spool_frame_of(0, pc)))
			return false;
		return bare_step_wild(w) || bare_step_generated(w, rule);
	}
	if (UNLIKELY(rule.shape == SHAPE_INJECTED))
		return bare_step_injected(w, rule);
	if (LIKELY(!rule.is_agent)) {
		const struct module_instance *instance =
			module_instance_at((uint32_t)rule.instance);
		const uint64_t shown = rule.is_entered ? w->pc : pc;

		if (!push_frame(w, spool_frame_of(instance->module->id, shown - instance->bias)))
			return false;
	}
	if (LIKELY((rule.shape == SHAPE_RSP || rule.shape == SHAPE_RBP) && !w->in_full))
		return step_shape(w, rule);
	if (rule.shape == SHAPE_OUTERMOST)
		return arrive_at_root(w, rule);
	if (rule.shape == SHAPE_FRAME_POINTER)
		return bare_step(w, rule);
	if (rule.shape == SHAPE_CODE_RSP || rule.shape == SHAPE_CODE)
		return bare_step_code(w, rule);
	return step_full(w, pc, rule, again);
}

#define PREFETCH_AHEAD 1024 /* bytes */
#define TREE_DEPTH_MAX (SPOOL_FRAMES_PER_STACK_MAX - 2) /* and one more, for the root */

/* Callers of the two common shapes on the thread's own stack, everything in processor
 * registers.  It stops before the first frame that needs more thought, which is then
 * walk_frame()'s.  True: all that are left are in the tree. */
static ALWAYS_INLINE bool walk_callers(struct walk *w, struct unwind_tree *tree)
{
	const struct stack_range readable = w->scratch->memory.readable;
	spool_frame *const frames = w->scratch->frames;
	const uint64_t epoch = w->epoch;
	const size_t limit = tree ? SPOOL_FRAMES_PER_STACK_MAX - 1 : w->limit;
	uint64_t pc = w->pc, sp = w->sp, rbp = w->rbp;
	size_t count = w->count;
	uint32_t new_count = 0;

	while (count < limit) {
		const uint64_t lookup_pc = pc - 1;
		const struct module_instance *instance;
		uint64_t cfa, ra, rbp_at;
		union rule rule;

		if (tree && LIKELY(!w->tree_is_void)) {
			w->met = tree_find(tree, pc, sp, rbp, readable.high, &w->steps_left);
			if (UNLIKELY(count + tree->nodes[w->met].depth > TREE_DEPTH_MAX))
				w->met = 0;
			if (w->met || UNLIKELY(new_count == TREE_DEPTH_MAX))
				break;
		}
		if (!rule_cache_find(lookup_pc, epoch, &rule) || rule.is_entered ||
			(rule.shape != SHAPE_RSP && rule.shape != SHAPE_RBP))
			break;
		cfa = (rule.shape == SHAPE_RSP ? sp : rbp) + (uint64_t)(int64_t)rule.cfa_offset;
		rbp_at = rule.saves_rbp ? cfa + (uint64_t)((int64_t)rule.rbp_offset * 8) : cfa - 8;
		if (UNLIKELY(cfa <= sp || cfa - 8 < readable.low || cfa > readable.high ||
			    rbp_at < readable.low || rbp_at > readable.high - 8))
			break;
		memcpy(&ra, (const void *)(cfa - 8), sizeof(ra));
		if (UNLIKELY(ra == 0))
			break;
		instance = module_instance_at((uint32_t)rule.instance);
		frames[count] = spool_frame_of(instance->module->id, lookup_pc - instance->bias);
		if (tree) {
			if (UNLIKELY(rbp_at < sp || rbp_at > cfa - 8))
				break;
			tree_note(tree, new_count++, (struct tree_step){ pc, sp },
				(struct tree_node){
					.rbp = rbp,
					.rbp_at = rule.saves_rbp ? rbp_at : 0,
					.frame = rule.is_agent ? 0 : frames[count],
					.needs_rbp = rule.shape == SHAPE_RBP,
				});
		} else {
			__builtin_prefetch((const void *)(cfa + PREFETCH_AHEAD));
		}
		if (rule.saves_rbp)
			memcpy(&rbp, (const void *)rbp_at, sizeof(rbp));
		count += !rule.is_agent;
		pc = ra;
		sp = cfa;
	}
	if (sp == w->sp)
		return w->met;
	w->pc = pc;
	w->sp = sp;
	w->rbp = rbp;
	w->count = count;
	w->new_count = new_count;
	w->all_registers = false;
	return w->met;
}

/* Ticks are far apart, and the walk is a chain of loads each of which waits for the one before:
 * have the first part of the stack, and the translations of the cache's pages, fetched at the
 * same time. */
static inline void prefetch(uint64_t sp)
{
	for (uint64_t ahead = 0; ahead < PREFETCH_AHEAD; ahead += 64)
		__builtin_prefetch((const void *)(sp + ahead));
	rule_cache_prefetch();
}

/* The last steps of a stack that is too deep, once more.  True: as walk_up() has it. */
static NOINLINE bool walk_again(struct walk *w)
{
	bool again = false, goes_on;

	do {
		const uint64_t pc = w->pc, sp = w->sp;
		const size_t count = w->count;

		goes_on = walk_frame(w, &again);
		deep_note_frame(w, pc, sp, w->count > count ? w->scratch->frames[count] : 0);
	} while (goes_on);
	deep_end(w);
	return again;
}

/* From where W stands to the end.  True: once more, with all registers carried along. */
static bool walk_up(struct walk *w)
{
	bool again = false;

	deep_begin(w);
	stack_memory_enter(&w->scratch->memory, w->sp);
	prefetch(w->sp);
	while (walk_frame(w, &again))
		if (LIKELY(!w->in_full && !w->pc_is_exact))
			walk_callers(w, NULL);
	if (UNLIKELY(w->limit != DEEP_FIRST_HALF) && !again && deep_steps_back(w))
		again = walk_again(w);
	return again;
}

static bool walk(struct walk *w, const struct cfi_registers *start, bool in_full)
{
	*w = (struct walk){
		.scratch = w->scratch,
		.map = w->map,
		.epoch = w->epoch,
		.pc = start->value[CFI_RA],
		.sp = start->value[CFI_RSP],
		.rbp = start->value[CFI_RBP],
		.pc_is_exact = true,
		.all_registers = true,
		.in_full = in_full,
	};
	return walk_up(w);
}

/* How many frames SCRATCH->frames has now. */
static size_t end_walk(const struct walk *w, uint64_t start_pc)
{
	size_t count = w->count;

	if (w->map)
		modules_leave(w->map);
	if (w->note)
		w->scratch->frames[count++] = spool_frame_note(w->note, w->note_module);
	else if (UNLIKELY(count == 0 && !w->met)) /* nothing but our own code */
		w->scratch->frames[count++] = spool_frame_of(0, start_pc);
	return count;
}

size_t unwind_capture(struct unwind_scratch *scratch, struct stack_range stack)
{
	const struct cfi_registers start = scratch->registers;
	struct walk w = { .scratch = scratch, .epoch = modules_epoch() };

	scratch->memory = (struct stack_memory){ .stack = stack };
	if (UNLIKELY(walk(&w, &start, false))) {
		scratch->registers = start;
		walk(&w, &start, true);
	}
	return end_walk(&w, start.value[CFI_RA]);
}

/* --- along the tree --- */

/* True: once more, with all registers. */
static bool walk_tree(struct walk *w)
{
	bool again = false;

	w->limit = SPOOL_FRAMES_PER_STACK_MAX - 1;
	stack_memory_enter(&w->scratch->memory, w->sp);
	tree_begin(w->tree, w->epoch);
	do {
		w->run_start = w->count;
		w->new_count = 0;
		if (!w->pc_is_exact && walk_callers(w, w->tree))
			return false;
	} while (walk_frame(w, &again));
	return again;
}

/* As unwind_capture() has it. */
static struct unwind_stack capture_in_full(struct unwind_scratch *scratch, struct stack_range range)
{
	struct unwind_stack stack = { .hash = 0 };

	unwind_registers_here(&scratch->registers);
	stack.leaf_count = (uint32_t)unwind_capture(scratch, range);
	stack.hash = spool_hash_frames(0, scratch->frames, stack.leaf_count);
	stack.is_truncated = unwind_is_truncated(scratch, stack.leaf_count);
	return stack;
}

/* psABI 3.2.2: at FRAME is the caller's rbp, and above it the return address. */
static struct walk walk_from_caller(struct unwind_scratch *scratch, const uint64_t *frame)
{
	return (struct walk){
		.scratch = scratch,
		.epoch = modules_epoch(),
		.pc = frame[1],
		.sp = (uint64_t)(frame + 2),
		.rbp = frame[0],
		.steps_left = TREE_STEPS_MAX,
	};
}

struct unwind_stack unwind_capture_next(
	struct unwind_scratch *scratch, struct stack_range range, const uint64_t *frame)
{
	struct unwind_tree *tree = &scratch->tree;
	struct unwind_stack stack = { .hash = 0 };
	struct walk w = walk_from_caller(scratch, frame);
	bool again;

	scratch->memory = (struct stack_memory){ .stack = range };
	w.tree = tree;
	again = walk_tree(&w);
	if (UNLIKELY(w.note == SPOOL_NOTE_TOO_DEEP)) {
		/* No path in the tree is that long. */
		if (w.map)
			modules_leave(w.map);
		w = walk_from_caller(scratch, frame);
		again = walk_up(&w);
	}
	if (UNLIKELY(again)) {
		if (w.map)
			modules_leave(w.map);
		return capture_in_full(scratch, range);
	}
	stack.leaf_count = (uint32_t)end_walk(&w, w.pc);
	stack.is_truncated = w.note;
	if (LIKELY((w.is_at_root || w.met) && !w.tree_is_void)) {
		stack.leaf_count = (uint32_t)w.run_start;
		stack.callers = tree_keep(tree, w.met, w.new_count);
		stack.hash = tree->nodes[stack.callers].hash;
	}
	stack.hash = spool_hash_frames(stack.hash, scratch->frames, stack.leaf_count);
	return stack;
}

size_t unwind_write_frames(struct unwind_scratch *scratch, const struct unwind_stack *stack)
{
	const struct unwind_tree *tree = &scratch->tree;
	size_t count = stack->leaf_count;

	for (uint32_t at = stack->callers; at; at = tree->parents[at])
		if (tree->nodes[at].frame)
			scratch->frames[count++] = tree->nodes[at].frame;
	return count;
}

spool_frame unwind_frame_at(uint64_t pc)
{
	struct module_map *map = modules_enter();
	const struct module_span *span = walk_find_span(map, pc);
	const struct module_instance *instance = span ? module_instance_at(span->instance) : NULL;
	spool_frame frame = instance ? spool_frame_of(instance->module->id, pc - instance->bias) :
				       spool_frame_of(0, pc);

	modules_leave(map);
	return frame;
}

bool unwind_is_truncated(const struct unwind_scratch *scratch, size_t frame_count)
{
	return spool_frame_module(scratch->frames[frame_count - 1]) == SPOOL_MODULE_NOTE;
}

void unwind_registers(const ucontext_t *context, struct cfi_registers *registers)
{
	/* psABI 3.6.2's numbering, in <sys/ucontext.h>'s names. */
	static const uint8_t from[CFI_REGISTERS] = { REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI,
		REG_RDI, REG_RBP, REG_RSP, REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13,
		REG_R14, REG_R15, REG_RIP };

	for (int i = 0; i < CFI_REGISTERS; i++)
		registers->value[i] = (uint64_t)context->uc_mcontext.gregs[from[i]];
	registers->valid = (1u << CFI_REGISTERS) - 1;
}
