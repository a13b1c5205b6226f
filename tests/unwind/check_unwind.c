/*
 * The unwinder's rows against libdw's, over whole folders of real code.
 *
 *     check_unwind [--sample N] [--list N] PATH...
 *
 * Every ELF file at or below the PATHs with an .eh_frame_hdr is taken as the agent sees it in
 * memory.  Its FDEs are walked by libdw; at the start of every row of each (with --sample, of
 * every Nth) the agent's cfi_find_row() and libdw's dwarf_cfi_addrframe() say where CFA, return
 * address and all other registers are.  The two are compared by what they mean: both are worked
 * out for the same made-up registers and memory, several times.  A row agrees when all 17
 * registers, the CFA, its range and its signal flag do.
 *
 * Exit status 1 when less than 99.99 % of the rows agree, or there are none.
 */
#define _GNU_SOURCE
#include <elf.h>
#include <elfutils/libdw.h>
#include <fcntl.h>
#include <fts.h>
#include <gelf.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/cfi.h"
#include "base/bytes.h"
#include "base/file.h"
#include "base/hash.h"
#include "location.h"

#define STATES 2 /* made-up states a row is worked out for */
#define STATES_OF_EXPRESSION 16 /* the same where there are expressions, which may branch */

enum exception {
	NONE,
	OURS_FINDS_NOTHING,
	LIBDW_FINDS_NOTHING,
	NEITHER_FINDS,
	RANGE,
	SIGNAL_FRAME,
	NOT_STEPPED,
	LIBDW_REFUSES,
	CFA,
	ROOT,
	FIRST_REGISTER, /* and the 16 behind it */
	EXCEPTIONS = FIRST_REGISTER + CFI_REGISTERS,
};

static const char *const exception_names[EXCEPTIONS] = {
	[OURS_FINDS_NOTHING] = "only libdw finds a row",
	[LIBDW_FINDS_NOTHING] = "only we find a row",
	[NEITHER_FINDS] = "neither finds a row",
	[RANGE] = "the row has another range",
	[SIGNAL_FRAME] = "signal frame or not",
	[NOT_STEPPED] = "our step fails",
	[LIBDW_REFUSES] = "libdw's location cannot be followed",
	[CFA] = "another CFA",
	[ROOT] = "outermost or not",
	[FIRST_REGISTER + 0] = "another rax",
	[FIRST_REGISTER + 1] = "another rdx",
	[FIRST_REGISTER + 2] = "another rcx",
	[FIRST_REGISTER + 3] = "another rbx",
	[FIRST_REGISTER + 4] = "another rsi",
	[FIRST_REGISTER + 5] = "another rdi",
	[FIRST_REGISTER + 6] = "another rbp",
	[FIRST_REGISTER + 7] = "another rsp",
	[FIRST_REGISTER + 8] = "another r8",
	[FIRST_REGISTER + 9] = "another r9",
	[FIRST_REGISTER + 10] = "another r10",
	[FIRST_REGISTER + 11] = "another r11",
	[FIRST_REGISTER + 12] = "another r12",
	[FIRST_REGISTER + 13] = "another r13",
	[FIRST_REGISTER + 14] = "another r14",
	[FIRST_REGISTER + 15] = "another r15",
	[FIRST_REGISTER + 16] = "another return address",
};

static struct {
	uint64_t sample; /* every how many FDEs */
	uint64_t list; /* exceptions of one file that are printed */
} options = { 1, 10 };

static struct {
	uint64_t objects, fdes_seen, fdes, rows, agreeing, expression_rows;
	uint64_t exceptions[EXCEPTIONS];
} totals;

struct object {
	const char *path;
	struct file_bytes file;
	struct cfi_table table; /* ours */
	Elf *elf; /* libdw's */
	Dwarf_CFI *cfi;
	uint64_t listed;
};

static void note(struct object *o, uint64_t function, uint64_t vaddr, enum exception exception)
{
	totals.exceptions[exception]++;
	if (o->listed++ < options.list)
		printf("%s: function %#" PRIx64 ", row %#" PRIx64 ": %s\n", o->path, function,
			vaddr, exception_names[exception]);
}

/* --- one row --- */

struct row {
	const struct cfi_table *table;
	struct cfi_machine *ours;
	Dwarf_Frame *theirs;
	uint64_t vaddr;
};

static bool read_made_up_word(void *context, uint64_t address, uint64_t *word)
{
	*word = machine_word(context, address);
	return true;
}

