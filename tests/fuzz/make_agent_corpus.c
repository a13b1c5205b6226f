/*
 * Makes tests/fuzz/corpus/cfi and tests/fuzz/corpus/spool again:
 *     make_agent_corpus tests/fuzz/corpus
 * Build with -Isrc -Itests; links nothing.  What it makes is checked in; run it after an edit here.
 */
#include <dwarf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "spool/spool_format.h"
#include "unit/eh_frame.h"

static const char *folder;

static void write_file(const char *kind, const char *name, const void *data, size_t size)
{
	char path[4096];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s/%s", folder, kind, name);
	file = fopen(path, "wb");
	if (!file || fwrite(data, 1, size, file) != size || fclose(file) != 0) {
		perror(path);
		exit(1);
	}
}

/* --- unwind tables --- */

static struct image image;

static const struct {
	const char *name;
	struct text program;
} programs[] = {
	{ "usual", TEXT(DW_CFA_advance_loc | 1, DW_CFA_def_cfa_offset, 16, DW_CFA_offset | 6, 2,
			   DW_CFA_advance_loc | 3, DW_CFA_def_cfa_register, 6) },
	{ "remembered", TEXT(DW_CFA_remember_state, DW_CFA_def_cfa, 7, 8, DW_CFA_advance_loc1, 4,
				DW_CFA_restore_state) },
	{ "far", TEXT(DW_CFA_advance_loc2, 4, 0, DW_CFA_advance_loc4, 4, 0, 0, 0,
			 DW_CFA_restore_extended, 6, DW_CFA_restore | 6) },
	{ "signed", TEXT(DW_CFA_def_cfa_sf, 7, 0x7f, DW_CFA_def_cfa_offset_sf, 0x7e,
			    DW_CFA_offset_extended_sf, 6, 2, DW_CFA_val_offset_sf, 3, 1,
			    DW_CFA_GNU_negative_offset_extended, 12, 2) },
	{ "others", TEXT(DW_CFA_undefined, 0, DW_CFA_same_value, 3, DW_CFA_register, 6, 12,
			    DW_CFA_val_offset, 13, 2, DW_CFA_offset_extended, 14, 3,
			    DW_CFA_GNU_args_size, 32) },
	{ "plt", TEXT(DW_CFA_def_cfa_expression, 11, DW_OP_breg7, 8, DW_OP_breg16, 0, DW_OP_lit15,
			 DW_OP_and, DW_OP_lit11, DW_OP_ge, DW_OP_lit3, DW_OP_shl, DW_OP_plus) },
	{ "realigned", TEXT(DW_CFA_def_cfa_expression, 3, DW_OP_breg6, 0x78, DW_OP_deref,
			       DW_CFA_expression, 6, 2, DW_OP_breg6, 0) },
	{ "loop", TEXT(DW_CFA_val_expression, 16, 7, DW_OP_lit3, DW_OP_lit1, DW_OP_minus, DW_OP_dup,
			  DW_OP_bra, 0xfa, 0xff) },
	{ "arithmetic", TEXT(DW_CFA_val_expression, 16, 27, DW_OP_lit9, DW_OP_lit2, DW_OP_div,
				DW_OP_lit3, DW_OP_mod, DW_OP_lit5, DW_OP_mul, DW_OP_neg, DW_OP_abs,
				DW_OP_not, DW_OP_plus_uconst, 9, DW_OP_lit1, DW_OP_shra, DW_OP_over,
				DW_OP_swap, DW_OP_rot, DW_OP_xor, DW_OP_or, DW_OP_pick, 0,
				DW_OP_lt, DW_OP_const2u, 1, 2, DW_OP_deref_size, 4) },
	{ "root", TEXT(DW_CFA_undefined, 16) },
};

static void make_cie_kind(const char *name, const char *augmentation, struct text data)
{
	size_t cie;

	start_image(&image, 1);
	cie = put_cie(&image, augmentation, data, AS_TEXT(USUAL_CIE));
	put_search_row(&image, 0, FUNCTION_VADDR,
		put_fde(&image, cie, FUNCTION_VADDR, FUNCTION_SIZE, AS_TEXT(DW_CFA_nop)));
	put(&image, 0, 4);
	write_file("cfi", name, image.bytes, image.size);
}

