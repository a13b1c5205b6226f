/*
 * Call frame information: what .eh_frame says about one place in the code, and one step up the
 * stack by it.  Sources: LSB 5.0 Core, "Exception Frames" (.eh_frame, .eh_frame_hdr, CIE
 * augmentations); DWARF 5 section 6.4 (instructions) and 2.5 (expressions); AMD64 psABI 3.6.2
 * (register numbers).
 *
 * Pure functions over bytes that nobody vouches for: every read is bounded, every loop too; no
 * allocation, no libc beyond memcpy and memset.  Signal-safe.  The structs are kept in scratch
 * memory, not on the handler's stack.
 */
#ifndef AGENT_CFI_H
#define AGENT_CFI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

enum cfi_register {
	CFI_RAX = 0,
	CFI_RBX = 3,
	CFI_RBP = 6,
	CFI_RSP = 7,
	CFI_RA = 16, /* the return address column: the caller's rip */
	CFI_REGISTERS = 17,
};

/* The bytes of a module's unwind tables: .eh_frame_hdr, .eh_frame and what lies between, as
 * they are in memory.  DATA may be the module's own pages or a copy. */
struct cfi_table {
	const uint8_t *data; /* NULL: the module has none */
	size_t size;
	uint64_t vaddr; /* of DATA[0] */
	uint64_t bias; /* to take from absolute pointers, which ld.so has relocated */
	uint64_t header_vaddr; /* .eh_frame_hdr */
	/* Filled in by cfi_table_open(). */
	uint64_t search_vaddr; /* its sorted table of (function, FDE) */
	uint32_t search_count; /* 0: no such table, .eh_frame is walked */
	uint64_t frame_vaddr; /* .eh_frame */
};

enum cfi_rule_kind {
	CFI_RULE_UNSET, /* not mentioned: same value for what callees save, else undefined */
	CFI_RULE_UNDEFINED,
	CFI_RULE_SAME,
	CFI_RULE_OFFSET, /* saved at CFA + value */
	CFI_RULE_VAL_OFFSET, /* is CFA + value */
	CFI_RULE_REGISTER, /* is in register VALUE */
	CFI_RULE_EXPRESSION, /* saved at what the expression gives */
	CFI_RULE_VAL_EXPRESSION, /* is what the expression gives */
};

struct cfi_rule {
	uint8_t kind; /* enum cfi_rule_kind */
	uint16_t length; /* of an expression, bytes */
	int32_t value; /* offset, register, or where in the table's data the expression is */
};

struct cfi_row {
	/* CFA_RULE: VAL_OFFSET is register CFA_REGISTER + value, VAL_EXPRESSION an expression. */
	struct cfi_rule cfa;
	uint8_t cfa_register;
	int32_t cfa_offset; /* set last; kept behind an expression, for def_cfa_register */
	struct cfi_rule rules[CFI_REGISTERS];
};

#define CFI_REMEMBER_MAX 8

/* The state of an FDE's program while it runs, and its outcome: the row in force. */
struct cfi_machine {
	struct cfi_row row;
	bool is_signal_frame; /* augmentation 'S' */
	uint64_t start, end; /* vaddr range of the FDE; the row's own is [row_start, row_end) */
	uint64_t row_start, row_end;
	struct cfi_row initial; /* after the CIE's instructions: what DW_CFA_restore restores */
	struct cfi_row remembered[CFI_REMEMBER_MAX];
	uint32_t remembered_count;
};

struct cfi_registers {
	uint64_t value[CFI_REGISTERS];
	uint32_t valid; /* bit per register */
};

/* Read one aligned-or-not word of the stack; false: that memory is not to be read. */
typedef bool cfi_read_word(void *context, uint64_t address, uint64_t *word);

enum cfi_step {
	CFI_STEPPED,
	CFI_OUTERMOST, /* the return address is undefined: no caller */
	CFI_NEEDS_REGISTER, /* a register that is not valid decides */
	CFI_FAILED, /* the stack cannot be read, or the rules make no sense */
};

/* TABLE's data, size, vaddr, bias and header_vaddr are set; find the rest.  False: no usable
 * .eh_frame_hdr there. */
bool cfi_table_open(struct cfi_table *table) MUST_CHECK;

/* Run the program of the FDE that covers VADDR up to it.  False: no FDE covers it, or it says
 * what nobody can follow. */
bool cfi_find_row(const struct cfi_table *table, uint64_t vaddr, struct cfi_machine *machine)
	MUST_CHECK;

/* No FDE covers VADDR: where the code begins and ends that none covers, as far as the tables tell;
 * 0 and UINT64_MAX where they do not. */
void cfi_find_gap(const struct cfi_table *table, uint64_t vaddr, uint64_t *low, uint64_t *high);

/* From the registers of one frame to its caller's, by ROW.  *REGISTERS is changed only when it
 * says CFI_STEPPED; then rsp is the CFA unless a rule says otherwise, CFA_OUT (may be NULL) the
 * CFA. */
enum cfi_step cfi_step(const struct cfi_table *table, const struct cfi_row *row,
	struct cfi_registers *registers, cfi_read_word *read, void *context,
	uint64_t *cfa_out) MUST_CHECK;

#endif