static enum exception compare_register(const struct row *row, const struct machine_state *state,
	const struct cfi_registers *caller, int number)
{
	const bool known = caller->valid >> number & 1;
	const bool is_set = row->ours->row.rules[number].kind != CFI_RULE_UNSET;
	Dwarf_Op memory[3], *ops;
	uint64_t value;
	size_t count;

	if (dwarf_frame_register(row->theirs, number, memory, &ops, &count) != 0)
		return LIBDW_REFUSES;
	/* Where the FDE says nothing, libdw adds what the ABI says, but takes rax for rbx (seen
	 * with 0.188): only registers that decide the walk are held to it. */
	if (count == 0 && !is_set && number != CFI_RBP && number != CFI_RSP && number != CFI_RA)
		return NONE;
	if (count == 0 && ops) /* undefined */
		return known ? FIRST_REGISTER + number : NONE;
	if (count == 0)
		value = state->registers[number];
	else if (!location_read(state, ops, count, &value))
		return LIBDW_REFUSES;
	return known && value == caller->value[number] ? NONE : FIRST_REGISTER + number;
}

static bool is_root(Dwarf_Frame *frame)
{
	Dwarf_Op memory[3], *ops;
	size_t count;

	return dwarf_frame_register(frame, CFI_RA, memory, &ops, &count) == 0 && count == 0 && ops;
}

static enum exception compare_state(const struct row *row, struct machine_state *state)
{
	struct cfi_row ours = row->ours->row;
	struct cfi_registers registers = { .valid = (1u << CFI_REGISTERS) - 1 };
	uint64_t cfa;
	Dwarf_Op *ops;
	size_t count;

	/* A root's other rules are compared too. */
	if (is_root(row->theirs) != (ours.rules[CFI_RA].kind == CFI_RULE_UNDEFINED))
		return ROOT;
	if (ours.rules[CFI_RA].kind == CFI_RULE_UNDEFINED)
		ours.rules[CFI_RA].kind = CFI_RULE_SAME;
	memcpy(registers.value, state->registers, sizeof(registers.value));
	if (cfi_step(row->table, &ours, &registers, read_made_up_word, state, &cfa) !=
		CFI_STEPPED)
		return NOT_STEPPED;
	if (dwarf_frame_cfa(row->theirs, &ops, &count) != 0 ||
		!location_evaluate(state, ops, count, &state->cfa))
		return LIBDW_REFUSES;
	if (state->cfa != cfa)
		return CFA;
	for (int i = 0; i < CFI_REGISTERS; i++) {
		enum exception exception;

		if (i == CFI_RA && is_root(row->theirs))
			continue;
		exception = compare_register(row, state, &registers, i);
		if (exception)
			return exception;
	}
	return NONE;
}

static bool has_expression(const struct cfi_row *row)
{
	bool has = row->cfa.kind == CFI_RULE_VAL_EXPRESSION;

	for (int i = 0; i < CFI_REGISTERS; i++)
		has |= row->rules[i].kind == CFI_RULE_EXPRESSION ||
			row->rules[i].kind == CFI_RULE_VAL_EXPRESSION;
	return has;
}

static enum exception compare_row(const struct row *row)
{
	static uint64_t random;
	int states = STATES;
	bool is_signal_frame;
	Dwarf_Addr end;

	if (dwarf_frame_info(row->theirs, NULL, &end, &is_signal_frame) < 0)
		return LIBDW_REFUSES;
	/* Not its start: behind a DW_CFA_restore_state libdw gives that of the remembered row. */
	if (end != row->ours->row_end || row->vaddr != row->ours->row_start)
		return RANGE;
	if (is_signal_frame != row->ours->is_signal_frame)
		return SIGNAL_FRAME;
	if (has_expression(&row->ours->row)) {
		totals.expression_rows++;
		states = STATES_OF_EXPRESSION;
	}
	while (states-- > 0) {
		struct machine_state state = { .seed = hash_mix(++random) };
		enum exception exception;

		for (int i = 0; i < MACHINE_REGISTERS; i++)
			state.registers[i] = hash_mix(++random);
		exception = compare_state(row, &state);
		if (exception)
			return exception;
	}
	return NONE;
}