static void make_cfi_corpus(void)
{
	size_t cie;

	for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
		make_image(&image, AS_TEXT(USUAL_CIE), programs[i].program);
		write_file("cfi", programs[i].name, image.bytes, image.size);
	}
	/* Walked, for want of a search table. */
	image.bytes[2] = image.bytes[3] = DW_EH_PE_omit;
	write_file("cfi", "walked", image.bytes, image.size);
	make_cie_kind("signal", "zRS", AS_TEXT(0x1b));
	make_cie_kind("personality", "zPLR", AS_TEXT(0x9b, 1, 2, 3, 4, 0x1b, 0x1b));
	start_image(&image, 4);
	cie = put_cie(&image, "zR", AS_TEXT(0x1b), AS_TEXT(USUAL_CIE));
	for (uint32_t i = 0; i < 4; i++) {
		const uint64_t vaddr = FUNCTION_VADDR + 0x40 * i;

		put_search_row(&image, i, vaddr,
			put_fde(&image, cie, vaddr, i % 2 ? 0x30 : 0, programs[i].program));
	}
	put(&image, 0, 4);
	write_file("cfi", "several", image.bytes, image.size);
}

/* --- spools --- */

static uint8_t spool[8192] __attribute__((aligned(8)));
static size_t spool_size;

static void *add(const void *data, size_t size)
{
	void *at = spool + spool_size;

	memcpy(at, data, size);
	spool_size += (size + 7) & ~(size_t)7;
	return at;
}

static void start_section(struct spool_section *section, uint32_t type, uint32_t entry_size)
{
	*section = (struct spool_section){
		.type = type, .entry_size = entry_size, .offset = spool_size };
}

static void add_text(enum spool_text_kind kind, const char *text)
{
	struct spool_text record = { .kind = kind, .length = (uint32_t)strlen(text) };

	record.record.size = (uint32_t)(sizeof(record) + ((record.length + 7) & ~7u));
	record.record.type = SPOOL_RECORD_TEXT;
	add(&record, sizeof(record));
	add(text, record.length);
}

static void add_module(uint32_t id)
{
	static const char path[] = "/p/lib.so", names[] = "lib.so\0libc.so.6";
	const struct spool_segment segment = { 0x1000, 0x2000, 0x1000 };
	struct spool_module record = {
		.id = id,
		.flags = SPOOL_MODULE_DLOPENED,
		.first_bias = 0x7f0000000000,
		.build_id_size = 20,
		.path_length = sizeof(path) - 1,
		.segment_count = 1,
		.names_length = sizeof(names),
	};
	char behind[sizeof(segment) + sizeof(path) - 1 + sizeof(names)];

	memcpy(behind, &segment, sizeof(segment));
	memcpy(behind + sizeof(segment), path, sizeof(path) - 1);
	memcpy(behind + sizeof(segment) + sizeof(path) - 1, names, sizeof(names));
	record.record.size = (uint32_t)((sizeof(record) + sizeof(behind) + 7) & ~(size_t)7);
	record.record.type = SPOOL_RECORD_MODULE;
	add(&record, sizeof(record));
	add(behind, sizeof(behind));
}

/* Two frames of the stack table's each; one entry was copied while it changed. */
static void add_heap(struct spool_section *sections, uint32_t stack_count)
{
	const struct spool_heap heap = { .rate_bytes = 524288 };

	start_section(&sections[0], SPOOL_SECTION_HEAP, sizeof(heap));
	add(&heap, sizeof(heap));
	sections[0].size = sizeof(heap);
	start_section(&sections[1], SPOOL_SECTION_LIVE, sizeof(struct spool_live));
	for (uint32_t i = 0; i < stack_count; i++) {
		struct spool_live live = {
			.address = 0x1000 + i, .size = 100 * i, .time_ns = i, .stack = i };

		live.check = spool_live_check(live.address, live.size, live.time_ns, live.stack);
		live.check += i == 2;
		add(&live, sizeof(live));
	}
	sections[1].size = spool_size - sections[1].offset;
	start_section(&sections[2], SPOOL_SECTION_HEAP_STACKS, sizeof(struct spool_heap_stack));
	for (uint32_t i = 0; i < stack_count; i++) {
		const struct spool_heap_stack stack = { .key = i + 1,
			.frames = i == 1 ? SPOOL_FRAMES_REFUSED : (uint64_t)i << 16 | 2,
			.alloc_objects = 65536,
			.alloc_bytes = 100,
			.size_class = (uint16_t)(i + 6) };

		add(&stack, sizeof(stack));
	}
	sections[2].size = spool_size - sections[2].offset;
}

