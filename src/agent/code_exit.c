#include "agent/code_exit.h"

#define RSP 4
#define RBP 5

#define OFFSET_MAX (1 << 19) /* bytes of a frame */

enum step {
	GOES_ON,
	AT_EXIT,
	GETS_LOST,
};

/* What a call has pushed is not below rsp. */
static bool is_plausible(const struct code_exit_state *s)
{
	return s->base != CODE_EXIT_ALIGNED && (s->base != CODE_EXIT_RSP || s->offset >= 0);
}

static bool is_in(const struct code_exit_way *w, uint64_t pc)
{
	return pc >= w->low && pc < w->high;
}

/* To a place where it has not been yet. */
static enum step jump(struct code_exit_way *w, uint64_t target)
{
	if (!is_in(w, target))
		return AT_EXIT;
	for (uint32_t n = 0; n < w->jump_count; n++)
		if (w->jumps[n] == target)
			return GETS_LOST;
	if (w->jump_count == CODE_EXIT_JUMPS_MAX)
		return GETS_LOST;
	w->jumps[w->jump_count++] = target;
	w->now.pc = target;
	return GOES_ON;
}

/* The jump is not made at first: a loop's way leads out of it. */
static enum step fork_at(struct code_exit_way *w, uint64_t target)
{
	if (w->fork_count < CODE_EXIT_FORKS_MAX && is_in(w, target)) {
		w->forks[w->fork_count] = w->now;
		w->forks[w->fork_count++].pc = target;
	}
	return GOES_ON;
}

static enum step move_rsp(struct code_exit_way *w, int64_t by)
{
	const int64_t offset = w->now.offset + by;

	if (offset > OFFSET_MAX || offset < -OFFSET_MAX)
		return GETS_LOST;
	w->now.offset = (int32_t)offset;
	return GOES_ON;
}

/* rsp is rbp + DISPLACEMENT from here on. */
static enum step take_rbp(struct code_exit_way *w, int32_t displacement)
{
	if (w->now.rbp_is_rsp) {
		w->now.base = CODE_EXIT_RSP;
		return move_rsp(w, (int64_t)w->now.rbp_value + displacement - w->now.offset);
	}
	if (w->now.changes_rbp || displacement > OFFSET_MAX || displacement < -OFFSET_MAX)
		return GETS_LOST;
	w->now.base = CODE_EXIT_RBP;
	w->now.offset = displacement;
	return GOES_ON;
}

/* Where rsp + DISPLACEMENT is, from BASE.  False: too far away for a frame. */
static bool find_place(const struct code_exit_way *w, int32_t displacement, int32_t *at)
{
	if (displacement > OFFSET_MAX || displacement < -OFFSET_MAX)
		return false;
	*at = w->now.offset + displacement;
	return true;
}

/* rbp is read from the word at rsp + DISPLACEMENT, by POP or else by MOV: that may be a
 * variable, but the last one of the way is the caller's. */
static enum step restore_rbp(struct code_exit_way *w, int32_t displacement, bool by_pop)
{
	int32_t at;

	if (!find_place(w, displacement, &at))
		return GETS_LOST;
	w->now.changes_rbp = true;
	w->now.rbp_is_rsp = false;
	if (w->now.base == CODE_EXIT_ALIGNED)
		return GOES_ON; /* the way began before: the caller's is still in rbp */
	if (w->now.saves_rbp && w->now.saved.at == at) {
		/* What the way itself has saved is not there yet: it is where it was then. */
		w->now.restores_rbp = w->now.saved.restores_rbp;
		w->now.rbp_at = w->now.saved.rbp_at;
		w->now.has_callers_rbp = true;
	} else {
		w->now.restores_rbp = true;
		w->now.rbp_at = at;
		w->now.has_callers_rbp = by_pop;
	}
	return GOES_ON;
}

/* rbp is written to AT, from BASE. */
static void save_rbp(struct code_exit_way *w, int32_t at)
{
	if (!w->now.has_callers_rbp || w->now.base == CODE_EXIT_ALIGNED)
		return;
	w->now.saves_rbp = true;
	w->now.saved.at = at;
	w->now.saved.restores_rbp = w->now.restores_rbp;
	w->now.saved.rbp_at = w->now.rbp_at;
}

static enum step pop(struct code_exit_way *w, uint8_t reg)
{
	if (reg == RSP || (reg == RBP && restore_rbp(w, 0, true) != GOES_ON))
		return GETS_LOST;
	return move_rsp(w, 8);
}

