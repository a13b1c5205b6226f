/* The linker's stubs for calls into other files, named after what they call: "memcpy@plt".
 * No symbol table has them, so other tools give them the name of whatever comes before. */
#define _GNU_SOURCE
#include <gelf.h>
#include <string.h>

#include "symbol/source.h"

#define STUB_SIZE_MAX 16u
#define PLT_NAME "[plt]" /* PLT0, which enters the dynamic linker, and what we cannot read */

struct plt_slot { /* of the GOT, filled by the dynamic linker */
	uint64_t vaddr;
	const char *symbol; /* in the file */
};

struct plt_section {
	struct bytes bytes;
	uint64_t vaddr;
	uint32_t stub_size;
};

struct plt {
	struct text_pool *texts;
	VEC(struct plt_section) sections;
	VEC(struct plt_slot) slots; /* sorted by address */
	VEC(const char *) lazy; /* .rela.plt in its own order, as the stubs push its index */
};

static bool is_function_slot(uint64_t type)
{
	return type == R_X86_64_JUMP_SLOT || type == R_X86_64_GLOB_DAT;
}

static const char *symbol_name(Elf *elf, const GElf_Shdr *relocations, uint64_t index)
{
	Elf_Scn *section = elf_getscn(elf, relocations->sh_link);
	GElf_Shdr header;
	GElf_Sym sym;
	Elf_Data *data;

	if (!section || !gelf_getshdr(section, &header) ||
		(header.sh_type != SHT_DYNSYM && header.sh_type != SHT_SYMTAB))
		return NULL;
	data = elf_getdata(section, NULL);
	if (!data || index > INT32_MAX || !gelf_getsym(data, (int)index, &sym))
		return NULL;
	return elf_strptr(elf, header.sh_link, sym.st_name);
}

static void read_relocations(struct plt *p, Elf *elf, Elf_Scn *section, const GElf_Shdr *header)
{
	size_t names;
	Elf_Data *data = elf_getdata(section, NULL);
	const char *its_name = elf_getshdrstrndx(elf, &names) == 0
		? elf_strptr(elf, names, header->sh_name)
		: NULL;
	const bool is_lazy = its_name && strcmp(its_name, ".rela.plt") == 0;
	GElf_Rela rela;

	for (int i = 0; data && gelf_getrela(data, i, &rela); i++) {
		const char *symbol = NULL;

		if (is_function_slot(GELF_R_TYPE(rela.r_info)))
			symbol = symbol_name(elf, header, GELF_R_SYM(rela.r_info));
		if (symbol && symbol[0])
			*VEC_PUSH(&p->slots) = (struct plt_slot){ rela.r_offset, symbol };
		if (is_lazy)
			*VEC_PUSH(&p->lazy) = symbol && symbol[0] ? symbol : NULL;
	}
}

static void add_section(struct plt *p, const struct binary *b, const char *name)
{
	struct binary_section section;

	if (!binary_find_section(b, name, &section) || bytes_left(&section.bytes) == 0)
		return;
	*VEC_PUSH(&p->sections) = (struct plt_section){ .bytes = section.bytes,
		.vaddr = section.vaddr,
		.stub_size = section.entry_size == 8 ? 8 : STUB_SIZE_MAX };
}

static int by_slot_vaddr(const void *left, const void *right)
{
	const struct plt_slot *a = left, *b = right;

	return a->vaddr < b->vaddr ? -1 : a->vaddr > b->vaddr;
}

static void plt_close(void *state)
{
	struct plt *p = state;

	VEC_FREE(&p->sections);
	VEC_FREE(&p->slots);
	VEC_FREE(&p->lazy);
	free(p);
}

static void *plt_open(const struct source_input *input)
{
	struct plt *p = xcalloc(1, sizeof(*p));
	const struct binary *b = input->file_count > 0 ? input->files[0] : NULL;
	Elf_Scn *section = NULL;
	GElf_Shdr header;

	p->texts = input->texts;
	if (b) {
		add_section(p, b, ".plt");
		add_section(p, b, ".plt.sec");
		add_section(p, b, ".plt.got");
		add_section(p, b, ".plt.bnd");
	}
	if (p->sections.count == 0) {
		plt_close(p);
		return NULL;
	}
	while ((section = elf_nextscn(binary_elf(b), section)) != NULL)
		if (gelf_getshdr(section, &header) && header.sh_type == SHT_RELA)
			read_relocations(p, binary_elf(b), section, &header);
	if (p->slots.count > 0)
		qsort(p->slots.items, p->slots.count, sizeof(*p->slots.items), by_slot_vaddr);
	return p;
}