/* The end of the row at VADDR. */
static uint64_t check_row(struct object *o, uint64_t function, uint64_t end, uint64_t vaddr)
{
	static struct cfi_machine machine;
	struct row row = { .table = &o->table, .ours = &machine, .vaddr = vaddr };
	bool ours = cfi_find_row(&o->table, vaddr, &machine);
	bool theirs = dwarf_cfi_addrframe(o->cfi, vaddr, &row.theirs) == 0;
	enum exception exception = NONE;

	totals.rows++;
	if (ours && theirs)
		exception = compare_row(&row);
	else
		exception = ours ? LIBDW_FINDS_NOTHING :
			theirs	 ? OURS_FINDS_NOTHING :
				   NEITHER_FINDS;
	if (theirs)
		free(row.theirs);
	if (exception)
		note(o, function, vaddr, exception);
	else
		totals.agreeing++;
	return ours && machine.row_end > vaddr ? machine.row_end : end;
}

/* --- one file --- */

/* The function's start and size; false: encoded in a way that no x86-64 compiler uses. */
static bool read_range(const uint8_t *at, const uint8_t *stop, uint64_t vaddr, uint8_t encoding,
	uint64_t *start, uint64_t *size)
{
	struct bytes b = bytes_over(at, (size_t)(stop - at));

	switch (encoding) {
	case 0x1b: /* pcrel sdata4 */
		*start = vaddr + (uint64_t)(int64_t)(int32_t)bytes_u32(&b);
		*size = bytes_u32(&b);
		break;
	case 0x1c: /* pcrel sdata8 */
		*start = vaddr + bytes_u64(&b);
		*size = bytes_u64(&b);
		break;
	case 0x03: /* udata4 */
		*start = bytes_u32(&b);
		*size = bytes_u32(&b);
		break;
	case 0x00:
		*start = bytes_u64(&b);
		*size = bytes_u64(&b);
		break;
	default:
		return false;
	}
	return bytes_ok(&b);
}

/* How the FDEs of the CIE at OFFSET encode addresses; -1: not to be known. */
static int find_encoding(const unsigned char *ident, Elf_Data *section, Dwarf_Off offset)
{
	Dwarf_CFI_Entry entry;
	Dwarf_Off next;
	const uint8_t *data;

	if (dwarf_next_cfi(ident, section, true, offset, &next, &entry) != 0 ||
		!dwarf_cfi_cie_p(&entry))
		return -1;
	data = entry.cie.augmentation_data;
	if (entry.cie.augmentation[0] != 'z')
		return 0;
	for (const char *c = entry.cie.augmentation + 1; *c; c++) {
		static const uint8_t pointer_sizes[16] = { 8, 0, 2, 4, 8, 0, 0, 0, 0, 0, 2, 4, 8 };

		if (*c == 'R')
			return *data;
		if (*c == 'L')
			data++;
		else if (*c == 'P')
			data += 1 + pointer_sizes[*data & 15];
	}
	return 0;
}

static void check_function(struct object *o, uint64_t start, uint64_t size)
{
	uint64_t at = start;

	totals.fdes++;
	while (at < start + size)
		at = check_row(o, start, start + size, at);
}

static void check_section(struct object *o, Elf_Data *section, uint64_t section_vaddr)
{
	const unsigned char *ident = (const unsigned char *)elf_getident(o->elf, NULL);
	Dwarf_Off offset = 0, next, cie_offset = (Dwarf_Off)-1;
	int encoding = -1, r;
	Dwarf_CFI_Entry entry;

	for (; (r = dwarf_next_cfi(ident, section, true, offset, &next, &entry)) != 1;
		offset = next) {
		uint64_t start, size;

		if (r < 0) {
			printf("%s: .eh_frame at %#" PRIx64 ": %s\n", o->path, offset,
				dwarf_errmsg(-1));
			return;
		}
		if (dwarf_cfi_cie_p(&entry) || totals.fdes_seen++ % options.sample != 0)
			continue;
		if (entry.fde.CIE_pointer != cie_offset) {
			cie_offset = entry.fde.CIE_pointer;
			encoding = find_encoding(ident, section, cie_offset);
		}
		if (encoding < 0 ||
			!read_range(entry.fde.start, entry.fde.end,
				section_vaddr +
					(uint64_t)(entry.fde.start - (uint8_t *)section->d_buf),
				(uint8_t)encoding, &start, &size))
			printf("%s: FDE at %#" PRIx64 ": encoding %#x\n", o->path, offset,
				encoding);
		else
			check_function(o, start, size);
	}
}

