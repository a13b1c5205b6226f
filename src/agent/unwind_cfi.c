/*
 * Table-driven unwinding for x86-64.
 *
 * Nearly every frame is answered by the rule cache: direct-mapped by pc, shared by all threads,
 * fixed memory.  It says how to find the caller and which library the pc is in, so
 * that a frame known before costs one cache line and two words of stack.  Otherwise the
 * library is looked up, its call frame information run, and the rule, if it is one of the few
 * shapes that compilers emit, remembered.
 *
 * The cached shapes need rsp and rbp only, so only these are carried along.  Should a rare frame
 * want another register (the lazy binder's CFA is in rbx), the stack is walked again in full.
 */
#define _GNU_SOURCE
#include "agent/unwind.h"

#include <string.h>
#include <sys/auxv.h>

#include "agent/code_ranges.h"
#include "agent/modules.h"
#include "base/compiler.h"
#include "base/hash.h"
#include "spool/heap_writer.h"

/* --- rules in 64 bits --- */

enum shape {
	SHAPE_NONE, /* no rule: not cached */
	SHAPE_RSP, /* CFA = rsp + offset */
	SHAPE_RBP, /* CFA = rbp + offset */
	SHAPE_OUTERMOST, /* no caller */
	SHAPE_FRAME_POINTER, /* no unwind information: a checked step along rbp */
	SHAPE_FULL, /* run the call frame information each time */
	SHAPE_INJECTED, /* not really there yet: a call that Go's preemption put in */
};

/* How rbp is found: unchanged, or saved at CFA + offset (the return address is at CFA - 8). */
union rule {
	struct {
		uint64_t shape : 4;
		uint64_t saves_rbp : 1;
		uint64_t is_go : 1;
		uint64_t is_agent : 1;
		uint64_t is_entered : 1; /* nothing called: a return address here is exact */
		uint64_t instance : 20;
		int64_t rbp_offset : 16; /* words */
		int64_t cfa_offset : 20; /* bytes; on top, where one shift gets it */
	};
	uint64_t word;
};
static_assert(sizeof(union rule) == 8, "a rule is one word");

#define CACHE_ENTRIES 4096

/* Two words without a lock: a reader that sees halves of two entries sees a TAG that does not
 * fit the rule, and takes it for a miss. */
static struct cache_entry {
	uint64_t tag;
	uint64_t rule;
} cache[CACHE_ENTRIES];

static inline struct cache_entry *cache_slot(uint64_t pc)
{
	return &cache[(pc * 0x9e3779b97f4a7c15u) >> (64 - 12)];
}
static_assert(CACHE_ENTRIES == 1 << 12, "cache_slot() takes 12 bits");

static inline uint64_t cache_tag(uint64_t pc, uint64_t epoch, uint64_t rule)
{
	return (pc + epoch * 0xd1342543de82ef95u) ^ (rule * 0xff51afd7ed558ccdu);
}

static inline bool cache_find(uint64_t pc, uint64_t epoch, union rule *rule)
{
	const struct cache_entry *entry = cache_slot(pc);
	uint64_t tag = __atomic_load_n(&entry->tag, __ATOMIC_RELAXED);

	rule->word = __atomic_load_n(&entry->rule, __ATOMIC_RELAXED);
	return rule->word && tag == cache_tag(pc, epoch, rule->word);
}

static void cache_store(uint64_t pc, uint64_t epoch, union rule rule)
{
	struct cache_entry *entry = cache_slot(pc);

	__atomic_store_n(&entry->rule, rule.word, __ATOMIC_RELAXED);
	__atomic_store_n(&entry->tag, cache_tag(pc, epoch, rule.word), __ATOMIC_RELAXED);
}

/* --- a walk --- */

#define FRAME_SIZE_MAX ((uint64_t)16 << 20) /* bytes a frame-pointer step may go up */
#define STACK_SWITCHES_MAX 16
#define ENTRY_SIZE_MAX 64 /* bytes of code of _start */
#define LEAF_SIZE_MAX 16384 /* bytes of code from a leaf's entry to where it may be */

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
	size_t count;
	struct unwind_trail *trail; /* NULL: neither kept nor followed */
	uint32_t trail_left; /* frames of it that lie ahead */
	uint32_t new_count; /* of its new ones: the latest frames, from RUN_START on */
	size_t run_start;
	bool is_at_root;
	enum spool_note note; /* why it ended; 0: at the root */
	uint32_t note_module;
};

static bool read_word(void *context, uint64_t address, uint64_t *word)
{
	return stack_memory_read(context, address, word);
}