/* and rsp, -32 or the like. */
static enum step align_rsp(struct code_exit_way *w)
{
	if (w->now.base != CODE_EXIT_RSP)
		return GETS_LOST;
	w->now.base = CODE_EXIT_ALIGNED;
	w->now.offset = w->now.copy_at = 0;
	return GOES_ON;
}

/* mov [rsp + displacement], reg */
static void store(struct code_exit_way *w, uint8_t reg, int32_t displacement)
{
	int32_t at;

	if (!find_place(w, displacement, &at))
		return;
	if (reg == RBP)
		save_rbp(w, at);
	if (w->now.base == CODE_EXIT_ALIGNED && reg == w->now.copy)
		w->now.copy_at = at;
	else
		w->now.stored_at = at;
}

/* mov rsp, [rsp + displacement]: what an aligned frame has kept. */
static enum step take_saved(struct code_exit_way *w, int32_t displacement)
{
	int32_t at;

	if (!find_place(w, displacement, &at))
		return GETS_LOST;
	if (w->now.base == CODE_EXIT_ALIGNED && w->now.copy_at && at == w->now.copy_at) {
		w->now.base = CODE_EXIT_RSP;
		w->now.offset = w->now.copy_value;
		return GOES_ON;
	}
	/* What the way itself has stored is not there yet. */
	if (w->now.base != CODE_EXIT_RSP || w->now.restores_rbp || at > OFFSET_MAX || at < 0 ||
		at == w->now.stored_at)
		return GETS_LOST;
	w->now.saved_at = at;
	w->now.base = CODE_EXIT_SAVED;
	w->now.offset = 0;
	return GOES_ON;
}

/* REG := the register or memory operand, by MOV or LEA. */
static enum step load(struct code_exit_way *w, const struct instruction *i)
{
	const bool is_lea = i->opcode == 0x8d;

	if (!i->is_wide && i->reg == RSP)
		return GETS_LOST;
	if (i->mod == 3)
		return i->reg == RSP && i->rm == RBP ? take_rbp(w, 0) : GETS_LOST;
	if (i->reg == RSP && is_lea && i->base == RBP)
		return take_rbp(w, i->displacement);
	if (i->base != RSP)
		return GETS_LOST;
	if (i->reg == RSP)
		return is_lea ? move_rsp(w, i->displacement) : take_saved(w, i->displacement);
	return is_lea ? GETS_LOST : restore_rbp(w, i->displacement, false);
}

/* Opcodes of one byte that write the register named by reg; by r/m. */
static bool writes_reg(uint8_t opcode)
{
	return (opcode < 0x38 && (opcode & 6) == 2) || opcode == 0x63 || opcode == 0x69 ||
	       opcode == 0x6b || opcode == 0x8b || opcode == 0x8d || opcode == 0x87;
}

static bool writes_rm(const struct instruction *i)
{
	const uint8_t opcode = i->opcode;

	if (i->mod != 3)
		return false;
	return (opcode < 0x38 && (opcode & 6) == 0) || opcode == 0x89 || opcode == 0x87 ||
	       ((opcode == 0x81 || opcode == 0x83) && (i->reg & 7) != 7) || opcode == 0xc7 ||
	       opcode == 0xc1 || opcode == 0xd1 || opcode == 0xd3 ||
	       (opcode == 0xf7 && ((i->reg & 7) == 2 || (i->reg & 7) == 3)) ||
	       (opcode == 0xff && (i->reg & 7) < 2);
}

/* An instruction with ModRM that writes rsp or rbp. */
static enum step change_register(
	struct code_exit_way *w, const struct instruction *i, uint8_t reg)
{
	if (i->opcode == 0x8b || i->opcode == 0x8d) {
		const enum step step = load(w, i);

		if (step != GETS_LOST || reg == RSP)
			return step;
	} else if (i->opcode == 0x89 && i->is_wide && i->rm == RSP && i->reg == RBP) {
		return take_rbp(w, 0);
	} else if ((i->opcode == 0x81 || i->opcode == 0x83) && i->is_wide && reg == RSP) {
		/* ADD, SUB, AND */
		if ((i->reg & 7) == 0)
			return move_rsp(w, i->immediate);
		if ((i->reg & 7) == 5)
			return move_rsp(w, -i->immediate);
		if ((i->reg & 7) == 4)
			return align_rsp(w);
	}
	if (reg == RSP)
		return GETS_LOST;
	/* It is a variable here, or becomes the frame pointer. */
	w->now.changes_rbp = true;
	w->now.has_callers_rbp = false;
	w->now.rbp_is_rsp = w->now.base == CODE_EXIT_RSP && i->is_wide &&
			    ((i->opcode == 0x89 && i->reg == RSP) ||
				    (i->opcode == 0x8b && i->mod == 3 && i->rm == RSP));
	w->now.rbp_value = w->now.offset;
	return GOES_ON;
}

