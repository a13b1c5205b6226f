#include "agent/cfi.h"

#include <string.h>

#include "agent/cfi_expression.h"
#include "base/bytes.h"

/* Pointer encodings: LSB 5.0 Core, 10.5.1. */
#define PE_OMIT 0xff
#define PE_FORMAT 0x0f
#define PE_BASE 0x70
#define PE_INDIRECT 0x80
#define PE_PCREL 0x10
#define PE_DATAREL 0x30
#define PE_ALIGNED 0x50
#define PE_DATAREL_SDATA4 0x3b

#define INSTRUCTIONS_MAX 100000 /* of one FDE; the longest seen, in rustc, has 20,444 */
#define WALK_MAX 100000 /* FDEs looked at where there is no search table */
#define EMPTY_MAX 16 /* FDEs without code, one behind the other */

/* Registers a callee hands back as it found them: rbx, rbp, r12-r15 (psABI 3.2.1). */
#define CALLEE_SAVED (1u << 3 | 1u << 6 | 1u << 12 | 1u << 13 | 1u << 14 | 1u << 15)

/* --- reading the tables --- */

static struct bytes bytes_at(const struct cfi_table *table, uint64_t vaddr)
{
	uint64_t offset = vaddr - table->vaddr;

	if (offset > table->size)
		return (struct bytes){ .broken = true };
	return bytes_over(table->data + offset, table->size - offset);
}

static uint64_t vaddr_of(const struct cfi_table *table, const struct bytes *b)
{
	return table->vaddr + (uint64_t)(b->at - table->data);
}

static uint64_t read_value(struct bytes *b, uint8_t format)
{
	switch (format & PE_FORMAT) {
	case 0x00: /* absptr */
	case 0x04: /* udata8 */
	case 0x0c: /* sdata8 */
		return bytes_u64(b);
	case 0x01:
		return bytes_uleb128(b);
	case 0x02:
		return bytes_u16(b);
	case 0x03:
		return bytes_u32(b);
	case 0x09:
		return (uint64_t)bytes_sleb128(b);
	case 0x0a:
		return (uint64_t)(int64_t)(int16_t)bytes_u16(b);
	case 0x0b:
		return (uint64_t)(int64_t)(int32_t)bytes_u32(b);
	}
	bytes_break(b);
	return 0;
}

/* An encoded pointer as a vaddr. */
static uint64_t read_pointer(const struct cfi_table *table, struct bytes *b, uint8_t encoding)
{
	uint64_t here = vaddr_of(table, b);
	uint64_t value;

	if (encoding == PE_ALIGNED) {
		bytes_skip(b, -here & 7);
		return bytes_u64(b) - table->bias;
	}
	value = read_value(b, encoding);
	switch (encoding & PE_BASE) {
	case 0:
		return value - table->bias;
	case PE_PCREL:
		return value + here;
	case PE_DATAREL:
		return value + table->header_vaddr;
	}
	bytes_break(b);
	return 0;
}

bool cfi_table_open(struct cfi_table *table)
{
	struct bytes b = bytes_at(table, table->header_vaddr);
	uint8_t version = bytes_u8(&b);
	uint8_t frame_encoding = bytes_u8(&b);
	uint8_t count_encoding = bytes_u8(&b);
	uint8_t search_encoding = bytes_u8(&b);
	uint64_t count;

	table->search_count = 0;
	table->frame_vaddr = read_pointer(table, &b, frame_encoding);
	if (!bytes_ok(&b) || version != 1 || frame_encoding == PE_OMIT)
		return false;
	if (count_encoding == PE_OMIT || search_encoding != PE_DATAREL_SDATA4)
		return true;
	count = read_value(&b, count_encoding);
	if (!bytes_ok(&b) || count > bytes_left(&b) / 8)
		return false;
	table->search_count = (uint32_t)count;
	table->search_vaddr = vaddr_of(table, &b);
	return true;
}

