/*
 * What the C runtime brings into programs and libraries.
 *
 * _init and _fini (crti.o, crtn.o): a section each, put together from parts of several object
 * files, so their symbols have no size and no FDE covers them.  The section's bounds are the
 * function's.  (System V gABI 4.1, "Special Sections": .init, .fini.)
 *
 * _start (crt1.o and its kin): the program's entry point, if it is written as glibc has it
 * (sysdeps/x86_64/start.S), instruction by instruction.  Other entry points have other names.
 */
#include "symbol/source.h"

#include <gelf.h>

#include "base/compiler.h"

struct part {
	const char *function;
	uint64_t start, end; /* vaddr */
};

struct init {
	struct part parts[3];
	size_t count;
};

/* One instruction in as many ways as it is written: the bytes that are always so, and how many
 * follow that are not. */
struct instruction {
	struct {
		uint8_t size, bytes[4], operand_size;
	} ways[3];
	bool may_be_missing;
};

static const struct instruction start_code[] = {
	{ { { 4, { 0xf3, 0x0f, 0x1e, 0xfa }, 0 } }, true }, /* endbr64 */
	{ { { 2, { 0x31, 0xed }, 0 } }, false }, /* xor %ebp, %ebp */
	{ { { 3, { 0x49, 0x89, 0xd1 }, 0 } }, false }, /* mov %rdx, %r9 */
	{ { { 1, { 0x5e }, 0 } }, false }, /* pop %rsi */
	{ { { 3, { 0x48, 0x89, 0xe2 }, 0 } }, false }, /* mov %rsp, %rdx */
	{ { { 4, { 0x48, 0x83, 0xe4, 0xf0 }, 0 } }, false }, /* and $-16, %rsp */
	{ { { 1, { 0x50 }, 0 } }, false }, /* push %rax */
	{ { { 1, { 0x54 }, 0 } }, false }, /* push %rsp */
	/* %r8 and %rcx: 0, or before glibc 2.34 __libc_csu_fini and __libc_csu_init */
	{ { { 3, { 0x45, 0x31, 0xc0 }, 0 }, { 3, { 0x49, 0xc7, 0xc0 }, 4 },
		  { 3, { 0x4c, 0x8d, 0x05 }, 4 } },
		false },
	{ { { 2, { 0x31, 0xc9 }, 0 }, { 3, { 0x48, 0xc7, 0xc1 }, 4 },
		  { 3, { 0x48, 0x8d, 0x0d }, 4 } },
		false },
	/* %rdi: main */
	{ { { 3, { 0x48, 0xc7, 0xc7 }, 4 }, { 3, { 0x48, 0x8d, 0x3d }, 4 },
		  { 3, { 0x48, 0x8b, 0x3d }, 4 } },
		false },
	/* call __libc_start_main */
	{ { { 2, { 0xff, 0x15 }, 4 }, { 1, { 0xe8 }, 4 }, { 2, { 0x67, 0xe8 }, 4 } }, false },
	{ { { 1, { 0xf4 }, 0 } }, false }, /* hlt */
};

static bool skip_instruction(struct bytes *code, const struct instruction *wanted)
{
	for (size_t i = 0; i < ARRAY_SIZE(wanted->ways) && wanted->ways[i].size; i++) {
		const size_t size = wanted->ways[i].size;

		if (bytes_left(code) >= size &&
			memcmp(code->at, wanted->ways[i].bytes, size) == 0)
			return bytes_skip(code, size + wanted->ways[i].operand_size);
	}
	return wanted->may_be_missing;
}

static void add_part(struct init *init, const char *function, uint64_t start, uint64_t size)
{
	if (start && size)
		init->parts[init->count++] = (struct part){ function, start, start + size };
}

static void add_section(
	struct init *init, const struct binary *b, const char *name, const char *function)
{
	struct binary_section section;

	if (binary_find_section(b, name, &section))
		add_part(init, function, section.vaddr, bytes_left(&section.bytes));
}

static void add_start(struct init *init, const struct binary *b)
{
	struct bytes code;
	const uint8_t *first;
	GElf_Ehdr header;

	if (!gelf_getehdr(binary_elf(b), &header) || binary_code_end(b, header.e_entry) == 0 ||
		!binary_bytes_at(b, header.e_entry, &code))
		return;
	first = code.at;
	for (size_t i = 0; i < ARRAY_SIZE(start_code); i++)
		if (!skip_instruction(&code, &start_code[i]))
			return;
	add_part(init, "_start", header.e_entry, (uint64_t)(code.at - first));
}

static void *init_open(const struct source_input *input)
{
	struct init init = { .count = 0 };

	if (input->file_count == 0)
		return NULL;
	add_section(&init, input->files[0], ".init", "_init");
	add_section(&init, input->files[0], ".fini", "_fini");
	add_start(&init, input->files[0]);
	return init.count ? memcpy(xmalloc(sizeof(init)), &init, sizeof(init)) : NULL;
}

static bool init_resolve(void *state, uint64_t vaddr, struct source_frames *out)
{
	const struct init *init = state;

	for (size_t i = 0; i < init->count; i++) {
		if (vaddr < init->parts[i].start || vaddr >= init->parts[i].end)
			continue;
		*VEC_PUSH(&out->frames) = (struct source_frame){ .name = init->parts[i].function };
		return true;
	}
	return false;
}

static void init_close(void *state)
{
	free(state);
}

static void init_visit_boundaries(void *state, source_boundary_visitor *visit, void *context)
{
	const struct init *init = state;

	for (size_t i = 0; i < init->count; i++) {
		visit(context, init->parts[i].start);
		visit(context, init->parts[i].end);
	}
}

const struct source source_init = {
	.name = "the C runtime's parts",
	.verdict = VERDICT_FDE_ONLY,
	.resolves = true,
	.open = init_open,
	.resolve = init_resolve,
	.visit_boundaries = init_visit_boundaries,
	.close = init_close,
};
