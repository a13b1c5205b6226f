#define _GNU_SOURCE
#include <check.h>
#include <dwarf.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "agent/cfi.h"
#include "base/compiler.h"
#include "eh_frame.h"
#include "run_suite.h"

#define LOW(opcode, operand) ((opcode) | (operand))

static struct image image;
static struct cfi_table table;
static struct cfi_machine machine;

static bool find(struct text program, uint64_t vaddr)
{
	make_image(&image, AS_TEXT(USUAL_CIE), program);
	table = table_over(image.bytes, image.size);
	return cfi_table_open(&table) && cfi_find_row(&table, vaddr, &machine);
}

/* --- instructions --- */

/* One instruction, and the rule it leaves for one register. */
static const struct rule_case {
	const char *what;
	struct text program;
	int reg;
	enum cfi_rule_kind kind;
	int32_t value;
} rule_cases[] = {
	{ "nop", TEXT(DW_CFA_nop), CFI_RBP, CFI_RULE_UNSET, 0 },
	{ "offset", TEXT(LOW(DW_CFA_offset, 6), 2), CFI_RBP, CFI_RULE_OFFSET, -16 },
	{ "offset_extended", TEXT(DW_CFA_offset_extended, 6, 2), CFI_RBP, CFI_RULE_OFFSET, -16 },
	{ "offset_extended_sf", TEXT(DW_CFA_offset_extended_sf, 6, 0x7f), CFI_RBP, CFI_RULE_OFFSET,
		8 },
	{ "GNU_negative_offset_extended", TEXT(DW_CFA_GNU_negative_offset_extended, 6, 2), CFI_RBP,
		CFI_RULE_OFFSET, 16 },
	{ "val_offset", TEXT(DW_CFA_val_offset, 6, 2), CFI_RBP, CFI_RULE_VAL_OFFSET, -16 },
	{ "val_offset_sf", TEXT(DW_CFA_val_offset_sf, 6, 0x7f), CFI_RBP, CFI_RULE_VAL_OFFSET, 8 },
	{ "undefined", TEXT(DW_CFA_undefined, 6), CFI_RBP, CFI_RULE_UNDEFINED, 0 },
	{ "same_value", TEXT(DW_CFA_same_value, 6), CFI_RBP, CFI_RULE_SAME, 0 },
	{ "register", TEXT(DW_CFA_register, 6, 12), CFI_RBP, CFI_RULE_REGISTER, 12 },
	{ "restore", TEXT(LOW(DW_CFA_offset, 16), 2, LOW(DW_CFA_restore, 16)), CFI_RA,
		CFI_RULE_OFFSET, -8 },
	{ "restore of what the CIE does not mention",
		TEXT(LOW(DW_CFA_offset, 6), 2, LOW(DW_CFA_restore, 6)), CFI_RBP, CFI_RULE_UNSET,
		0 },
	{ "restore_extended", TEXT(DW_CFA_undefined, 16, DW_CFA_restore_extended, 16), CFI_RA,
		CFI_RULE_OFFSET, -8 },
	{ "a register that decides nothing here", TEXT(LOW(DW_CFA_offset, 33), 2), CFI_RBP,
		CFI_RULE_UNSET, 0 },
	{ "GNU_args_size", TEXT(DW_CFA_GNU_args_size, 32, LOW(DW_CFA_offset, 6), 2), CFI_RBP,
		CFI_RULE_OFFSET, -16 },
};

START_TEST(an_instruction_gives_a_register_its_rule)
{
	const struct rule_case *c = &rule_cases[_i];

	ck_assert_msg(find(c->program, FUNCTION_VADDR), "%s", c->what);
	ck_assert_msg(machine.row.rules[c->reg].kind == c->kind, "%s: kind %d", c->what,
		machine.row.rules[c->reg].kind);
	ck_assert_msg(machine.row.rules[c->reg].value == c->value, "%s: value %d", c->what,
		machine.row.rules[c->reg].value);
}
END_TEST

static const struct cfa_case {
	struct text program;
	int reg;
	int32_t value;
} cfa_cases[] = {
	{ TEXT(DW_CFA_nop), CFI_RSP, 8 },
	{ TEXT(DW_CFA_def_cfa, 10, 16), 10, 16 },
	{ TEXT(DW_CFA_def_cfa_sf, 3, 0x7e), CFI_RBX, 16 },
	{ TEXT(DW_CFA_def_cfa_register, 6), CFI_RBP, 8 },
	{ TEXT(DW_CFA_def_cfa_offset, 0x80, 1), CFI_RSP, 128 },
	{ TEXT(DW_CFA_def_cfa_offset_sf, 0x7c), CFI_RSP, 32 },
	/* libgcrypt's assembler does this; libgcc takes the offset from before. */
	{ TEXT(DW_CFA_def_cfa_expression, 1, DW_OP_lit0, DW_CFA_def_cfa_register, 7), CFI_RSP, 8 },
	{ TEXT(DW_CFA_def_cfa_expression, 1, DW_OP_lit0, DW_CFA_def_cfa_offset, 24,
		  DW_CFA_def_cfa_register, 7),
		CFI_RSP, 24 },
};