static enum step with_modrm(struct code_exit_way *w, const struct instruction *i)
{
	const uint8_t group = i->reg & 7;

	if (i->opcode == 0x8f) /* POP to memory */
		return i->mod == 3 ? pop(w, i->rm) : move_rsp(w, 8);
	if (i->opcode == 0xff && group == 6)
		return move_rsp(w, -8);
	if (i->opcode == 0x89 && i->is_wide && i->mod != 3 && i->base == RSP)
		store(w, i->reg, i->displacement);
	if (i->opcode == 0x89 && i->is_wide && i->mod == 3 && i->reg == RSP && i->rm != RBP &&
		w->now.base == CODE_EXIT_RSP) {
		w->now.copy = i->rm;
		w->now.copy_value = w->now.offset;
	}
	if (i->opcode == 0xff && (group == 4 || group == 5))
		return GETS_LOST; /* nobody knows where to */
	if (writes_rm(i) && (i->rm == RSP || i->rm == RBP))
		return change_register(w, i, i->rm);
	if (writes_reg(i->opcode) && (i->reg == RSP || i->reg == RBP))
		return change_register(w, i, i->reg);
	return GOES_ON;
}

static enum step of_one_byte(
	struct code_exit_way *w, const struct instruction *i, uint64_t next)
{
	if (i->has_modrm)
		return with_modrm(w, i);
	switch (i->opcode) {
	case 0x50 ... 0x57:
		if (i->rm == RBP)
			save_rbp(w, w->now.offset - 8);
		return move_rsp(w, -8);
	case 0x68:
	case 0x6a:
	case 0x9c:
		return move_rsp(w, -8);
	case 0x58 ... 0x5f:
		return pop(w, i->rm);
	case 0x9d:
		return move_rsp(w, 8);
	case 0xb8 ... 0xbf:
		if (i->rm == RBP)
			w->now.changes_rbp = true, w->now.has_callers_rbp = false;
		return i->rm == RSP ? GETS_LOST : GOES_ON;
	case 0xc9: /* LEAVE */
		return take_rbp(w, 0) == GOES_ON ? pop(w, RBP) : GETS_LOST;
	case 0xc2:
	case 0xc3:
		return AT_EXIT;
	case 0x70 ... 0x7f:
	case 0xe0 ... 0xe3:
		return fork_at(w, next + (uint64_t)i->immediate);
	case 0xe9:
	case 0xeb:
		return jump(w, next + (uint64_t)i->immediate);
	case 0xc8: /* ENTER */
	case 0xca ... 0xcf: /* far returns, traps */
	case 0xf4:
		return GETS_LOST;
	}
	return GOES_ON;
}

static enum step step(struct code_exit_way *w)
{
	const uint64_t pc = w->now.pc;
	struct instruction i;

	if (w->left == 0 || !is_in(w, pc) || !w->is_readable(w->context, pc) ||
		!instruction_read((const uint8_t *)pc, &i))
		return GETS_LOST;
	w->left--;
	w->now.pc = pc + i.size;
	if (i.map == MAP_ONE_BYTE)
		return of_one_byte(w, &i, w->now.pc);
	if (i.map == MAP_0F && (i.opcode & 0xf0) == 0x80)
		return fork_at(w, w->now.pc + (uint64_t)i.immediate);
	if (i.map == MAP_0F && (i.opcode == 0x0b || i.opcode == 0xb9 || i.opcode == 0xff))
		return GETS_LOST; /* UD2 and the like */
	return GOES_ON;
}

bool code_exit_find(struct code_exit_way *w, uint64_t pc, struct code_exit *exit)
{
	enum step last;

	w->now = (struct code_exit_state){ .pc = pc,
		.base = CODE_EXIT_RSP,
		.has_callers_rbp = true,
		.copy = NO_REGISTER,
		.stored_at = -1 };
	w->fork_count = w->jump_count = 0;
	for (;;) {
		while ((last = step(w)) == GOES_ON)
			;
		if (last == AT_EXIT && is_plausible(&w->now))
			break;
		do {
			if (w->left == 0 || w->fork_count == 0)
				return false;
			w->now = w->forks[--w->fork_count];
		} while (jump(w, w->now.pc) != GOES_ON);
	}
	*exit = (struct code_exit){
		.base = w->now.base,
		.offset = w->now.offset,
		.saved_at = w->now.saved_at,
		.restores_rbp = w->now.restores_rbp,
		.rbp_offset = w->now.rbp_at - w->now.offset,
	};
	return true;
}
