#define _GNU_SOURCE
#include "agent/unwind_rule.h"

#include <sys/auxv.h>

#include "agent/unwind_bare.h"

#define ENTRY_SIZE_MAX 64 /* bytes of code of _start */

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

#define GAP_INSTRUCTIONS 4096 /* once for a pc; the longest loops unrolled have 2000 */

static bool is_readable_code(void *context, uint64_t address)
{
	return stack_memory_ask(context, address) &&
	       stack_memory_ask(context, address + INSTRUCTION_READS - 1);
}

/* The rule that the instructions tell of the walk's frame, in code of a library or none. */
static enum shape shape_of_code(
	struct walk *w, uint64_t low, uint64_t high, uint32_t instructions, union rule *rule)
{
	struct code_exit_way *way = &w->scratch->way;
	struct code_exit *exit = &w->scratch->exit;

	way->low = low;
	way->high = high;
	way->is_readable = is_readable_code;
	way->context = &w->scratch->memory;
	way->left = instructions;
	if (!code_exit_find(way, w->pc, exit))
		return SHAPE_FRAME_POINTER;
	if (exit->base != CODE_EXIT_RSP || exit->offset % 8 || !fits(exit->offset + 8, 20) ||
		exit->rbp_offset % 8 || !fits(exit->rbp_offset / 8 - 1, 16))
		return SHAPE_CODE;
	rule->cfa_offset = exit->offset + 8;
	rule->saves_rbp = exit->restores_rbp;
	rule->rbp_offset = exit->restores_rbp ? exit->rbp_offset / 8 - 1 : 0;
	return SHAPE_CODE_RSP;
}

static enum shape shape_in_gap(
	struct walk *w, const struct module_instance *instance, uint64_t pc, union rule *rule)
{
	const struct module_span *span = walk_find_span(w->map, pc);
	uint64_t low, high;

	cfi_find_gap(&instance->module->unwind, pc - instance->bias, &low, &high);
	low = low ? low + instance->bias : 0;
	high = high < UINT64_MAX - instance->bias ? high + instance->bias : UINT64_MAX;
	if (!span)
		return SHAPE_FRAME_POINTER;
	return shape_of_code(w, low > span->start ? low : span->start,
		high < span->end ? high : span->end, GAP_INSTRUCTIONS, rule);
}

#define GENERATED_REACH 65536 /* bytes of generated code that are looked at, before and behind */
#define GENERATED_INSTRUCTIONS 512 /* each time: what is written anew cannot be remembered */

bool unwind_rule_of_generated(struct walk *w)
{
	union rule ignored = { .word = 0 };

	return shape_of_code(w, w->pc - GENERATED_REACH, w->pc + GENERATED_REACH,
		       GENERATED_INSTRUCTIONS, &ignored) != SHAPE_FRAME_POINTER;
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

/* The scratch's machine is that of the call before the walk's pc.  Where another row begins behind
 * it, there may have been no call: what throws an exception ends by returning to its handler.
 * True: the machine is now that of the pc itself. */
static bool is_handler(struct walk *w, const struct module_instance *instance)
{
	struct cfi_machine *machine = &w->scratch->machine;
	const struct cfi_table *table = &instance->module->unwind;
	const uint64_t vaddr = w->pc - instance->bias;

	if (w->pc_is_exact || machine->row_end != vaddr || machine->is_signal_frame ||
		bare_is_behind_call(w, w->pc))
		return false;
	if (cfi_find_row(table, vaddr, machine))
		return true;
	return !cfi_find_row(table, vaddr - 1, machine); /* as it was; this cannot fail */
}

union rule unwind_rule_find(struct walk *w, uint64_t pc)
{
	struct cfi_machine *machine = &w->scratch->machine;
	union rule rule = { .word = 0 };
	const struct module_instance *instance;
	uint32_t index;

	instance = walk_find_instance(w, pc, &index);
	if (!instance)
		return rule;
	rule.instance = index;
	rule.is_go = !!(instance->module->flags & SPOOL_MODULE_GO);
	rule.is_agent = !!(instance->module->flags & SPOOL_MODULE_AGENT);
	if (cfi_find_row(&instance->module->unwind, pc - instance->bias, machine)) {
		rule.is_entered = is_handler(w, instance) || machine->is_signal_frame;
		rule.shape = shape_of(machine, &rule);
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
	} else if (!rule.is_go) {
		rule.shape = shape_in_gap(w, instance, pc, &rule);
	} else {
		rule.shape = SHAPE_FRAME_POINTER;
	}
	if (rule.shape != SHAPE_CODE)
		rule_cache_store(pc, w->epoch, rule);
	return rule;
}