START_TEST(the_cfa_is_a_register_and_an_offset)
{
	const struct cfa_case *c = &cfa_cases[_i];

	ck_assert(find(c->program, FUNCTION_VADDR));
	ck_assert_int_eq(machine.row.cfa.kind, CFI_RULE_VAL_OFFSET);
	ck_assert_int_eq(machine.row.cfa_register, c->reg);
	ck_assert_int_eq(machine.row.cfa.value, c->value);
}
END_TEST

START_TEST(a_program_is_run_up_to_the_address_asked_for_and_tells_its_row)
{
	const struct text program = TEXT(LOW(DW_CFA_advance_loc, 1), DW_CFA_def_cfa_offset, 16,
		DW_CFA_advance_loc1, 0x10, DW_CFA_def_cfa_offset, 24, DW_CFA_advance_loc2, 0x20,
		0, DW_CFA_def_cfa_offset, 32, DW_CFA_advance_loc4, 0x40, 0, 0, 0,
		DW_CFA_def_cfa_offset, 40);
	static const struct {
		uint64_t start, end;
		int32_t offset;
	} rows[] = { { 0, 1, 8 }, { 1, 0x11, 16 }, { 0x11, 0x31, 24 }, { 0x31, 0x71, 32 },
		{ 0x71, 0x100, 40 } };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		for (int at_end = 0; at_end < 2; at_end++) {
			ck_assert(find(program, FUNCTION_VADDR +
					(at_end ? rows[i].end - 1 : rows[i].start)));
			ck_assert_int_eq(machine.row.cfa.value, rows[i].offset);
			ck_assert_uint_eq(machine.row_start, FUNCTION_VADDR + rows[i].start);
			ck_assert_uint_eq(machine.row_end, FUNCTION_VADDR + rows[i].end);
			ck_assert_uint_eq(machine.start, FUNCTION_VADDR);
			ck_assert_uint_eq(machine.end, FUNCTION_VADDR + FUNCTION_SIZE);
		}
}
END_TEST

START_TEST(set_loc_names_the_next_row)
{
	uint8_t program[] = { DW_CFA_set_loc, 0, 0, 0, 0, DW_CFA_def_cfa_offset, 16 };
	size_t at;

	for (int round = 0; round < 2; round++) {
		struct text text = { program, sizeof(program) };
		uint32_t distance;

		ck_assert(find(text, FUNCTION_VADDR) || round == 0);
		/* The operand is pcrel: known once the image is laid out. */
		at = (size_t)((uint8_t *)memmem(image.bytes, image.size, program, sizeof(program)) -
			image.bytes);
		distance = (uint32_t)(FUNCTION_VADDR + 0x20 - (IMAGE_VADDR + at + 1));
		memcpy(program + 1, &distance, 4);
	}
	ck_assert_int_eq(machine.row.cfa.value, 8);
	ck_assert_uint_eq(machine.row_end, FUNCTION_VADDR + 0x20);
	ck_assert(find((struct text){ program, sizeof(program) }, FUNCTION_VADDR + 0x20));
	ck_assert_int_eq(machine.row.cfa.value, 16);
	ck_assert_uint_eq(machine.row_start, FUNCTION_VADDR + 0x20);
}
END_TEST

START_TEST(remembered_rows_nest_and_come_back_with_their_cfa)
{
	const struct text program = TEXT(DW_CFA_def_cfa_offset, 16, DW_CFA_remember_state,
		DW_CFA_def_cfa_offset, 24, LOW(DW_CFA_offset, 6), 2, DW_CFA_remember_state,
		DW_CFA_def_cfa, 6, 32, LOW(DW_CFA_advance_loc, 1), DW_CFA_restore_state,
		LOW(DW_CFA_advance_loc, 1), DW_CFA_restore_state);

	ck_assert(find(program, FUNCTION_VADDR));
	ck_assert_int_eq(machine.row.cfa_register, CFI_RBP);
	ck_assert(find(program, FUNCTION_VADDR + 1));
	ck_assert_int_eq(machine.row.cfa_register, CFI_RSP);
	ck_assert_int_eq(machine.row.cfa.value, 24);
	ck_assert_int_eq(machine.row.rules[CFI_RBP].kind, CFI_RULE_OFFSET);
	ck_assert(find(program, FUNCTION_VADDR + 2));
	ck_assert_int_eq(machine.row.cfa.value, 16);
	ck_assert_int_eq(machine.row.rules[CFI_RBP].kind, CFI_RULE_UNSET);
}
END_TEST

/* With these in front an instruction is the last of its FDE, without padding. */
#define SIX_NOPS DW_CFA_nop, DW_CFA_nop, DW_CFA_nop, DW_CFA_nop, DW_CFA_nop, DW_CFA_nop