/* Room is kept for a note. */
static bool push_frame(struct walk *w, spool_frame frame)
{
	if (w->count == SPOOL_FRAMES_PER_STACK_MAX - 1) {
		w->note = SPOOL_NOTE_TOO_DEEP;
		w->note_module = 0;
		return false;
	}
	w->scratch->frames[w->count++] = frame;
	return true;
}

static const struct module_span *find_live_span(const struct module_map *map, uint64_t pc)
{
	const struct module_span *span = module_map_find(map, pc);

	return span && module_instance_at(span->instance)->is_live ? span : NULL;
}

/* The map as it is now, and what goes with it. */
static void enter_map(struct walk *w)
{
	if (w->map)
		modules_leave(w->map);
	w->map = modules_enter();
	w->epoch = modules_epoch();
	if (w->trail && w->trail->epoch != w->epoch)
		w->trail_left = 0;
}

static const struct module_instance *find_instance(struct walk *w, uint64_t pc, uint32_t *index)
{
	const struct module_span *span;

	if (!w->map)
		enter_map(w);
	span = find_live_span(w->map, pc);
	if (!span && !w->learned) {
		/* Once a walk: JIT code is asked about in vain each time. */
		w->learned = true;
		if (modules_learn_pc(pc)) {
			w->learned = false;
			enter_map(w);
			span = find_live_span(w->map, pc);
		}
	}
	if (!span)
		return NULL;
	*index = span->instance;
	return module_instance_at(span->instance);
}

static bool fits(int64_t value, int bits)
{
	return value >= -((int64_t)1 << (bits - 1)) && value < (int64_t)1 << (bits - 1);
}

/* The rule for a row, if it has one of the cached shapes. */
static enum shape shape_of(const struct cfi_machine *m, union rule *rule)
{
	const struct cfi_row *row = &m->row;
	const struct cfi_rule *rbp = &row->rules[CFI_RBP];
	const struct cfi_rule *ra = &row->rules[CFI_RA];

	if (ra->kind == CFI_RULE_UNDEFINED)
		return SHAPE_OUTERMOST;
	if (m->is_signal_frame || row->cfa.kind != CFI_RULE_VAL_OFFSET ||
		(row->cfa_register != CFI_RSP && row->cfa_register != CFI_RBP) ||
		!fits(row->cfa.value, 20) || ra->kind != CFI_RULE_OFFSET || ra->value != -8 ||
		row->rules[CFI_RSP].kind != CFI_RULE_UNSET)
		return SHAPE_FULL;
	rule->cfa_offset = row->cfa.value;
	if (rbp->kind == CFI_RULE_OFFSET && rbp->value % 8 == 0 && fits(rbp->value / 8, 16)) {
		rule->saves_rbp = 1;
		rule->rbp_offset = rbp->value / 8;
	} else if (rbp->kind != CFI_RULE_UNSET && rbp->kind != CFI_RULE_SAME) {
		return SHAPE_FULL;
	}
	return row->cfa_register == CFI_RSP ? SHAPE_RSP : SHAPE_RBP;
}

/* A return address that is the start of a function, with nothing before it: no call has pushed it,
 * so this is a root made by hand (makecontext's __start_context in glibc). */
static bool is_hand_made_root(
	const struct cfi_table *table, uint64_t vaddr, struct cfi_machine *machine)
{
	return cfi_find_row(table, vaddr + 1, machine) && machine->start == vaddr + 1;
}

/* The program's first instructions, _start: some linkers and libraries leave them without unwind
 * information. */
static bool is_entry(uint64_t pc)
{
	static uint64_t entry; /* where it is; every thread finds the same */

	if (!entry)
		entry = getauxval(AT_ENTRY);
	return pc - entry < ENTRY_SIZE_MAX;
}

/* Go preempts with a signal whose handler makes the thread look as if the interrupted instruction
 * had called runtime.asyncPreempt.  A tick that is pending then is delivered before the first
 * instruction of that: the time was spent where it returns to.  No other function of Go pushes the
 * flags first: push rbp; mov rbp, rsp; pushf. */
static bool is_injected_call(struct walk *w, uint64_t pc)
{
	uint64_t code;

	return w->pc_is_exact && stack_memory_read(&w->scratch->memory, pc, &code) &&
		(code & 0xffffffffff) == 0x9ce5894855;
}

