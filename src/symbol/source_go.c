/* Go's own tables: names, lines and inlined calls of executables, plugins and c-shared libraries,
 * stripped or not.  The table has a section of its own in most files; else it lies in .data.rel.ro,
 * and is known by its first bytes. */
#define _GNU_SOURCE
#include <gelf.h>
#include <string.h>

#include "symbol/go_table.h"
#include "symbol/source.h"

/* Of struct moduledata in runtime/symtab.go, in words. */
#define MODULE_TEXT 22
#define MODULE_GOFUNC_1_18 38
#define MODULE_GOFUNC 40

struct relocation {
	uint64_t vaddr;
	uint64_t value;
};

struct go_state {
	struct text_pool *texts;
	struct go_table table;
	const struct binary *binary;
	VEC(struct relocation) relocations; /* R_X86_64_RELATIVE, sorted by place */
};

static int by_vaddr(const void *left, const void *right)
{
	const struct relocation *a = left, *b = right;

	return a->vaddr < b->vaddr ? -1 : a->vaddr > b->vaddr;
}

static void read_relocations(struct go_state *g)
{
	Elf *elf = binary_elf(g->binary);
	Elf_Scn *section = NULL;
	GElf_Shdr header;
	GElf_Rela rela;

	while ((section = elf_nextscn(elf, section)) != NULL) {
		Elf_Data *data;

		if (!gelf_getshdr(section, &header) || header.sh_type != SHT_RELA ||
			!(header.sh_flags & SHF_ALLOC))
			continue;
		data = elf_getdata(section, NULL);
		for (int i = 0; data && gelf_getrela(data, i, &rela); i++)
			if (GELF_R_TYPE(rela.r_info) == R_X86_64_RELATIVE)
				*VEC_PUSH(&g->relocations) = (struct relocation){
					rela.r_offset, (uint64_t)rela.r_addend };
	}
	if (g->relocations.count > 0)
		qsort(g->relocations.items, g->relocations.count,
			sizeof(*g->relocations.items), by_vaddr);
}

/* The word at VADDR as it is once the file is loaded, at bias 0; 0: none is there. */
static uint64_t loaded_word(const struct go_state *g, uint64_t vaddr)
{
	const struct relocation key = { .vaddr = vaddr };
	const struct relocation *found = NULL;
	struct bytes bytes;

	if (g->relocations.count > 0)
		found = bsearch(&key, g->relocations.items, g->relocations.count, sizeof(key),
			by_vaddr);
	if (found)
		return found->value;
	return binary_bytes_at(g->binary, vaddr, &bytes) ? bytes_u64(&bytes) : 0;
}

/* The runtime's description of the module begins with a pointer to the table at TABLE_VADDR, and
 * says where the code starts: that must be executable. */
static bool is_module_data(const struct go_state *g, uint64_t vaddr, uint64_t table_vaddr)
{
	const uint64_t text = loaded_word(g, vaddr + MODULE_TEXT * 8);
	const uint64_t end = loaded_word(g, vaddr + (MODULE_TEXT + 1) * 8);

	return loaded_word(g, vaddr) == table_vaddr && text < end &&
		binary_code_end(g->binary, text) >= end;
}

static uint64_t find_in_section(
	const struct go_state *g, const char *name, uint64_t table_vaddr)
{
	struct binary_section section;

	if (!binary_find_section(g->binary, name, &section))
		return 0;
	for (uint64_t offset = 0; bytes_left(&section.bytes) >= 8; offset += 8) {
		const uint64_t value = bytes_u64(&section.bytes);

		if (value == table_vaddr &&
			is_module_data(g, section.vaddr + offset, table_vaddr))
			return section.vaddr + offset;
	}
	return 0;
}

/* The vaddr of the module's data; 0: not found, and then inlined calls are not known. */
static uint64_t find_module_data(const struct go_state *g, uint64_t table_vaddr)
{
	static const char *const sections[] = { ".go.module", ".noptrdata", ".data" };
	uint64_t found = 0;

	for (size_t i = 0; i < g->relocations.count; i++)
		if (g->relocations.items[i].value == table_vaddr &&
			is_module_data(g, g->relocations.items[i].vaddr, table_vaddr))
			return g->relocations.items[i].vaddr;
	for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]) && !found; i++)
		found = find_in_section(g, sections[i], table_vaddr);
	return found;
}