static const struct text refused[] = {
	TEXT(DW_CFA_restore_state),
	TEXT(DW_CFA_remember_state, DW_CFA_remember_state, DW_CFA_remember_state,
		DW_CFA_remember_state, DW_CFA_remember_state, DW_CFA_remember_state,
		DW_CFA_remember_state, DW_CFA_remember_state, DW_CFA_remember_state),
	TEXT(0x3f), /* no such instruction */
	TEXT(DW_CFA_def_cfa, 17, 8), /* a register that nobody has */
	TEXT(DW_CFA_def_cfa_offset, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f),
	TEXT(LOW(DW_CFA_offset, 6), 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f),
	TEXT(DW_CFA_expression, 6, 0xff, 0xff, 0xff, 0xff, 0x0f), /* longer than its FDE */
	TEXT(DW_CFA_def_cfa_expression, 200, 1),
	TEXT(SIX_NOPS, DW_CFA_advance_loc4),
	TEXT(SIX_NOPS, DW_CFA_undefined),
	TEXT(SIX_NOPS, DW_CFA_offset_extended),
};

START_TEST(a_program_that_makes_no_sense_is_refused)
{
	ck_assert(!find(refused[_i], FUNCTION_VADDR + FUNCTION_SIZE - 1));
}
END_TEST

START_TEST(what_makes_no_sense_behind_the_row_does_not_matter)
{
	ck_assert(find(AS_TEXT(LOW(DW_CFA_advance_loc, 8), 0x3f), FUNCTION_VADDR + 7));
}
END_TEST

START_TEST(a_program_without_end_is_given_up)
{
	static uint8_t nops[300000];

	ck_assert(!find((struct text){ nops, sizeof(nops) }, FUNCTION_VADDR));
	ck_assert(find((struct text){ nops, 60000 }, FUNCTION_VADDR));
}
END_TEST

/* --- tables --- */

START_TEST(an_address_outside_every_function_has_no_row)
{
	ck_assert(!find(AS_TEXT(DW_CFA_nop), FUNCTION_VADDR - 1));
	ck_assert(!find(AS_TEXT(DW_CFA_nop), FUNCTION_VADDR + FUNCTION_SIZE));
	ck_assert(!find(AS_TEXT(DW_CFA_nop), 0));
	ck_assert(!find(AS_TEXT(DW_CFA_nop), UINT64_MAX));
}
END_TEST

static void make_many(uint32_t count, bool with_search_table)
{
	size_t cie;

	start_image(&image, count);
	cie = put_cie(&image, "zR", AS_TEXT(0x1b), AS_TEXT(USUAL_CIE));
	for (uint32_t i = 0; i < count; i++) {
		uint64_t vaddr = FUNCTION_VADDR + 0x100 * i;

		put_search_row(&image, i, vaddr,
			put_fde(&image, cie, vaddr, 0x80,
				AS_TEXT(DW_CFA_def_cfa_offset, (uint8_t)(i + 1))));
	}
	put(&image, 0, 4);
	if (!with_search_table)
		image.bytes[2] = image.bytes[3] = DW_EH_PE_omit;
	table = table_over(image.bytes, image.size);
	ck_assert(cfi_table_open(&table));
	ck_assert_int_eq(table.search_count > 0, with_search_table);
}

START_TEST(the_function_is_found_among_many_with_and_without_a_search_table)
{
	make_many(20, _i == 0);
	for (uint32_t i = 0; i < 20; i++) {
		ck_assert(cfi_find_row(&table, FUNCTION_VADDR + 0x100 * i + 0x7f, &machine));
		ck_assert_int_eq(machine.row.cfa.value, (int)i + 1);
		ck_assert(!cfi_find_row(&table, FUNCTION_VADDR + 0x100 * i + 0x80, &machine));
	}
}
END_TEST

START_TEST(a_function_without_code_does_not_hide_the_one_at_the_same_place)
{
	size_t cie, empty;

	start_image(&image, 1);
	cie = put_cie(&image, "zR", AS_TEXT(0x1b), AS_TEXT(USUAL_CIE));
	empty = put_fde(&image, cie, FUNCTION_VADDR, 0, AS_TEXT(DW_CFA_nop));
	put_fde(&image, cie, FUNCTION_VADDR, 0x20, AS_TEXT(DW_CFA_nop));
	put(&image, 0, 4);
	put_search_row(&image, 0, FUNCTION_VADDR, empty);
	table = table_over(image.bytes, image.size);
	ck_assert(cfi_table_open(&table));
	ck_assert(cfi_find_row(&table, FUNCTION_VADDR, &machine));
	ck_assert_uint_eq(machine.end, FUNCTION_VADDR + 0x20);
}
END_TEST

static bool find_with_cie(const char *augmentation, struct text data)
{
	size_t cie;

	start_image(&image, 1);
	cie = put_cie(&image, augmentation, data, AS_TEXT(USUAL_CIE));
	put_search_row(&image, 0, FUNCTION_VADDR,
		put_fde(&image, cie, FUNCTION_VADDR, FUNCTION_SIZE, AS_TEXT(DW_CFA_nop)));
	put(&image, 0, 4);
	table = table_over(image.bytes, image.size);
	return cfi_table_open(&table) && cfi_find_row(&table, FUNCTION_VADDR, &machine);
}

