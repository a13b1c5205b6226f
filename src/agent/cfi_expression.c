#include "agent/cfi_expression.h"

#include "base/bytes.h"

#define EXPRESSION_STEPS_MAX 256

static void push(struct cfi_evaluation *e, uint64_t value)
{
	if (e->depth == CFI_EXPRESSION_STACK)
		e->failure = CFI_FAILED;
	else
		e->stack[e->depth++] = value;
}

static uint64_t pop(struct cfi_evaluation *e)
{
	if (e->depth == 0) {
		e->failure = CFI_FAILED;
		return 0;
	}
	return e->stack[--e->depth];
}

static uint64_t peek(struct cfi_evaluation *e, uint64_t below_top)
{
	if (below_top >= e->depth) {
		e->failure = CFI_FAILED;
		return 0;
	}
	return e->stack[e->depth - 1 - below_top];
}

uint64_t cfi_register_value(struct cfi_evaluation *e, uint64_t reg)
{
	if (reg >= CFI_REGISTERS) {
		e->failure = CFI_FAILED;
		return 0;
	}
	if (!(e->registers->valid >> reg & 1))
		e->failure = CFI_NEEDS_REGISTER;
	return e->registers->value[reg];
}

static void push_memory(struct cfi_evaluation *e, uint64_t address, uint8_t size)
{
	uint64_t word = 0;

	if (size == 0 || size > 8 || !e->read(e->context, address, &word)) {
		e->failure = CFI_FAILED;
		return;
	}
	push(e, size == 8 ? word : word & (((uint64_t)1 << 8 * size) - 1));
}

static void run_binary(struct cfi_evaluation *e, uint8_t opcode)
{
	uint64_t right = pop(e);
	uint64_t left = pop(e);
	int64_t signed_left = (int64_t)left, signed_right = (int64_t)right;
	uint64_t result = 0;

	switch (opcode) {
	case 0x1a:
		result = left & right;
		break;
	case 0x1b: /* div: signed */
		if (right == 0 || (signed_right == -1 && signed_left == INT64_MIN))
			e->failure = CFI_FAILED;
		else
			result = (uint64_t)(signed_left / signed_right);
		break;
	case 0x1c:
		result = left - right;
		break;
	case 0x1d: /* mod: unsigned */
		if (right == 0)
			e->failure = CFI_FAILED;
		else
			result = left % right;
		break;
	case 0x1e:
		result = left * right;
		break;
	case 0x21:
		result = left | right;
		break;
	case 0x22:
		result = left + right;
		break;
	case 0x24:
		result = right < 64 ? left << right : 0;
		break;
	case 0x25:
		result = right < 64 ? left >> right : 0;
		break;
	case 0x26:
		result = (uint64_t)(signed_left >> (right < 63 ? right : 63));
		break;
	case 0x27:
		result = left ^ right;
		break;
	case 0x29:
		result = signed_left == signed_right;
		break;
	case 0x2a:
		result = signed_left >= signed_right;
		break;
	case 0x2b:
		result = signed_left > signed_right;
		break;
	case 0x2c:
		result = signed_left <= signed_right;
		break;
	case 0x2d:
		result = signed_left < signed_right;
		break;
	case 0x2e:
		result = signed_left != signed_right;
		break;
	}
	push(e, result);
}

/* Constants: DW_OP_addr and DW_OP_const1u to consts. */
static uint64_t read_constant(struct cfi_evaluation *e, struct bytes *b, uint8_t opcode)
{
	switch (opcode) {
	case 0x03:
	case 0x0e:
	case 0x0f:
		return bytes_u64(b);
	case 0x08:
		return bytes_u8(b);
	case 0x09:
		return (uint64_t)(int64_t)(int8_t)bytes_u8(b);
	case 0x0a:
		return bytes_u16(b);
	case 0x0b:
		return (uint64_t)(int64_t)(int16_t)bytes_u16(b);
	case 0x0c:
		return bytes_u32(b);
	case 0x0d:
		return (uint64_t)(int64_t)(int32_t)bytes_u32(b);
	case 0x10:
		return bytes_uleb128(b);
	case 0x11:
		return (uint64_t)bytes_sleb128(b);
	}
	e->failure = CFI_FAILED;
	return 0;
}