static bool open_table_at(struct go_state *g, struct bytes bytes, uint64_t vaddr)
{
	uint64_t module, text_start, inlining;
	enum go_version version;

	if (!go_table_signature(bytes, &version))
		return false;
	if (g->relocations.count == 0)
		read_relocations(g);
	module = find_module_data(g, vaddr);
	/* The header's own, of Go 1.18 to 1.25, is relocated too. */
	text_start = module ? loaded_word(g, module + MODULE_TEXT * 8)
			    : loaded_word(g, vaddr + 24);
	if (!go_table_open(&g->table, bytes, text_start))
		return false;
	inlining = module ? loaded_word(g, module + 8 * (version >= GO_1_20 ? MODULE_GOFUNC
									     : MODULE_GOFUNC_1_18))
			  : 0;
	if (version >= GO_1_18 && inlining &&
		!binary_bytes_at(g->binary, inlining, &g->table.inlining))
		bytes_break(&g->table.inlining);
	return true;
}

/* Somewhere in the section, at an address that 8 divides. */
static bool search_section(struct go_state *g, const char *name)
{
	struct binary_section section;
	enum go_version version;

	if (!binary_find_section(g->binary, name, &section))
		return false;
	for (uint64_t offset = 0; bytes_left(&section.bytes) >= 8; offset += 8) {
		if (go_table_signature(section.bytes, &version) &&
			open_table_at(g, section.bytes, section.vaddr + offset))
			return true;
		bytes_skip(&section.bytes, 8);
	}
	return false;
}

static bool is_go(const struct binary *b)
{
	struct binary_section section;

	return binary_find_section(b, ".go.buildinfo", &section) ||
		binary_find_section(b, ".note.go.buildid", &section) ||
		binary_find_section(b, ".gopclntab", &section);
}

static bool find_table(struct go_state *g)
{
	static const char *const own[] = { ".gopclntab", ".data.rel.ro.gopclntab" };
	struct binary_section section;

	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		if (binary_find_section(g->binary, own[i], &section) &&
			open_table_at(g, section.bytes, section.vaddr))
			return true;
	return search_section(g, ".data.rel.ro") || search_section(g, ".rodata");
}

static void go_close(void *state)
{
	struct go_state *g = state;

	VEC_FREE(&g->relocations);
	free(g);
}

static void *go_open(const struct source_input *input)
{
	struct go_state *g;

	/* A debug file has not the table's bytes. */
	if (input->file_count == 0 || !is_go(input->files[0]))
		return NULL;
	g = xcalloc(1, sizeof(*g));
	g->texts = input->texts;
	g->binary = input->files[0];
	if (find_table(g))
		return g;
	go_close(g);
	return NULL;
}

static bool go_resolve(void *state, uint64_t vaddr, struct source_frames *out)
{
	struct go_state *g = state;
	struct go_frame frames[GO_FRAMES_MAX];
	const size_t count = go_table_find(&g->table, vaddr, frames);

	for (size_t i = 0; i < count; i++)
		*VEC_PUSH(&out->frames) = (struct source_frame){
			.name = text_pool_add(g->texts, frames[i].function),
			.file = text_pool_add(g->texts, frames[i].file),
			.line = frames[i].line <= INT32_MAX ? frames[i].line : 0,
			.start_line = frames[i].start_line <= INT32_MAX ? frames[i].start_line
									: 0 };
	return count > 0;
}

static void go_visit_boundaries(void *state, source_boundary_visitor *visit, void *context)
{
	const struct go_state *g = state;

	go_table_visit_boundaries(&g->table, visit, context);
}

const struct source source_go = {
	.name = "Go's pclntab",
	.verdict = VERDICT_GO,
	.resolves = true,
	.open = go_open,
	.resolve = go_resolve,
	.visit_boundaries = go_visit_boundaries,
	.close = go_close,
};
