/*
 * DWARF expressions in call frame information (DWARF 5, 2.5 and 6.4.2): PLT stubs, realigned
 * stacks, signal frames.  Bounded in steps and stack; pure but for what READ does.  Signal-safe.
 */
#ifndef AGENT_CFI_EXPRESSION_H
#define AGENT_CFI_EXPRESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/cfi.h"

#define CFI_EXPRESSION_STACK 32

struct cfi_evaluation {
	const struct cfi_table *table;
	const struct cfi_registers *registers;
	cfi_read_word *read;
	void *context;
	uint64_t stack[CFI_EXPRESSION_STACK];
	uint32_t depth;
	enum cfi_step failure;
};

/* The value of register REG; e->failure says when it cannot be had. */
uint64_t cfi_register_value(struct cfi_evaluation *e, uint64_t reg);

/* Evaluate the expression RULE points to, with CFA on the stack first when PUSH_CFA.  CFI_STEPPED:
 * the top of the stack is in *OUT. */
enum cfi_step cfi_evaluate(struct cfi_evaluation *e, const struct cfi_rule *rule, bool push_cfa,
	uint64_t cfa, uint64_t *out) MUST_CHECK;

#endif