START_TEST(an_augmentation_is_read_as_far_as_it_is_known)
{
	ck_assert(find_with_cie("zR", AS_TEXT(0x1b)));
	ck_assert(!machine.is_signal_frame);
	ck_assert(find_with_cie("zRS", AS_TEXT(0x1b)));
	ck_assert(machine.is_signal_frame);
	/* C++: a personality routine (pcrel, indirect), an LSDA. */
	ck_assert(find_with_cie("zPLR", AS_TEXT(0x9b, 1, 2, 3, 4, 0x1b, 0x1b)));
	ck_assert_int_eq(machine.row.cfa.value, 8);
	ck_assert(find_with_cie("zR?", AS_TEXT(0x1b, 1, 2, 3)));
	ck_assert(!find_with_cie("eh", AS_TEXT(0)));
	ck_assert(!find_with_cie("zR", AS_TEXT(0x40))); /* funcrel: nobody has that */
}
END_TEST

START_TEST(a_return_address_in_another_column_is_refused)
{
	make_image(&image, AS_TEXT(USUAL_CIE), AS_TEXT(DW_CFA_nop));
	/* Behind length, id, version, "zR", both alignments. */
	ck_assert_int_eq(image.bytes[20 + 8 + 1 + 3 + 2], 16);
	image.bytes[20 + 8 + 1 + 3 + 2] = 15;
	table = table_over(image.bytes, image.size);
	ck_assert(cfi_table_open(&table));
	ck_assert(!cfi_find_row(&table, FUNCTION_VADDR, &machine));
}
END_TEST

START_TEST(absolute_pointers_lose_the_load_bias_that_the_loader_added)
{
	const uint64_t bias = 0x7f0000000000;
	size_t cie, fde;

	start_image(&image, 1);
	cie = put_cie(&image, "zR", AS_TEXT(DW_EH_PE_absptr), AS_TEXT(USUAL_CIE));
	fde = image.size;
	put(&image, 0, 4);
	put(&image, image.size - cie, 4);
	put(&image, bias + FUNCTION_VADDR, 8);
	put(&image, FUNCTION_SIZE, 8);
	put(&image, 0, 1);
	end_entry(&image, fde);
	put(&image, 0, 4);
	put_search_row(&image, 0, FUNCTION_VADDR, fde);
	table = table_over(image.bytes, image.size);
	table.bias = bias;
	ck_assert(cfi_table_open(&table));
	ck_assert(cfi_find_row(&table, FUNCTION_VADDR + 1, &machine));
	ck_assert_uint_eq(machine.start, FUNCTION_VADDR);
	ck_assert_uint_eq(machine.end, FUNCTION_VADDR + FUNCTION_SIZE);
}
END_TEST

START_TEST(a_header_that_makes_no_sense_is_refused)
{
	make_image(&image, AS_TEXT(USUAL_CIE), AS_TEXT(DW_CFA_nop));
	table = table_over(image.bytes, image.size);
	image.bytes[0] = 2;
	ck_assert(!cfi_table_open(&table));
	image.bytes[0] = 1;
	image.bytes[1] = DW_EH_PE_omit;
	ck_assert(!cfi_table_open(&table));
	image.bytes[1] = 0x1b;
	memset(image.bytes + 8, 0xff, 4); /* the count */
	ck_assert(!cfi_table_open(&table));
	table = table_over(image.bytes, image.size);
	table.header_vaddr = IMAGE_VADDR + image.size + 100;
	ck_assert(!cfi_table_open(&table));
}
END_TEST

START_TEST(a_module_without_tables_has_no_rows)
{
	table = (struct cfi_table){ .data = NULL };
	ck_assert(!cfi_find_row(&table, FUNCTION_VADDR, &machine));
}
END_TEST

/* --- steps --- */

/* A stack of which every word is its own address, but for an end. */
#define STACK_START 0x7000
#define STACK_END 0x8000

static bool read_stack(void *context, uint64_t address, uint64_t *word)
{
	if (address < STACK_START || address > STACK_END - 8)
		return false;
	*word = address;
	return true;
}

static struct cfi_registers registers_at(uint64_t rsp)
{
	struct cfi_registers registers = { .valid = (1u << CFI_REGISTERS) - 1 };

	for (int i = 0; i < CFI_REGISTERS; i++)
		registers.value[i] = 100 + (uint64_t)i;
	registers.value[CFI_RSP] = rsp;
	return registers;
}

static enum cfi_step step(struct text program, struct cfi_registers *registers, uint64_t *cfa)
{
	ck_assert(find(program, FUNCTION_VADDR));
	return cfi_step(&table, &machine.row, registers, read_stack, NULL, cfa);
}

START_TEST(a_step_gives_the_callers_registers_and_forgets_what_callees_may_change)
{
	struct cfi_registers r = registers_at(0x7100);
	uint64_t cfa;

	ck_assert_int_eq(step(AS_TEXT(DW_CFA_def_cfa_offset, 32, LOW(DW_CFA_offset, 6), 2,
				      DW_CFA_register, 3, 12, DW_CFA_val_offset, 13, 4,
				      DW_CFA_undefined, 14),
				 &r, &cfa),
		CFI_STEPPED);
	ck_assert_uint_eq(cfa, 0x7120);
	ck_assert_uint_eq(r.value[CFI_RSP], 0x7120);
	ck_assert_uint_eq(r.value[CFI_RA], 0x7118);
	ck_assert_uint_eq(r.value[CFI_RBP], 0x7110);
	ck_assert_uint_eq(r.value[CFI_RBX], 112);
	ck_assert_uint_eq(r.value[13], 0x7100);
	ck_assert_uint_eq(r.value[15], 115);
	ck_assert_uint_eq(r.valid,
		1u << CFI_RSP | 1u << CFI_RA | 1u << CFI_RBP | 1u << CFI_RBX | 1u << 12 | 1u << 13 |
			1u << 15);
}
END_TEST