/* One CIE or FDE: its contents without the length field. */
struct entry {
	struct bytes body; /* behind the id field */
	uint64_t id_vaddr; /* where the CIE pointer or id is */
	uint64_t id; /* 0: a CIE; else the distance back from ID_VADDR to the FDE's CIE */
	uint64_t next_vaddr;
};

/* False at the terminator and at what does not fit. */
static bool read_entry(const struct cfi_table *table, uint64_t vaddr, struct entry *entry)
{
	struct bytes b = bytes_at(table, vaddr);
	uint64_t length = bytes_u32(&b);
	const void *start;

	if (length == 0xffffffff)
		length = bytes_u64(&b);
	entry->id_vaddr = bytes_ok(&b) ? vaddr_of(table, &b) : 0;
	start = bytes_take(&b, length);
	if (!start || length < 4)
		return false;
	entry->next_vaddr = vaddr_of(table, &b);
	entry->body = bytes_over(start, length);
	entry->id = bytes_u32(&entry->body);
	return true;
}

struct cie {
	uint64_t code_align;
	int64_t data_align;
	uint64_t ra_register;
	uint8_t pointer_encoding;
	bool has_augmentation_data, is_signal_frame;
	struct bytes instructions;
};

static bool read_augmentation(const struct cfi_table *table, struct bytes *b,
	const char *augmentation, struct cie *cie)
{
	struct bytes data;
	uint64_t size;
	const void *start;

	if (augmentation[0] == '\0')
		return true;
	if (augmentation[0] != 'z')
		return false; /* without its size nothing behind it can be found */
	size = bytes_uleb128(b);
	start = bytes_take(b, size);
	if (!start)
		return false;
	data = bytes_over(start, size);
	cie->has_augmentation_data = true;
	for (const char *c = augmentation + 1; *c; c++) {
		uint8_t encoding;

		switch (*c) {
		case 'R':
			cie->pointer_encoding = bytes_u8(&data);
			break;
		case 'P':
			encoding = bytes_u8(&data);
			read_pointer(table, &data, encoding & (uint8_t)~PE_INDIRECT);
			break;
		case 'L':
			bytes_u8(&data);
			break;
		case 'S':
			cie->is_signal_frame = true;
			break;
		case 'B': /* aarch64: signed with the B key */
			break;
		default:
			return true; /* the rest is unknown, but its size is known */
		}
	}
	return bytes_ok(&data);
}

static bool read_cie(const struct cfi_table *table, uint64_t vaddr, struct cie *cie)
{
	struct entry entry;
	struct bytes *b = &entry.body;
	const char *augmentation;
	uint8_t version;

	if (!read_entry(table, vaddr, &entry) || entry.id != 0)
		return false;
	*cie = (struct cie){ .pointer_encoding = 0 };
	version = bytes_u8(b);
	augmentation = bytes_string(b);
	if (!augmentation || (version != 1 && version != 3 && version != 4))
		return false;
	if (version == 4 && (bytes_u8(b) != 8 || bytes_u8(b) != 0))
		return false; /* address size, segment selector size */
	cie->code_align = bytes_uleb128(b);
	cie->data_align = bytes_sleb128(b);
	cie->ra_register = version == 1 ? bytes_u8(b) : bytes_uleb128(b);
	if (!read_augmentation(table, b, augmentation, cie) || !bytes_ok(b))
		return false;
	cie->instructions = *b;
	return cie->ra_register == CFI_RA;
}

struct fde {
	struct cie cie;
	uint64_t start, end;
	uint64_t next_vaddr; /* of what is behind it in .eh_frame */
	struct bytes instructions;
};

static bool read_fde(const struct cfi_table *table, uint64_t vaddr, struct fde *fde)
{
	struct entry entry;
	struct bytes *b = &entry.body;

	if (!read_entry(table, vaddr, &entry) || entry.id == 0 ||
		!read_cie(table, entry.id_vaddr - entry.id, &fde->cie))
		return false;
	fde->start = read_pointer(table, b, fde->cie.pointer_encoding);
	fde->end = fde->start + read_value(b, fde->cie.pointer_encoding);
	if (fde->cie.has_augmentation_data)
		bytes_skip(b, bytes_uleb128(b));
	fde->next_vaddr = entry.next_vaddr;
	fde->instructions = *b;
	return bytes_ok(b);
}

