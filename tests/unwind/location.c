#include "location.h"

#include <dwarf.h>

#include "base/hash.h"

#define STEPS_MAX 1000
#define DEPTH_MAX 64

uint64_t machine_word(const struct machine_state *state, uint64_t address)
{
	return hash_mix(address + state->seed);
}

struct stack {
	uint64_t values[DEPTH_MAX];
	size_t depth;
	bool failed;
};

static void push(struct stack *s, uint64_t value)
{
	if (s->depth == DEPTH_MAX)
		s->failed = true;
	else
		s->values[s->depth++] = value;
}

static uint64_t pop(struct stack *s)
{
	if (s->depth == 0) {
		s->failed = true;
		return 0;
	}
	return s->values[--s->depth];
}

static uint64_t reg(const struct machine_state *state, uint64_t number, struct stack *s)
{
	if (number >= MACHINE_REGISTERS) {
		s->failed = true;
		return 0;
	}
	return state->registers[number];
}

static bool run_binary(struct stack *s, unsigned int atom)
{
	uint64_t b = pop(s), a = pop(s);

	switch (atom) {
	case DW_OP_and:
		push(s, a & b);
		return true;
	case DW_OP_or:
		push(s, a | b);
		return true;
	case DW_OP_xor:
		push(s, a ^ b);
		return true;
	case DW_OP_plus:
		push(s, a + b);
		return true;
	case DW_OP_minus:
		push(s, a - b);
		return true;
	case DW_OP_mul:
		push(s, a * b);
		return true;
	case DW_OP_shl:
		push(s, b < 64 ? a << b : 0);
		return true;
	case DW_OP_shr:
		push(s, b < 64 ? a >> b : 0);
		return true;
	case DW_OP_shra:
		push(s, (uint64_t)((int64_t)a >> (b < 64 ? b : 63)));
		return true;
	case DW_OP_eq:
		push(s, a == b);
		return true;
	case DW_OP_ne:
		push(s, a != b);
		return true;
	case DW_OP_ge:
		push(s, (int64_t)a >= (int64_t)b);
		return true;
	case DW_OP_gt:
		push(s, (int64_t)a > (int64_t)b);
		return true;
	case DW_OP_le:
		push(s, (int64_t)a <= (int64_t)b);
		return true;
	case DW_OP_lt:
		push(s, (int64_t)a < (int64_t)b);
		return true;
	}
	return false;
}

static bool run_one(const struct machine_state *state, struct stack *s, const Dwarf_Op *op)
{
	uint64_t a;

	if (op->atom >= DW_OP_lit0 && op->atom <= DW_OP_lit31) {
		push(s, op->atom - DW_OP_lit0);
		return true;
	}
	if (op->atom >= DW_OP_breg0 && op->atom <= DW_OP_breg31) {
		push(s, reg(state, op->atom - DW_OP_breg0, s) + op->number);
		return true;
	}
	switch (op->atom) {
	case DW_OP_addr:
	case DW_OP_const1u:
	case DW_OP_const1s:
	case DW_OP_const2u:
	case DW_OP_const2s:
	case DW_OP_const4u:
	case DW_OP_const4s:
	case DW_OP_const8u:
	case DW_OP_const8s:
	case DW_OP_constu:
	case DW_OP_consts:
		push(s, op->number);
		return true;
	case DW_OP_bregx:
		push(s, reg(state, op->number, s) + op->number2);
		return true;
	case DW_OP_call_frame_cfa:
		push(s, state->cfa);
		return true;
	case DW_OP_deref:
		push(s, machine_word(state, pop(s)));
		return true;
	case DW_OP_plus_uconst:
		push(s, pop(s) + op->number);
		return true;
	case DW_OP_dup:
		a = pop(s);
		push(s, a);
		push(s, a);
		return true;
	case DW_OP_drop:
		pop(s);
		return true;
	case DW_OP_neg:
		push(s, -pop(s));
		return true;
	case DW_OP_not:
		push(s, ~pop(s));
		return true;
	case DW_OP_nop:
		return true;
	}
	return run_binary(s, op->atom);
}

bool location_evaluate(const struct machine_state *state, const Dwarf_Op *ops, size_t count,
	uint64_t *value)
{
	struct stack s = { .depth = 0 };

	if (count == 0 || count > STEPS_MAX)
		return false;
	/* No compiler has been seen to emit branches here; they would be reported. */
	for (size_t i = 0; i < count; i++)
		if (!run_one(state, &s, &ops[i]) || s.failed)
			return false;
	*value = pop(&s);
	return !s.failed;
}

bool location_read(const struct machine_state *state, const Dwarf_Op *ops, size_t count,
	uint64_t *value)
{
	struct stack s = { .depth = 0 };
	uint64_t address;

	if (count == 1 && ops->atom >= DW_OP_reg0 && ops->atom <= DW_OP_reg31)
		*value = reg(state, ops->atom - DW_OP_reg0, &s);
	else if (count == 1 && ops->atom == DW_OP_regx)
		*value = reg(state, ops->number, &s);
	else if (count > 0 && ops[count - 1].atom == DW_OP_stack_value)
		return location_evaluate(state, ops, count - 1, value);
	else if (location_evaluate(state, ops, count, &address))
		*value = machine_word(state, address);
	else
		return false;
	return !s.failed;
}
