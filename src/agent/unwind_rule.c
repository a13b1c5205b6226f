#define _GNU_SOURCE
#include "agent/unwind_rule.h"

#include <sys/auxv.h>

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
	rule_cache_store(pc, w->epoch, rule);
	return rule;
}