static uint32_t search_word(const struct cfi_table *table, uint64_t index)
{
	uint32_t word;

	memcpy(&word, table->data + (table->search_vaddr - table->vaddr) + 4 * index, sizeof(word));
	return word;
}

/* How many functions of the search table start at or before VADDR. */
static uint32_t search(const struct cfi_table *table, uint64_t vaddr)
{
	const int64_t wanted = (int64_t)(vaddr - table->header_vaddr);
	uint32_t low = 0, high = table->search_count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if ((int32_t)search_word(table, 2 * (uint64_t)middle) <= wanted)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* What the search table says of function INDEX: its start, or (1) its FDE. */
static uint64_t search_vaddr(const struct cfi_table *table, uint64_t index, uint32_t which)
{
	return table->header_vaddr +
		(uint64_t)(int64_t)(int32_t)search_word(table, 2 * index + which);
}

static bool walk(const struct cfi_table *table, uint64_t vaddr, struct fde *fde)
{
	uint64_t at = table->frame_vaddr;
	struct entry entry;

	for (int i = 0; i < WALK_MAX && read_entry(table, at, &entry); i++) {
		if (entry.id != 0 && read_fde(table, at, fde) && vaddr >= fde->start &&
			vaddr < fde->end)
			return true;
		at = entry.next_vaddr;
	}
	return false;
}

static bool find_fde(const struct cfi_table *table, uint64_t vaddr, struct fde *fde)
{
	uint32_t count;

	if (table->search_count == 0)
		return walk(table, vaddr, fde);
	count = search(table, vaddr);
	if (count == 0 || !read_fde(table, search_vaddr(table, count - 1, 1), fde))
		return false;
	/* Of a function without code and one behind it at the same place lld has the first in the
	 * table, without the second (seen in libLLVM). */
	for (int i = 0; i < EMPTY_MAX && fde->start == fde->end; i++)
		if (!read_fde(table, fde->next_vaddr, fde))
			return false;
	return vaddr >= fde->start && vaddr < fde->end;
}

void cfi_find_gap(const struct cfi_table *table, uint64_t vaddr, uint64_t *low, uint64_t *high)
{
	struct fde fde;
	uint32_t count;

	*low = 0;
	*high = UINT64_MAX;
	if (!table->data || table->search_count == 0)
		return;
	count = search(table, vaddr);
	if (count > 0 && read_fde(table, search_vaddr(table, count - 1, 1), &fde))
		*low = fde.end;
	if (count < table->search_count)
		*high = search_vaddr(table, count, 0);
}

/* --- running the instructions --- */

struct run {
	const struct cfi_table *table;
	const struct cie *cie;
	struct cfi_machine *machine;
	uint64_t location; /* vaddr the row under construction is for */
	uint64_t wanted;
	bool past; /* the next row starts beyond WANTED: done */
};

static void advance(struct run *run, uint64_t delta)
{
	uint64_t next = run->location + delta * run->cie->code_align;

	if (next > run->wanted || next < run->location) {
		run->machine->row_end = next;
		run->past = true;
		return;
	}
	run->location = next;
	run->machine->row_start = next;
}

/* A factored offset in bytes; one that no rule can hold when it overflows. */
static int64_t scaled(const struct run *run, int64_t factored)
{
	int64_t offset;

	return __builtin_mul_overflow(factored, run->cie->data_align, &offset) ? INT64_MAX : offset;
}

static bool set_rule(struct run *run, uint64_t reg, enum cfi_rule_kind kind, int64_t value)
{
	if (value != (int32_t)value)
		return false;
	if (reg < CFI_REGISTERS) /* the others (xmm, x87, ...) decide nothing here */
		run->machine->row.rules[reg] =
			(struct cfi_rule){ .kind = (uint8_t)kind, .value = (int32_t)value };
	return true;
}

static bool restore_rule(struct run *run, uint64_t reg)
{
	if (reg < CFI_REGISTERS)
		run->machine->row.rules[reg] = run->machine->initial.rules[reg];
	return true;
}

static bool set_cfa(struct run *run, uint64_t reg, int64_t offset)
{
	if (reg >= CFI_RA || offset != (int32_t)offset)
		return false;
	run->machine->row.cfa_register = (uint8_t)reg;
	run->machine->row.cfa_offset = (int32_t)offset;
	run->machine->row.cfa =
		(struct cfi_rule){ .kind = CFI_RULE_VAL_OFFSET, .value = (int32_t)offset };
	return true;
}

/* Behind an expression DWARF allows neither this nor def_cfa_register alone, but libgcrypt's
 * assembler has the latter.  As libgcc reads them: the expression stays, but for def_cfa_register,
 * which goes back to the offset there was. */
static bool set_cfa_offset(struct run *run, int64_t offset)
{
	if (run->machine->row.cfa.kind != CFI_RULE_VAL_EXPRESSION)
		return set_cfa(run, run->machine->row.cfa_register, offset);
	if (offset != (int32_t)offset)
		return false;
	run->machine->row.cfa_offset = (int32_t)offset;
	return true;
}

static bool read_expression(
	struct run *run, struct bytes *b, enum cfi_rule_kind kind, struct cfi_rule *rule)
{
	uint64_t length = bytes_uleb128(b);
	const uint8_t *start = bytes_take(b, length);

	if (!start || length > UINT16_MAX || start - run->table->data > INT32_MAX)
		return false;
	*rule = (struct cfi_rule){ .kind = (uint8_t)kind,
		.length = (uint16_t)length,
		.value = (int32_t)(start - run->table->data) };
	return true;
}

static bool set_expression(struct run *run, struct bytes *b, enum cfi_rule_kind kind)
{
	uint64_t reg = bytes_uleb128(b);
	struct cfi_rule ignored;

	return read_expression(
		run, b, kind, reg < CFI_REGISTERS ? &run->machine->row.rules[reg] : &ignored);
}

static bool remember(struct cfi_machine *m)
{
	if (m->remembered_count == CFI_REMEMBER_MAX)
		return false;
	m->remembered[m->remembered_count++] = m->row;
	return true;
}

static bool recall(struct cfi_machine *m)
{
	if (m->remembered_count == 0)
		return false;
	m->row = m->remembered[--m->remembered_count];
	return true;
}

/* DWARF 5 table 7.29; the GNU ones are in LSB 5.0 Core 10.6.1.2. */
static bool run_extended(struct run *run, struct bytes *b, uint8_t opcode)
{
	struct cfi_row *row = &run->machine->row;
	uint64_t reg;

	switch (opcode) {
	case 0x00: /* nop */
		return true;
	case 0x01: /* set_loc */
		reg = read_pointer(run->table, b, run->cie->pointer_encoding);
		if (reg > run->wanted) {
			run->machine->row_end = reg;
			run->past = true;
		} else {
			run->location = run->machine->row_start = reg;
		}
		return true;
	case 0x02: /* advance_loc1 */
		advance(run, bytes_u8(b));
		return true;
	case 0x03: /* advance_loc2 */
		advance(run, bytes_u16(b));
		return true;
	case 0x04: /* advance_loc4 */
		advance(run, bytes_u32(b));
		return true;
	case 0x05: /* offset_extended */
		reg = bytes_uleb128(b);
		return set_rule(
			run, reg, CFI_RULE_OFFSET, scaled(run, (int64_t)bytes_uleb128(b)));
	case 0x06: /* restore_extended */
		return restore_rule(run, bytes_uleb128(b));
	case 0x07: /* undefined */
		return set_rule(run, bytes_uleb128(b), CFI_RULE_UNDEFINED, 0);
	case 0x08: /* same_value */
		return set_rule(run, bytes_uleb128(b), CFI_RULE_SAME, 0);
	case 0x09: /* register */
		reg = bytes_uleb128(b);
		return set_rule(run, reg, CFI_RULE_REGISTER, (int64_t)bytes_uleb128(b));
	case 0x0a:
		return remember(run->machine);
	case 0x0b:
		return recall(run->machine);
	case 0x0c: /* def_cfa */
		reg = bytes_uleb128(b);
		return set_cfa(run, reg, (int64_t)bytes_uleb128(b));
	case 0x0d: /* def_cfa_register */
		return set_cfa(run, bytes_uleb128(b), row->cfa_offset);
	case 0x0e: /* def_cfa_offset */
		return set_cfa_offset(run, (int64_t)bytes_uleb128(b));
	case 0x0f: /* def_cfa_expression */
		return read_expression(run, b, CFI_RULE_VAL_EXPRESSION, &row->cfa);
	case 0x10: /* expression */
		return set_expression(run, b, CFI_RULE_EXPRESSION);
	case 0x11: /* offset_extended_sf */
		reg = bytes_uleb128(b);
		return set_rule(run, reg, CFI_RULE_OFFSET, scaled(run, bytes_sleb128(b)));
	case 0x12: /* def_cfa_sf */
		reg = bytes_uleb128(b);
		return set_cfa(run, reg, scaled(run, bytes_sleb128(b)));
	case 0x13: /* def_cfa_offset_sf */
		return set_cfa_offset(run, scaled(run, bytes_sleb128(b)));
	case 0x14: /* val_offset */
		reg = bytes_uleb128(b);
		return set_rule(
			run, reg, CFI_RULE_VAL_OFFSET, scaled(run, (int64_t)bytes_uleb128(b)));
	case 0x15: /* val_offset_sf */
		reg = bytes_uleb128(b);
		return set_rule(run, reg, CFI_RULE_VAL_OFFSET, scaled(run, bytes_sleb128(b)));
	case 0x16:
		return set_expression(run, b, CFI_RULE_VAL_EXPRESSION);
	case 0x2e: /* GNU_args_size: says nothing about where things are */
		bytes_uleb128(b);
		return true;
	case 0x2f: /* GNU_negative_offset_extended */
		reg = bytes_uleb128(b);
		return set_rule(
			run, reg, CFI_RULE_OFFSET, -scaled(run, (int64_t)bytes_uleb128(b)));
	}
	return false;
}

static bool run_instructions(struct run *run, struct bytes b)
{
	for (int i = 0; bytes_left(&b) > 0 && !run->past; i++) {
		uint8_t opcode = bytes_u8(&b);
		uint8_t operand = opcode & 0x3f;
		bool ok = true;

		switch (opcode & 0xc0) {
		case 0x40:
			advance(run, operand);
			break;
		case 0x80:
			ok = set_rule(run, operand, CFI_RULE_OFFSET,
				scaled(run, (int64_t)bytes_uleb128(&b)));
			break;
		case 0xc0:
			ok = restore_rule(run, operand);
			break;
		default:
			ok = run_extended(run, &b, opcode);
		}
		if (!ok || !bytes_ok(&b) || i == INSTRUCTIONS_MAX)
			return false;
	}
	return true;
}

bool cfi_find_row(const struct cfi_table *table, uint64_t vaddr, struct cfi_machine *machine)
{
	struct fde fde;
	struct run run = { .table = table, .machine = machine, .cie = &fde.cie };

	if (!table->data || !find_fde(table, vaddr, &fde))
		return false;
	machine->is_signal_frame = fde.cie.is_signal_frame;
	machine->start = machine->row_start = fde.start;
	machine->end = machine->row_end = fde.end;
	machine->remembered_count = 0;
	memset(&machine->row, 0, sizeof(machine->row));
	/* The CIE's own instructions hold for the whole FDE and do not advance. */
	run.location = 0;
	run.wanted = UINT64_MAX;
	if (!run_instructions(&run, fde.cie.instructions))
		return false;
	machine->initial = machine->row;
	run.location = machine->row_start = fde.start;
	machine->row_end = fde.end;
	run.wanted = vaddr;
	run.past = false;
	return run_instructions(&run, fde.instructions) &&
		machine->row.cfa.kind != CFI_RULE_UNSET;
}

/* --- a step --- */

static enum cfi_step find_cfa(struct cfi_evaluation *e, const struct cfi_row *row, uint64_t *cfa)
{
	if (row->cfa.kind == CFI_RULE_VAL_EXPRESSION)
		return cfi_evaluate(e, &row->cfa, false, 0, cfa);
	e->failure = CFI_STEPPED;
	*cfa = cfi_register_value(e, row->cfa_register) + (uint64_t)(int64_t)row->cfa.value;
	return e->failure;
}

/* The caller's value of REG: *KNOWN is false when the callee has lost it. */
static enum cfi_step find_register(struct cfi_evaluation *e, const struct cfi_row *row,
	uint32_t reg, uint64_t cfa, uint64_t *value, bool *known)
{
	const struct cfi_rule *rule = &row->rules[reg];
	const uint64_t at = cfa + (uint64_t)(int64_t)rule->value;
	enum cfi_step step;
	uint64_t address;

	*known = true;
	switch (rule->kind) {
	case CFI_RULE_UNSET:
		if (reg == CFI_RSP) {
			*value = cfa; /* psABI 6.2.5: the CFA is rsp before the call */
			return CFI_STEPPED;
		}
		*known = (CALLEE_SAVED >> reg & 1) && (e->registers->valid >> reg & 1);
		*value = e->registers->value[reg];
		return CFI_STEPPED;
	case CFI_RULE_SAME:
		*known = e->registers->valid >> reg & 1;
		*value = e->registers->value[reg];
		return CFI_STEPPED;
	case CFI_RULE_OFFSET:
		return e->read(e->context, at, value) ? CFI_STEPPED : CFI_FAILED;
	case CFI_RULE_VAL_OFFSET:
		*value = at;
		return CFI_STEPPED;
	case CFI_RULE_REGISTER:
		e->failure = CFI_STEPPED;
		*value = cfi_register_value(e, (uint32_t)rule->value);
		return e->failure;
	case CFI_RULE_EXPRESSION:
		step = cfi_evaluate(e, rule, true, cfa, &address);
		if (step != CFI_STEPPED)
			return step;
		return e->read(e->context, address, value) ? CFI_STEPPED : CFI_FAILED;
	case CFI_RULE_VAL_EXPRESSION:
		return cfi_evaluate(e, rule, true, cfa, value);
	}
	*known = false;
	return CFI_STEPPED;
}

enum cfi_step cfi_step(const struct cfi_table *table, const struct cfi_row *row,
	struct cfi_registers *registers, cfi_read_word *read, void *context, uint64_t *cfa_out)
{
	struct cfi_evaluation e = {
		.table = table, .registers = registers, .read = read, .context = context };
	struct cfi_registers caller = { .valid = 0 };
	enum cfi_step step;
	uint64_t cfa;

	if (row->rules[CFI_RA].kind == CFI_RULE_UNDEFINED)
		return CFI_OUTERMOST;
	step = find_cfa(&e, row, &cfa);
	if (step != CFI_STEPPED)
		return step;
	for (uint32_t reg = 0; reg < CFI_REGISTERS; reg++) {
		bool known;

		step = find_register(&e, row, reg, cfa, &caller.value[reg], &known);
		if (step == CFI_STEPPED && known)
			caller.valid |= 1u << reg;
		else if (reg == CFI_RA || reg == CFI_RSP)
			return step == CFI_STEPPED ? CFI_FAILED : step;
		/* Another register that cannot be had is only lost. */
	}
	*registers = caller;
	if (cfa_out)
		*cfa_out = cfa;
	return CFI_STEPPED;
}