/* The unwind tables as the agent has them: the PT_LOAD with .eh_frame_hdr in it. */
static bool open_table(struct object *o)
{
	GElf_Phdr header = { .p_type = PT_NULL }, h;
	size_t count = 0;

	elf_getphdrnum(o->elf, &count);
	for (size_t i = 0; i < count && header.p_type != PT_GNU_EH_FRAME; i++)
		gelf_getphdr(o->elf, (int)i, &header);
	for (size_t i = 0; i < count && header.p_type == PT_GNU_EH_FRAME; i++) {
		gelf_getphdr(o->elf, (int)i, &h);
		if (h.p_type != PT_LOAD || header.p_vaddr < h.p_vaddr ||
			header.p_vaddr >= h.p_vaddr + h.p_filesz || h.p_offset > o->file.size ||
			h.p_filesz > o->file.size - h.p_offset)
			continue;
		o->table = (struct cfi_table){
			.data = o->file.data + h.p_offset,
			.size = h.p_filesz,
			.vaddr = h.p_vaddr,
			.header_vaddr = header.p_vaddr,
		};
		return cfi_table_open(&o->table);
	}
	return false;
}

static void check_object(struct object *o)
{
	Elf_Scn *scn = NULL;
	size_t names;

	if (!open_table(o) || elf_getshdrstrndx(o->elf, &names) != 0)
		return;
	o->cfi = dwarf_getcfi_elf(o->elf);
	if (!o->cfi)
		return;
	totals.objects++;
	while ((scn = elf_nextscn(o->elf, scn))) {
		GElf_Shdr h;
		const char *name;

		gelf_getshdr(scn, &h);
		name = elf_strptr(o->elf, names, h.sh_name);
		if (h.sh_type != SHT_NOBITS && name && strcmp(name, ".eh_frame") == 0)
			check_section(o, elf_getdata(scn, NULL), h.sh_addr);
	}
	dwarf_cfi_end(o->cfi);
	if (o->listed > options.list)
		printf("%s: %" PRIu64 " more\n", o->path, o->listed - options.list);
}

static bool is_program_or_library(const struct file_bytes *file)
{
	const Elf64_Ehdr *h = (const void *)file->data;

	return file->size > sizeof(*h) && memcmp(h->e_ident, ELFMAG, SELFMAG) == 0 &&
		h->e_ident[EI_CLASS] == ELFCLASS64 && h->e_machine == EM_X86_64 &&
		(h->e_type == ET_DYN || h->e_type == ET_EXEC);
}

static void check_file(const char *path)
{
	struct object o = { .path = path };

	if (file_map(path, &o.file) != 0)
		return;
	if (is_program_or_library(&o.file)) {
		o.elf = elf_memory((char *)o.file.data, o.file.size);
		if (o.elf)
			check_object(&o);
		elf_end(o.elf);
	}
	file_unmap(&o.file);
}

/* --- all --- */

static void usage(void)
{
	fputs("usage: check_unwind [--sample N] [--list N] PATH...\n", stderr);
	exit(2);
}

static int by_name(const FTSENT **a, const FTSENT **b)
{
	return strcmp((*a)->fts_name, (*b)->fts_name);
}

static int report(void)
{
	double percent = totals.rows ? 100.0 * (double)totals.agreeing / (double)totals.rows : 0;

	printf("%" PRIu64 " objects, %" PRIu64 " of %" PRIu64 " FDEs, %" PRIu64 " rows, %" PRIu64
	       " of them with expressions: %.5f %% agree with libdw\n",
		totals.objects, totals.fdes, totals.fdes_seen, totals.rows,
		totals.expression_rows, percent);
	for (int i = 0; i < EXCEPTIONS; i++)
		if (totals.exceptions[i])
			printf("%10" PRIu64 "  %s\n", totals.exceptions[i], exception_names[i]);
	return percent >= 99.99 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	const struct option table[] = {
		{ "sample", required_argument, NULL, 's' },
		{ "list", required_argument, NULL, 'l' },
		{ NULL, 0, NULL, 0 },
	};
	FTSENT *entry;
	FTS *fts;
	int c;

	while ((c = getopt_long(argc, argv, "", table, NULL)) != -1) {
		if (c != 's' && c != 'l')
			usage();
		*(c == 's' ? &options.sample : &options.list) = strtoull(optarg, NULL, 10);
	}
	if (optind == argc || options.sample == 0)
		usage();
	elf_version(EV_CURRENT);
	fts = fts_open(argv + optind, FTS_PHYSICAL | FTS_COMFOLLOW, by_name);
	while (fts && (entry = fts_read(fts)))
		if (entry->fts_info == FTS_F)
			check_file(entry->fts_accpath);
	fts_close(fts);
	return report();
}