static const char *slot_symbol(const struct plt *p, uint64_t vaddr)
{
	const struct plt_slot key = { .vaddr = vaddr };
	const struct plt_slot *slot;

	if (p->slots.count == 0)
		return NULL;
	slot = bsearch(&key, p->slots.items, p->slots.count, sizeof(key), by_slot_vaddr);
	return slot ? slot->symbol : NULL;
}

/* What the stub at VADDR jumps to; NULL: it is none that we know. */
static const char *stub_symbol(const struct plt *p, struct bytes stub, uint64_t vaddr)
{
	static const uint8_t endbr64[] = { 0xf3, 0x0f, 0x1e, 0xfa };
	const uint8_t *start = stub.at;
	uint8_t opcode;

	if (bytes_left(&stub) >= sizeof(endbr64) &&
		memcmp(stub.at, endbr64, sizeof(endbr64)) == 0)
		bytes_skip(&stub, sizeof(endbr64));
	opcode = bytes_u8(&stub);
	if (opcode == 0x41) { /* mov INDEX, %r11d: mold's PLT0 takes it from there */
		bytes_skip(&stub, 5);
		opcode = bytes_u8(&stub);
	}
	if (opcode == 0xf2) /* bnd, from the days of MPX */
		opcode = bytes_u8(&stub);
	if (opcode == 0x68) { /* push INDEX: the lazy half of a stub with IBT */
		uint32_t index = bytes_u32(&stub);

		return bytes_ok(&stub) && index < p->lazy.count ? p->lazy.items[index] : NULL;
	}
	if (opcode == 0xff && bytes_u8(&stub) == 0x25) { /* jmp *SLOT(%rip) */
		int32_t displacement = (int32_t)bytes_u32(&stub);

		if (bytes_ok(&stub))
			return slot_symbol(p,
				vaddr + (uint64_t)(stub.at - start) + (uint64_t)displacement);
	}
	return NULL;
}

static const char *stub_name(
	const struct plt *p, const struct plt_section *section, uint64_t offset)
{
	const uint64_t start = offset - offset % section->stub_size;
	struct bytes stub = section->bytes;
	const char *symbol, *kept;
	char *name;

	bytes_skip(&stub, start);
	if (bytes_left(&stub) > section->stub_size)
		stub.end = stub.at + section->stub_size;
	symbol = stub_symbol(p, stub, section->vaddr + start);
	if (!symbol)
		return text_pool_add(p->texts, PLT_NAME);
	name = xasprintf("%.*s@plt", (int)strcspn(symbol, "@"), symbol);
	kept = text_pool_add(p->texts, name);
	free(name);
	return kept;
}

static bool plt_resolve(void *state, uint64_t vaddr, struct source_frames *out)
{
	const struct plt *p = state;

	for (size_t i = 0; i < p->sections.count; i++) {
		const struct plt_section *section = &p->sections.items[i];

		if (vaddr < section->vaddr ||
			vaddr - section->vaddr >= bytes_left(&section->bytes))
			continue;
		*VEC_PUSH(&out->frames) = (struct source_frame){
			.linkage_name = stub_name(p, section, vaddr - section->vaddr) };
		return true;
	}
	return false;
}

static void plt_visit_boundaries(void *state, source_boundary_visitor *visit, void *context)
{
	const struct plt *p = state;

	for (size_t i = 0; i < p->sections.count; i++) {
		const struct plt_section *section = &p->sections.items[i];
		const uint64_t size = bytes_left(&section->bytes);

		for (uint64_t at = 0; at < size; at += section->stub_size)
			visit(context, section->vaddr + at);
		visit(context, section->vaddr + size);
	}
}

const struct source source_plt = {
	.name = "PLT",
	.verdict = VERDICT_FDE_ONLY,
	.resolves = true,
	.open = plt_open,
	.resolve = plt_resolve,
	.visit_boundaries = plt_visit_boundaries,
	.close = plt_close,
};