START_TEST(an_undefined_return_address_is_the_root)
{
	struct cfi_registers r = registers_at(0x7100);

	ck_assert_int_eq(step(AS_TEXT(DW_CFA_undefined, 16), &r, NULL), CFI_OUTERMOST);
	ck_assert_uint_eq(r.value[CFI_RSP], 0x7100);
}
END_TEST

START_TEST(a_register_that_is_not_known_is_asked_for)
{
	struct cfi_registers r = registers_at(0x7100);

	r.valid = 1u << CFI_RSP | 1u << CFI_RBP;
	ck_assert_int_eq(step(AS_TEXT(DW_CFA_def_cfa, 3, 8), &r, NULL), CFI_NEEDS_REGISTER);
	ck_assert_int_eq(step(AS_TEXT(DW_CFA_def_cfa_expression, 2, DW_OP_breg10, 0), &r, NULL),
		CFI_NEEDS_REGISTER);
	/* One that decides nothing is only lost. */
	ck_assert_int_eq(step(AS_TEXT(DW_CFA_register, 3, 12), &r, NULL), CFI_STEPPED);
	ck_assert(!(r.valid & 1u << CFI_RBX));
}
END_TEST

START_TEST(a_stack_that_cannot_be_read_fails_the_step_and_changes_nothing)
{
	struct cfi_registers r = registers_at(STACK_END);
	const struct cfi_registers before = r;

	ck_assert_int_eq(step(AS_TEXT(DW_CFA_def_cfa_offset, 16), &r, NULL), CFI_FAILED);
	ck_assert_mem_eq(&r, &before, sizeof(r));
}
END_TEST

/* What ld makes for a PLT: 8 more on the stack once the pushq at byte 11 has run. */
START_TEST(a_plt_entry_has_its_frame_before_and_after_the_push)
{
	const struct text plt = TEXT(DW_CFA_def_cfa_expression, 11, DW_OP_breg7, 8, DW_OP_breg16, 0,
		DW_OP_lit15, DW_OP_and, DW_OP_lit11, DW_OP_ge, DW_OP_lit3, DW_OP_shl, DW_OP_plus);
	struct cfi_registers r = registers_at(0x7100);
	uint64_t cfa;

	r.value[CFI_RA] = 0x103a;
	ck_assert_int_eq(step(plt, &r, &cfa), CFI_STEPPED);
	ck_assert_uint_eq(cfa, 0x7108);
	r = registers_at(0x7100);
	r.value[CFI_RA] = 0x103b;
	ck_assert_int_eq(step(plt, &r, &cfa), CFI_STEPPED);
	ck_assert_uint_eq(cfa, 0x7110);
	ck_assert_uint_eq(r.value[CFI_RA], 0x7108);
}
END_TEST

/* gcc's realigned frame with arguments: the CFA is at *(rbp - 8), r10's place. */
START_TEST(a_realigned_frame_finds_its_cfa_through_memory)
{
	struct cfi_registers r = registers_at(0x7100);
	uint64_t cfa;

	r.value[CFI_RBP] = 0x7200;
	ck_assert_int_eq(step(AS_TEXT(DW_CFA_def_cfa_expression, 3, DW_OP_breg6, 0x78, DW_OP_deref,
				      DW_CFA_expression, 6, 2, DW_OP_breg6, 0),
				 &r, &cfa),
		CFI_STEPPED);
	ck_assert_uint_eq(cfa, 0x71f8);
	ck_assert_uint_eq(r.value[CFI_RA], 0x71f0);
	ck_assert_uint_eq(r.value[CFI_RBP], 0x7200);
	r = registers_at(0x7100);
	ck_assert_int_eq(step(AS_TEXT(DW_CFA_def_cfa, 10, 0), &r, &cfa), CFI_FAILED);
	r = registers_at(0x7100);
	r.value[10] = 0x7300;
	ck_assert_int_eq(step(AS_TEXT(DW_CFA_def_cfa, 10, 0), &r, &cfa), CFI_STEPPED);
	ck_assert_uint_eq(cfa, 0x7300);
}
END_TEST

/* --- expressions: the return address is what they leave on top --- */

#define CFA 0x7108