/* The rule for PC, found the long way.  SHAPE_NONE: no library is there. */
static NOINLINE union rule find_rule(struct walk *w, uint64_t pc)
{
	struct cfi_machine *machine = &w->scratch->machine;
	union rule rule = { .word = 0 };
	const struct module_instance *instance;
	uint32_t index;

	instance = find_instance(w, pc, &index);
	if (!instance)
		return rule;
	rule.instance = index;
	rule.is_go = !!(instance->module->flags & SPOOL_MODULE_GO);
	rule.is_agent = !!(instance->module->flags & SPOOL_MODULE_AGENT);
	if (cfi_find_row(&instance->module->unwind, pc - instance->bias, machine)) {
		rule.shape = shape_of(machine, &rule);
		rule.is_entered = machine->is_signal_frame;
	} else if (!w->pc_is_exact &&
		is_hand_made_root(&instance->module->unwind, pc - instance->bias, machine)) {
		rule.shape = SHAPE_OUTERMOST;
		rule.is_entered = 1;
	} else if (!w->pc_is_exact && (instance->module->flags & SPOOL_MODULE_LOADER)) {
		rule.shape = SHAPE_OUTERMOST; /* _dl_start_user, which calls the constructors */
	} else if (is_entry(pc)) {
		rule.shape = SHAPE_OUTERMOST;
	} else if (rule.is_go && is_injected_call(w, pc)) {
		rule.shape = SHAPE_INJECTED;
	} else {
		rule.shape = SHAPE_FRAME_POINTER;
	}
	cache_store(pc, w->epoch, rule);
	return rule;
}

/* No caller below this frame, and it is not the root: say why. */
static bool end_with(struct walk *w, enum spool_note note, union rule rule)
{
	w->note = note;
	w->note_module = rule.shape ? module_instance_at((uint32_t)rule.instance)->module->id : 0;
	return false;
}

/* On to the caller.  A stack grows down, so a caller's frame lies higher; only a switch of
 * stacks (a signal's, Go's) may go elsewhere, and a leaf may have taken its return address off
 * the stack (vfork). */
static bool move_to(struct walk *w, uint64_t pc, uint64_t sp, uint64_t rbp, bool may_switch,
	union rule rule)
{
	if (pc == 0)
		return false; /* what a hand-made root pushes */
	if (sp <= w->sp && !(sp == w->sp && w->pc_is_exact) &&
		(!may_switch || ++w->switches > STACK_SWITCHES_MAX))
		return end_with(w, SPOOL_NOTE_BAD_STACK, rule);
	w->pc = pc;
	w->sp = sp;
	w->rbp = rbp;
	w->pc_is_exact = false;
	w->all_registers = false;
	stack_memory_enter(&w->scratch->memory, sp);
	return true;
}

/* The registers a full walk has left after a step that knows only these three. */
static bool keep_three_registers(struct walk *w)
{
	struct cfi_registers *registers = &w->scratch->registers;

	registers->valid = 1u << CFI_RSP | 1u << CFI_RBP | 1u << CFI_RA;
	registers->value[CFI_RSP] = w->sp;
	registers->value[CFI_RBP] = w->rbp;
	registers->value[CFI_RA] = w->pc;
	return true;
}

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

	if (!find_instance(w, ra - 1, &index) ||
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
			return move_to(w, ra, at + 8, w->rbp, false, rule) &&
				keep_three_registers(w);
	}
	return false;
}

/* As if nothing had been called: on with what the preemption interrupted. */
static bool step_injected(struct walk *w, union rule rule)
{
	uint64_t pc;

	if (!stack_memory_read(&w->scratch->memory, w->sp, &pc))
		return end_with(w, SPOOL_NOTE_BAD_STACK, rule);
	if (!move_to(w, pc, w->sp + 8, w->rbp, false, rule))
		return false;
	w->pc_is_exact = true;
	return keep_three_registers(w);
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
	return *ra == 0 || find_instance(w, *ra - 1, &index) ||
		(code_ranges_hold(*ra - 1) && *rbp > w->rbp && (*rbp & 7) == 0);
}

/* Code that keeps rbp as frame pointer: Go, JIT compilers, assembler.  Where it does not, rbp
 * is any number, so everything is checked.  Go's C calls switch from the goroutine's stack to
 * the thread's, with rbp kept (runtime.asmcgocall): there the caller's frame may lie anywhere.
 */