/* A set that is whole, and one whose text ends early. */
static void add_labels(struct spool_section *sections)
{
	static const char texts[] = "tenant\0blue\0trace\0" "4bf92f35";
	const struct spool_label_set sets[] = { { .key = 1, .text = 1, .size = sizeof(texts) },
		{ .key = 2, .text = 1, .size = sizeof("tenant") } };
	const struct spool_label_texts head = { .used = sizeof(texts), .lost = 3 };

	start_section(&sections[0], SPOOL_SECTION_LABEL_SETS, sizeof(sets[0]));
	add(sets, sections[0].size = sizeof(sets));
	start_section(&sections[1], SPOOL_SECTION_LABEL_TEXTS, 0);
	add(&head, sizeof(head));
	add(texts, sizeof(texts));
	sections[1].size = spool_size - sections[1].offset;
}

static void make_spool(uint32_t module_count, uint32_t stack_count)
{
	struct spool_header header = { .magic = SPOOL_MAGIC,
		.version = SPOOL_VERSION,
		.header_size = sizeof(header),
		.state = SPOOL_ENDED,
		.pid = 1,
		.period_ns = 10000000,
		.counters = { 10, 10 } };
	struct spool_section *sections = ((struct spool_header *)spool)->sections;
	const struct spool_thread_name names[2] = { { .state = 0 },
		{ .state = SPOOL_NAME_READY, .name = "worker" } };

	spool_size = 0;
	memset(spool, 0, sizeof(spool));
	add(&header, sizeof(header));
	start_section(&sections[0], SPOOL_SECTION_JOURNAL, 0);
	add_text(SPOOL_TEXT_EXECUTABLE, "/usr/bin/host");
	for (uint32_t id = 1; id <= module_count; id++)
		add_module(id);
	sections[0].size = spool_size - sections[0].offset;
	((struct spool_header *)spool)->journal_used = sections[0].size;
	start_section(&sections[1], SPOOL_SECTION_THREAD_NAMES, sizeof(names[0]));
	add(names, sections[1].size = sizeof(names));
	start_section(&sections[2], SPOOL_SECTION_CPU_STACKS, sizeof(struct spool_stack));
	for (uint32_t i = 0; i < stack_count; i++) {
		const struct spool_stack stack = { .key = i + 1,
			.frames = (uint64_t)i << 16 | 2,
			.periods = i + 1,
			.thread_name = (uint16_t)(i % 2) };

		add(&stack, sizeof(stack));
	}
	sections[2].size = spool_size - sections[2].offset;
	start_section(&sections[3], SPOOL_SECTION_FRAMES, sizeof(spool_frame));
	for (uint32_t i = 0; i <= stack_count; i++) {
		const spool_frame frame = i == 3 ? spool_frame_note(SPOOL_NOTE_BAD_STACK, 1) :
			i == 5 || i == 7         ? spool_frame_note(SPOOL_NOTE_LABELS, i / 2 - 1) :
						   spool_frame_of(i % 3, 0x1000 + i);

		add(&frame, sizeof(frame));
	}
	sections[3].size = spool_size - sections[3].offset;
	add_heap(sections + 4, stack_count);
	add_labels(sections + 7);
	((struct spool_header *)spool)->file_size = spool_size;
}

static void make_spool_corpus(void)
{
	make_spool(0, 0);
	write_file("spool", "empty", spool, spool_size);
	make_spool(2, 8);
	write_file("spool", "small", spool, spool_size);
	write_file("spool", "torn", spool, spool_size - 100);
	((struct spool_header *)spool)->state = SPOOL_RECORDING;
	((struct spool_header *)spool)->sections[2].size = UINT64_MAX;
	write_file("spool", "hostile-section", spool, spool_size);
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fputs("usage: make_agent_corpus FOLDER\n", stderr);
		return 2;
	}
	folder = argv[1];
	make_cfi_corpus();
	make_spool_corpus();
	return 0;
}