static const struct expression_case {
	struct text text;
	uint64_t value;
} expression_cases[] = {
	{ TEXT(DW_OP_nop), CFA },
	{ TEXT(DW_OP_lit0), 0 },
	{ TEXT(DW_OP_lit31), 31 },
	{ TEXT(DW_OP_addr, 1, 2, 3, 4, 5, 6, 7, 8), 0x0807060504030201 },
	{ TEXT(DW_OP_const1u, 0xff), 255 },
	{ TEXT(DW_OP_const1s, 0xff), (uint64_t)-1 },
	{ TEXT(DW_OP_const2u, 0xff, 0xff), 65535 },
	{ TEXT(DW_OP_const2s, 0xfe, 0xff), (uint64_t)-2 },
	{ TEXT(DW_OP_const4u, 0xff, 0xff, 0xff, 0xff), UINT32_MAX },
	{ TEXT(DW_OP_const4s, 0xfd, 0xff, 0xff, 0xff), (uint64_t)-3 },
	{ TEXT(DW_OP_const8u, 1, 0, 0, 0, 0, 0, 0, 0x80), 0x8000000000000001 },
	{ TEXT(DW_OP_const8s, 1, 0, 0, 0, 0, 0, 0, 0x80), 0x8000000000000001 },
	{ TEXT(DW_OP_constu, 0x80, 1), 128 },
	{ TEXT(DW_OP_consts, 0x80, 0x7f), (uint64_t)-128 },
	{ TEXT(DW_OP_breg3, 0x7f), 102 },
	{ TEXT(DW_OP_bregx, 3, 1), 104 },
	{ TEXT(DW_OP_deref), CFA },
	{ TEXT(DW_OP_const2u, 0x34, 0x72, DW_OP_deref_size, 1), 0x34 },
	{ TEXT(DW_OP_const2u, 0x34, 0x72, DW_OP_deref_size, 8), 0x7234 },
	{ TEXT(DW_OP_lit2, DW_OP_dup, DW_OP_plus), 4 },
	{ TEXT(DW_OP_lit2, DW_OP_lit3, DW_OP_drop), 2 },
	{ TEXT(DW_OP_lit2, DW_OP_lit3, DW_OP_over), 2 },
	{ TEXT(DW_OP_lit2, DW_OP_lit3, DW_OP_lit4, DW_OP_pick, 2), 2 },
	{ TEXT(DW_OP_lit7, DW_OP_lit3, DW_OP_swap, DW_OP_minus), (uint64_t)-4 },
	/* The top becomes the third: 1 2 3 -> 3 1 2. */
	{ TEXT(DW_OP_lit1, DW_OP_lit2, DW_OP_lit3, DW_OP_rot), 2 },
	{ TEXT(DW_OP_lit1, DW_OP_lit2, DW_OP_lit3, DW_OP_rot, DW_OP_drop), 1 },
	{ TEXT(DW_OP_lit1, DW_OP_lit2, DW_OP_lit3, DW_OP_rot, DW_OP_drop, DW_OP_drop), 3 },
	{ TEXT(DW_OP_const1s, 0xf0, DW_OP_abs), 16 },
	{ TEXT(DW_OP_lit5, DW_OP_neg), (uint64_t)-5 },
	{ TEXT(DW_OP_lit5, DW_OP_not), ~(uint64_t)5 },
	{ TEXT(DW_OP_lit12, DW_OP_lit10, DW_OP_and), 8 },
	{ TEXT(DW_OP_lit12, DW_OP_lit10, DW_OP_or), 14 },
	{ TEXT(DW_OP_lit12, DW_OP_lit10, DW_OP_xor), 6 },
	{ TEXT(DW_OP_const1s, 0xf8, DW_OP_lit3, DW_OP_div), (uint64_t)-2 },
	{ TEXT(DW_OP_lit17, DW_OP_lit5, DW_OP_mod), 2 },
	{ TEXT(DW_OP_lit17, DW_OP_lit5, DW_OP_mul), 85 },
	{ TEXT(DW_OP_lit17, DW_OP_plus_uconst, 0x80, 1), 145 },
	{ TEXT(DW_OP_lit1, DW_OP_lit4, DW_OP_shl), 16 },
	{ TEXT(DW_OP_lit1, DW_OP_const1u, 64, DW_OP_shl), 0 },
	{ TEXT(DW_OP_const1s, 0xff, DW_OP_const1u, 60, DW_OP_shr), 15 },
	{ TEXT(DW_OP_const1s, 0xf0, DW_OP_lit2, DW_OP_shra), (uint64_t)-4 },
	{ TEXT(DW_OP_const1s, 0xf0, DW_OP_const1u, 200, DW_OP_shra), (uint64_t)-1 },
	{ TEXT(DW_OP_const1s, 0xff, DW_OP_lit1, DW_OP_lt), 1 },
	{ TEXT(DW_OP_const1s, 0xff, DW_OP_lit1, DW_OP_gt), 0 },
	{ TEXT(DW_OP_lit1, DW_OP_lit1, DW_OP_le), 1 },
	{ TEXT(DW_OP_lit1, DW_OP_lit2, DW_OP_ge), 0 },
	{ TEXT(DW_OP_lit1, DW_OP_lit1, DW_OP_eq), 1 },
	{ TEXT(DW_OP_lit1, DW_OP_lit1, DW_OP_ne), 0 },
	{ TEXT(DW_OP_lit9, DW_OP_skip, 1, 0, DW_OP_lit8, DW_OP_nop), 9 },
	{ TEXT(DW_OP_lit9, DW_OP_lit1, DW_OP_bra, 1, 0, DW_OP_lit8), 9 },
	{ TEXT(DW_OP_lit9, DW_OP_lit0, DW_OP_bra, 1, 0, DW_OP_lit8), 8 },
	/* Down from 3 by a loop. */
	{ TEXT(DW_OP_lit3, DW_OP_lit1, DW_OP_minus, DW_OP_dup, DW_OP_bra, 0xfa, 0xff), 0 },
};