static bool step_frame_pointer(struct walk *w, union rule rule)
{
	uint64_t rbp, ra;

	if (w->pc_is_exact &&
		step_frameless(
			w, rule, rule.is_go ? CALL_DIRECT_TO_HERE : CALL_TO_HERE_OR_INDIRECT))
		return true;
	if (w->rbp == 0 && rule.is_go)
		return false; /* runtime.goexit: the root of a goroutine */
	if (read_frame_record(w, rule, &rbp, &ra))
		return move_to(w, ra, w->rbp + 16, rbp, rule.is_go, rule) &&
			keep_three_registers(w);
	/* Go's system stacks begin where C calls runtime.mstart, with anything in rbp. */
	if (rule.is_go && !w->pc_is_exact)
		return false;
	return (w->pc_is_exact && step_frameless(w, rule, CALL_OF_ANY_KIND)) ||
		end_with(w, SPOOL_NOTE_NO_UNWIND_INFO, rule);
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
		return end_with(w, SPOOL_NOTE_NO_UNWIND_INFO, rule);
	if (!w->in_full && !w->all_registers)
		keep_three_registers(w);
	step = cfi_step(table, &machine->row, registers, read_word, &w->scratch->memory, NULL);
	if (step == CFI_OUTERMOST)
		return false;
	if (step == CFI_NEEDS_REGISTER && !w->in_full) {
		*again = true;
		return false;
	}
	if (step != CFI_STEPPED)
		return end_with(w, SPOOL_NOTE_BAD_STACK, rule);
	if (!move_to(w, registers->value[CFI_RA], registers->value[CFI_RSP],
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
		return end_with(w, SPOOL_NOTE_BAD_STACK, rule);
	if (rule.saves_rbp &&
		!stack_memory_read(memory, cfa + (uint64_t)((int64_t)rule.rbp_offset * 8), &rbp))
		return end_with(w, SPOOL_NOTE_BAD_STACK, rule);
	return move_to(w, ra, cfa, rbp, false, rule);
}

/* Called through a null or wild function pointer: nothing is at PC, but the call has pushed
 * where it came from. */
static bool step_wild_leaf(struct walk *w)
{
	uint32_t index;
	uint64_t ra;

	if (!w->pc_is_exact || stack_memory_page_is_readable(w->pc) ||
		!stack_memory_read(&w->scratch->memory, w->sp, &ra) ||
		!find_instance(w, ra - 1, &index))
		return false;
	return move_to(w, ra, w->sp + 8, w->rbp, false, (union rule){ .word = 0 }) &&
		keep_three_registers(w);
}

/* The frame just pushed is the root. */
static inline bool arrive_at_root(struct walk *w, union rule rule)
{
	if (w->trail && !rule.is_agent) {
		w->is_at_root = true;
		*trail_new_frame(w->trail, w->new_count++) = (struct trail_frame){
			.pc = w->pc, .sp = w->sp, .frame = w->scratch->frames[w->count - 1] };
	}
	return false;
}

/* One frame.  False: it was the last. */
static inline bool walk_frame(struct walk *w, bool *again)
{
	const uint64_t pc = w->pc_is_exact ? w->pc : w->pc - 1;
	union rule rule;

	if (!cache_find(pc, w->epoch, &rule))
		rule = find_rule(w, pc);
	if (UNLIKELY(rule.shape == SHAPE_NONE)) {
		if (!push_frame(w, spool_frame_of(0, pc)))
			return false;
		return step_wild_leaf(w) || step_frame_pointer(w, rule);
	}
	if (UNLIKELY(rule.shape == SHAPE_INJECTED))
		return step_injected(w, rule);
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
		return step_frame_pointer(w, rule);
	return step_full(w, pc, rule, again);
}

#define PREFETCH_AHEAD 1024 /* bytes */
#define TRAIL_FRAMES_MAX (SPOOL_FRAMES_PER_STACK_MAX - 2) /* and one more, for the root */

/* Callers of the two common shapes on the thread's own stack, everything in processor
 * registers.  It stops before the first frame that needs more thought, which is then
 * walk_frame()'s.  True: all that are left are on the trail, as they were. */
static ALWAYS_INLINE bool walk_callers(struct walk *w, struct unwind_trail *trail)
{
	const struct stack_range readable = w->scratch->memory.readable;
	spool_frame *const frames = w->scratch->frames;
	const uint64_t epoch = w->epoch;
	uint64_t pc = w->pc, sp = w->sp, rbp = w->rbp;
	size_t count = w->count;
	uint32_t new_count = 0;
	bool is_met = false;

	while (count < SPOOL_FRAMES_PER_STACK_MAX - 1) {
		const uint64_t lookup_pc = pc - 1;
		const struct module_instance *instance;
		uint64_t cfa, ra, rbp_at;
		union rule rule;

		if (trail) {
			if (UNLIKELY(count + w->trail_left > TRAIL_FRAMES_MAX))
				w->trail_left = 0;
			is_met = trail_meets(
				trail, &w->trail_left, pc, sp, rbp, readable.high);
			if (is_met || UNLIKELY(new_count + w->trail_left > TRAIL_FRAMES_MAX))
				break;
		}
		if (!cache_find(lookup_pc, epoch, &rule) || rule.is_entered ||
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
		if (trail) {
			if (UNLIKELY(rbp_at < sp || rbp_at > cfa - 8))
				break;
			*trail_new_frame(trail, new_count++) = (struct trail_frame){
				.pc = pc,
				.sp = sp,
				.rbp = rbp,
				.rbp_at = rule.saves_rbp ? rbp_at : 0,
				.frame = rule.is_agent ? 0 : frames[count],
				.needs_rbp = rule.shape == SHAPE_RBP,
			};
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
		return is_met;
	w->pc = pc;
	w->sp = sp;
	w->rbp = rbp;
	w->count = count;
	w->new_count = new_count;
	w->all_registers = false;
	return is_met;
}

/* Ticks are far apart, and the walk is a chain of loads each of which waits for the one before:
 * have the first part of the stack, and the translations of the cache's pages, fetched at the
 * same time. */
static inline void prefetch(uint64_t sp)
{
	for (uint64_t ahead = 0; ahead < PREFETCH_AHEAD; ahead += 64)
		__builtin_prefetch((const void *)(sp + ahead));
	for (size_t at = 0; at < CACHE_ENTRIES; at += 4096 / sizeof(cache[0]))
		__builtin_prefetch(&cache[at]);
}

/* True: once more, with all registers carried along. */
static bool walk(struct walk *w, const struct cfi_registers *start, bool in_full)
{
	bool again = false;

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
	stack_memory_enter(&w->scratch->memory, w->sp);
	prefetch(w->sp);
	while (walk_frame(w, &again))
		if (LIKELY(!w->in_full && !w->pc_is_exact))
			walk_callers(w, NULL);
	return again;
}

/* How many frames SCRATCH->frames has now. */
static size_t end_walk(const struct walk *w, uint64_t start_pc)
{
	size_t count = w->count;

	if (w->map)
		modules_leave(w->map);
	if (w->note)
		w->scratch->frames[count++] = spool_frame_note(w->note, w->note_module);
	else if (UNLIKELY(count + w->trail_left == 0)) /* nothing but our own code */
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

/* --- along a trail --- */

/* True: once more, with all registers. */
static bool walk_trail(struct walk *w)
{
	bool again = false;

	stack_memory_enter(&w->scratch->memory, w->sp);
	if (w->trail->epoch == w->epoch)
		w->trail_left = w->trail->count;
	do {
		w->run_start = w->count;
		w->new_count = 0;
		if (!w->pc_is_exact && walk_callers(w, w->trail))
			return false;
	} while (walk_frame(w, &again));
	w->trail_left = 0;
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

struct unwind_stack unwind_capture_next(
	struct unwind_scratch *scratch, struct stack_range range, const uint64_t *frame)
{
	struct unwind_trail *trail = &scratch->trail;
	struct unwind_stack stack = { .hash = 0 };
	struct walk w = {
		.scratch = scratch,
		.trail = trail,
		.epoch = modules_epoch(),
		/* psABI 3.2.2: the caller's rbp, and above it the return address. */
		.pc = frame[1],
		.sp = (uint64_t)(frame + 2),
		.rbp = frame[0],
	};

	scratch->memory = (struct stack_memory){ .stack = range };
	if (UNLIKELY(walk_trail(&w))) {
		if (w.map)
			modules_leave(w.map);
		trail->count = 0;
		return capture_in_full(scratch, range);
	}
	stack.leaf_count = (uint32_t)end_walk(&w, w.pc);
	stack.is_truncated = w.note;
	if (LIKELY(w.is_at_root || w.trail_left)) {
		stack.leaf_count = (uint32_t)w.run_start;
		trail_keep(trail, w.trail_left, w.new_count, w.epoch);
		stack.caller_count = trail->count;
		stack.hash = trail->frames[trail->count - 1].hash;
	} else {
		trail->count = 0;
	}
	stack.hash = spool_hash_frames(stack.hash, scratch->frames, stack.leaf_count);
	return stack;
}

size_t unwind_write_frames(struct unwind_scratch *scratch, const struct unwind_stack *stack)
{
	size_t count = stack->leaf_count;

	for (uint32_t i = stack->caller_count; i-- > 0;)
		if (scratch->trail.frames[i].frame)
			scratch->frames[count++] = scratch->trail.frames[i].frame;
	return count;
}

spool_frame unwind_frame_at(uint64_t pc)
{
	struct module_map *map = modules_enter();
	const struct module_span *span = find_live_span(map, pc);
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