static void jump(struct cfi_evaluation *e, struct bytes *b, struct bytes whole, bool taken)
{
	int16_t distance = (int16_t)bytes_u16(b);
	ptrdiff_t target = b->at - whole.at + distance;

	if (!bytes_ok(b) || target < 0 || target > whole.end - whole.at)
		e->failure = CFI_FAILED;
	else if (taken)
		b->at = whole.at + target;
}

/* One operation: DWARF 5 table 7.9. */
static void run_operation(struct cfi_evaluation *e, struct bytes *b, struct bytes whole)
{
	uint8_t opcode = bytes_u8(b);
	uint64_t a, c, d;

	if (opcode >= 0x30 && opcode <= 0x4f) { /* lit0-31 */
		push(e, opcode - 0x30u);
		return;
	}
	if (opcode >= 0x70 && opcode <= 0x8f) { /* breg0-31 */
		push(e, cfi_register_value(e, opcode - 0x70u) + (uint64_t)bytes_sleb128(b));
		return;
	}
	switch (opcode) {
	case 0x06: /* deref */
		push_memory(e, pop(e), 8);
		break;
	case 0x94: /* deref_size */
		a = bytes_u8(b);
		push_memory(e, pop(e), (uint8_t)a);
		break;
	case 0x12: /* dup */
		push(e, peek(e, 0));
		break;
	case 0x13: /* drop */
		pop(e);
		break;
	case 0x14: /* over */
		push(e, peek(e, 1));
		break;
	case 0x15: /* pick */
		push(e, peek(e, bytes_u8(b)));
		break;
	case 0x16: /* swap */
		a = pop(e);
		c = pop(e);
		push(e, a);
		push(e, c);
		break;
	case 0x17: /* rot */
		a = pop(e);
		c = pop(e);
		d = pop(e);
		push(e, a);
		push(e, d);
		push(e, c);
		break;
	case 0x19: /* abs */
		a = pop(e);
		push(e, (int64_t)a < 0 ? -a : a);
		break;
	case 0x1f: /* neg */
		push(e, -pop(e));
		break;
	case 0x20: /* not */
		push(e, ~pop(e));
		break;
	case 0x23: /* plus_uconst */
		a = pop(e);
		push(e, a + bytes_uleb128(b));
		break;
	case 0x28: /* bra */
		a = pop(e);
		jump(e, b, whole, a != 0);
		break;
	case 0x2f: /* skip */
		jump(e, b, whole, true);
		break;
	case 0x92: /* bregx */
		a = bytes_uleb128(b);
		push(e, cfi_register_value(e, a) + (uint64_t)bytes_sleb128(b));
		break;
	case 0x96: /* nop */
		break;
	default:
		if ((opcode >= 0x1a && opcode <= 0x27) || (opcode >= 0x29 && opcode <= 0x2e))
			run_binary(e, opcode);
		else
			push(e, read_constant(e, b, opcode));
	}
}

enum cfi_step cfi_evaluate(struct cfi_evaluation *e, const struct cfi_rule *rule, bool push_cfa,
	uint64_t cfa, uint64_t *out)
{
	const struct bytes whole = bytes_over(e->table->data + rule->value, rule->length);
	struct bytes b = whole;

	e->depth = 0;
	e->failure = CFI_STEPPED;
	if (push_cfa)
		push(e, cfa);
	for (int i = 0; bytes_left(&b) > 0; i++) {
		run_operation(e, &b, whole);
		if (!bytes_ok(&b) || i == EXPRESSION_STEPS_MAX)
			return CFI_FAILED;
		if (e->failure != CFI_STEPPED)
			return e->failure;
	}
	*out = pop(e);
	return e->failure;
}