static enum cfi_step evaluate(struct text text, uint64_t *value)
{
	uint8_t program[256] = { DW_CFA_val_expression, 16, (uint8_t)text.size };
	struct cfi_registers r = registers_at(0x7100);
	enum cfi_step outcome;

	memcpy(program + 3, text.bytes, text.size);
	outcome = step((struct text){ program, 3 + text.size }, &r, NULL);
	*value = r.value[CFI_RA];
	return outcome;
}

START_TEST(an_expression_starts_with_the_cfa_and_its_top_is_the_value)
{
	const struct expression_case *c = &expression_cases[_i];
	uint64_t value;

	ck_assert_int_eq(evaluate(c->text, &value), CFI_STEPPED);
	ck_assert_msg(
		value == c->value, "case %d: %#lx, not %#lx", _i, (long)value, (long)c->value);
}
END_TEST

static const struct text failing[] = {
	TEXT(DW_OP_drop), /* nothing is left */
	TEXT(DW_OP_plus),
	TEXT(DW_OP_drop, DW_OP_drop),
	TEXT(DW_OP_drop, DW_OP_dup),
	TEXT(DW_OP_over),
	TEXT(DW_OP_pick, 200),
	TEXT(DW_OP_rot),
	TEXT(DW_OP_lit1, DW_OP_lit0, DW_OP_div),
	TEXT(DW_OP_lit1, DW_OP_lit0, DW_OP_mod),
	TEXT(DW_OP_const8u, 0, 0, 0, 0, 0, 0, 0, 0x80, DW_OP_const1s, 0xff, DW_OP_div),
	TEXT(DW_OP_lit1, DW_OP_deref), /* not readable */
	TEXT(DW_OP_const2u, 0, 0x72, DW_OP_deref_size, 0),
	TEXT(DW_OP_const2u, 0, 0x72, DW_OP_deref_size, 9),
	TEXT(DW_OP_breg17, 0),
	TEXT(DW_OP_bregx, 0x80, 0x80, 0x80, 0x80, 1, 0),
	TEXT(DW_OP_skip, 0xfd, 0xff), /* for ever */
	TEXT(DW_OP_lit1, DW_OP_bra, 0xfc, 0xff),
	TEXT(DW_OP_dup, DW_OP_skip, 0xfc, 0xff), /* the stack fills */
	TEXT(DW_OP_skip, 0xfc, 0xff), /* before the start */
	TEXT(DW_OP_skip, 1, 0), /* behind the end */
	TEXT(DW_OP_skip, 0xff, 0x7f),
	TEXT(DW_OP_const8u, 1, 2),
	TEXT(DW_OP_constu, 0x80, 0x80),
	TEXT(DW_OP_skip, 0),
	TEXT(0x02),
	TEXT(DW_OP_call_frame_cfa),
	TEXT(DW_OP_reg0),
};

START_TEST(an_expression_that_makes_no_sense_fails_and_ends)
{
	uint64_t value;

	ck_assert_int_eq(evaluate(failing[_i], &value), CFI_FAILED);
}
END_TEST

/* --- bytes that nobody vouches for --- */

/* An image with all of it: a C++ CIE, a signal frame, expressions, remembered rows. */
static void make_rich(void)
{
	size_t cie, fde;

	start_image(&image, 2);
	cie = put_cie(&image, "zPLR", AS_TEXT(0x9b, 1, 2, 3, 4, 0x1b, 0x1b), AS_TEXT(USUAL_CIE));
	fde = put_fde(&image, cie, FUNCTION_VADDR, 0x80,
		AS_TEXT(LOW(DW_CFA_advance_loc, 1), DW_CFA_def_cfa_offset, 16,
			LOW(DW_CFA_offset, 6), 2, LOW(DW_CFA_advance_loc, 3),
			DW_CFA_def_cfa_register, 6, DW_CFA_remember_state, DW_CFA_advance_loc1,
			0x20, DW_CFA_def_cfa, 7, 8, DW_CFA_advance_loc1, 1,
			DW_CFA_restore_state));
	put_search_row(&image, 0, FUNCTION_VADDR, fde);
	cie = put_cie(&image, "zRS", AS_TEXT(0x1b),
		AS_TEXT(DW_CFA_def_cfa_expression, 4, DW_OP_breg7, 0xa0, 1, DW_OP_deref,
			DW_CFA_expression, 16, 3, DW_OP_breg7, 0xa8, 1));
	fde = put_fde(&image, cie, FUNCTION_VADDR + 0x80, 0x80,
		AS_TEXT(DW_CFA_val_expression, 6, 6, DW_OP_breg7, 0, DW_OP_lit1, DW_OP_bra, 0, 0,
			DW_CFA_nop));
	put_search_row(&image, 1, FUNCTION_VADDR + 0x80, fde);
	put(&image, 0, 4);
}

/* Everything there is to ask of SIZE bytes that end where memory does. */
static void ask_all(const uint8_t *bytes, size_t size)
{
	table = table_over(bytes, size);
	if (!cfi_table_open(&table))
		return;
	for (uint64_t vaddr = FUNCTION_VADDR - 8; vaddr < FUNCTION_VADDR + 0x108; vaddr += 7) {
		struct cfi_registers r = registers_at(0x7100);

		if (cfi_find_row(&table, vaddr, &machine) &&
			cfi_step(&table, &machine.row, &r, read_stack, NULL, NULL) == CFI_STEPPED)
			ck_assert(r.valid & 1u << CFI_RSP);
	}
}

/* Memory of SIZE bytes, behind which nothing can be read. */
static uint8_t *edge_of_memory(size_t size)
{
	size_t whole = (size + 4095) & ~(size_t)4095;
	uint8_t *pages = mmap(NULL, whole + 4096, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(pages, MAP_FAILED);
	mprotect(pages + whole, 4096, PROT_NONE);
	return pages + whole - size;
}

START_TEST(an_image_cut_off_anywhere_is_never_read_behind_its_end)
{
	uint8_t *edge = edge_of_memory(4096);

	make_rich();
	ck_assert_uint_lt(image.size, 4096);
	for (size_t size = 0; size <= image.size; size++) {
		memcpy(edge + 4096 - size, image.bytes, size);
		ask_all(edge + 4096 - size, size);
	}
}
END_TEST

START_TEST(an_image_with_any_bytes_changed_is_never_read_behind_its_end)
{
	static const uint8_t values[] = { 0x00, 0x01, 0x7f, 0x80, 0xff };
	uint8_t *edge;

	make_rich();
	edge = edge_of_memory(image.size);
	for (size_t at = 0; at < image.size; at++)
		for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
			memcpy(edge, image.bytes, image.size);
			edge[at] = values[i];
			ask_all(edge, image.size);
			/* Two at once: a length and what it counts. */
			edge[(at * 7 + i) % image.size] ^= 0xff;
			ask_all(edge, image.size);
		}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cfi");
	TCase *instructions = tcase_create("instructions");
	TCase *tables = tcase_create("tables");
	TCase *steps = tcase_create("steps");
	TCase *hostile = tcase_create("hostile");

	tcase_add_loop_test(instructions, an_instruction_gives_a_register_its_rule, 0,
		ARRAY_SIZE(rule_cases));
	tcase_add_loop_test(
		instructions, the_cfa_is_a_register_and_an_offset, 0, ARRAY_SIZE(cfa_cases));
	tcase_add_test(
		instructions, a_program_is_run_up_to_the_address_asked_for_and_tells_its_row);
	tcase_add_test(instructions, set_loc_names_the_next_row);
	tcase_add_test(instructions, remembered_rows_nest_and_come_back_with_their_cfa);
	tcase_add_loop_test(instructions, a_program_that_makes_no_sense_is_refused, 0,
		ARRAY_SIZE(refused));
	tcase_add_test(instructions, what_makes_no_sense_behind_the_row_does_not_matter);
	tcase_add_test(instructions, a_program_without_end_is_given_up);
	suite_add_tcase(suite, instructions);

	tcase_add_test(tables, an_address_outside_every_function_has_no_row);
	tcase_add_loop_test(tables,
		the_function_is_found_among_many_with_and_without_a_search_table, 0, 2);
	tcase_add_test(tables, a_function_without_code_does_not_hide_the_one_at_the_same_place);
	tcase_add_test(tables, an_augmentation_is_read_as_far_as_it_is_known);
	tcase_add_test(tables, a_return_address_in_another_column_is_refused);
	tcase_add_test(tables, absolute_pointers_lose_the_load_bias_that_the_loader_added);
	tcase_add_test(tables, a_header_that_makes_no_sense_is_refused);
	tcase_add_test(tables, a_module_without_tables_has_no_rows);
	suite_add_tcase(suite, tables);

	tcase_add_test(
		steps, a_step_gives_the_callers_registers_and_forgets_what_callees_may_change);
	tcase_add_test(steps, an_undefined_return_address_is_the_root);
	tcase_add_test(steps, a_register_that_is_not_known_is_asked_for);
	tcase_add_test(steps, a_stack_that_cannot_be_read_fails_the_step_and_changes_nothing);
	tcase_add_test(steps, a_plt_entry_has_its_frame_before_and_after_the_push);
	tcase_add_test(steps, a_realigned_frame_finds_its_cfa_through_memory);
	tcase_add_loop_test(steps, an_expression_starts_with_the_cfa_and_its_top_is_the_value, 0,
		ARRAY_SIZE(expression_cases));
	tcase_add_loop_test(steps, an_expression_that_makes_no_sense_fails_and_ends, 0,
		ARRAY_SIZE(failing));
	suite_add_tcase(suite, steps);

	tcase_add_test(hostile, an_image_cut_off_anywhere_is_never_read_behind_its_end);
	tcase_add_test(hostile, an_image_with_any_bytes_changed_is_never_read_behind_its_end);
	tcase_set_timeout(hostile, 60);
	suite_add_tcase(suite, hostile);
	return run_suite(suite);
}
