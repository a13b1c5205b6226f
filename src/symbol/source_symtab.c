/* The linker's symbol tables.  A symbol names the addresses within its size and no others. */
#define _GNU_SOURCE
#include <gelf.h>
#include <string.h>

#include "base/compiler.h"
#include "symbol/interval_map.h"
#include "symbol/section.h"
#include "symbol/source.h"

#define UNPACKED_SIZE_MAX (256u << 20)

struct symbol {
	uint64_t vaddr;
	uint64_t size; /* 0: it names its own address only */
	const char *name; /* in the file */
	uint32_t name_size; /* without a version */
	uint8_t binding;
	bool is_folded;
};

struct symtab {
	struct text_pool *texts;
	VEC(struct symbol) symbols;
	struct interval_map sized;
	struct interval_map points; /* those without size */
	struct binary *unpacked; /* what .gnu_debugdata holds; NULL: the tables are elsewhere */
};

/* The part of a symbol's name before a version ("memcpy@@GLIBC_2.14"). */
static size_t size_without_version(const char *name)
{
	const char *at = strchr(name + 1, '@');

	return at ? (size_t)(at - name) : strlen(name);
}

/* Mapping symbols ("$x"), the assembler's own labels (".L12"): not names of functions. */
static bool is_label(const char *name)
{
	return name[0] == '\0' || name[0] == '$' || (name[0] == '.' && name[1] == 'L');
}

static bool is_code_symbol(const GElf_Sym *sym)
{
	const int type = GELF_ST_TYPE(sym->st_info);

	return sym->st_shndx != SHN_UNDEF && sym->st_shndx != SHN_ABS &&
		sym->st_shndx != SHN_COMMON &&
		(type == STT_FUNC || type == STT_GNU_IFUNC || type == STT_NOTYPE);
}

static void add_symbol(
	struct symtab *t, const struct binary *b, const GElf_Sym *sym, const char *name)
{
	const uint64_t code_end = binary_code_end(b, sym->st_value);
	uint64_t size = sym->st_size;

	if (!is_code_symbol(sym) || code_end == 0 || !name || is_label(name))
		return;
	if (size > code_end - sym->st_value)
		size = code_end - sym->st_value;
	*VEC_PUSH(&t->symbols) = (struct symbol){ .vaddr = sym->st_value,
		.size = size,
		.name = name,
		.name_size = (uint32_t)size_without_version(name),
		.binding = GELF_ST_BIND(sym->st_info) };
}

static void read_table(struct symtab *t, const struct binary *b, uint32_t section_type)
{
	Elf_Scn *section = NULL;
	GElf_Shdr header;
	GElf_Sym sym;

	while ((section = elf_nextscn(binary_elf(b), section)) != NULL) {
		Elf_Data *data;

		if (!gelf_getshdr(section, &header) || header.sh_type != section_type)
			continue;
		data = elf_getdata(section, NULL);
		for (int i = 0; data && gelf_getsym(data, i, &sym); i++)
			add_symbol(t, b, &sym,
				elf_strptr(binary_elf(b), header.sh_link, sym.st_name));
	}
}

static size_t leading_underscores(const struct symbol *s)
{
	size_t count = 0;

	while (count < s->name_size && s->name[count] == '_')
		count++;
	return count;
}

/* Aliases of one address: the better name comes later.  A name that other files see beats one
 * that they do not; "malloc" beats "__libc_malloc"; the rest is for a stable answer. */
static int by_vaddr_then_goodness(const void *left, const void *right)
{
	const struct symbol *a = left, *b = right;
	const bool a_is_local = a->binding == STB_LOCAL, b_is_local = b->binding == STB_LOCAL;
	const size_t a_underscores = leading_underscores(a);
	const size_t b_underscores = leading_underscores(b);
	int r;

	if (a->vaddr != b->vaddr)
		return a->vaddr < b->vaddr ? -1 : 1;
	if (a_is_local != b_is_local)
		return a_is_local ? -1 : 1;
	if (a_underscores != b_underscores)
		return a_underscores > b_underscores ? -1 : 1;
	if (a->name_size != b->name_size)
		return a->name_size > b->name_size ? -1 : 1;
	r = memcmp(b->name, a->name, a->name_size);
	return r ? r : (a->size > b->size) - (a->size < b->size);
}

#define RUNTIME_SIZE_MAX 256 /* bytes; the largest of them has 60 */

/* What the compiler's crtbegin.o brings into every library: functions without size and without FDE,
 * written in this one way.  Each ends where the next symbol begins. */
static bool is_runtime_function(const struct symbol *s)
{
	static const char *const names[] = { "deregister_tm_clones", "register_tm_clones",
		"__do_global_dtors_aux", "frame_dummy" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (s->name_size == strlen(names[i]) &&
			memcmp(s->name, names[i], s->name_size) == 0)
			return s->size == 0 && s->binding == STB_LOCAL;
	return false;
}

/* The symbols are sorted. */
static void size_runtime_functions(struct symtab *t)
{
	for (size_t i = 0; i < t->symbols.count; i++) {
		struct symbol *s = &t->symbols.items[i];
		size_t next = i + 1;

		if (!is_runtime_function(s))
			continue;
		while (next < t->symbols.count && t->symbols.items[next].vaddr == s->vaddr)
			next++;
		if (next < t->symbols.count &&
			t->symbols.items[next].vaddr - s->vaddr <= RUNTIME_SIZE_MAX)
			s->size = t->symbols.items[next].vaddr - s->vaddr;
	}
}

/* "_ZN1AC1Ev" and "_ZN1AC2Ev": a constructor's or destructor's variants. */
static bool are_variants(const struct symbol *a, const struct symbol *b)
{
	size_t different = 0;

	if (a->name_size != b->name_size)
		return false;
	for (size_t i = 1; i < a->name_size; i++)
		if (a->name[i] != b->name[i])
			different += a->name[i - 1] == 'C' || a->name[i - 1] == 'D' ? 1 : 2;
	return different <= 1;
}

/* "malloc" and "__libc_malloc", "f" and "f.localalias": written as one function. */
static bool is_part_of(const struct symbol *a, const struct symbol *b)
{
	const size_t skipped = leading_underscores(a);

	return memmem(b->name, b->name_size, a->name + skipped, a->name_size - skipped) != NULL;
}

/* Two functions that were written apart, and share all of their code. */
static bool are_folded(const struct symbol *a, const struct symbol *b)
{
	return a->size == b->size && a->size > 0 && !are_variants(a, b) && !is_part_of(a, b) &&
		!is_part_of(b, a);
}

/* The symbols are sorted: the last of an address is the one that names it. */
static void find_folded(struct symtab *t)
{
	struct symbol *symbols = t->symbols.items;

	for (size_t i = 0, last; i < t->symbols.count; i = last + 1) {
		for (last = i; last + 1 < t->symbols.count &&
				symbols[last + 1].vaddr == symbols[i].vaddr;)
			last++;
		for (size_t other = i; other < last && !symbols[last].is_folded; other++)
			symbols[last].is_folded = are_folded(&symbols[other], &symbols[last]);
	}
}

static void index_symbols(struct symtab *t)
{
	struct symbol_intervals {
		VEC(struct interval) list;
	} sized = { { NULL, 0, 0 } }, points = { { NULL, 0, 0 } };

	qsort(t->symbols.items, t->symbols.count, sizeof(*t->symbols.items),
		by_vaddr_then_goodness);
	size_runtime_functions(t);
	find_folded(t);
	for (size_t i = 0; i < t->symbols.count && i < UINT32_MAX; i++) {
		const struct symbol *s = &t->symbols.items[i];
		struct interval *in = s->size ? VEC_PUSH(&sized.list) : VEC_PUSH(&points.list);

		*in = (struct interval){ .start = s->vaddr,
			.end = s->vaddr + (s->size ? s->size : 1),
			.rank = (uint32_t)i,
			.owner = (uint32_t)i };
	}
	interval_map_build(&t->sized, sized.list.items, sized.list.count);
	interval_map_build(&t->points, points.list.items, points.list.count);
	VEC_FREE(&sized.list);
	VEC_FREE(&points.list);
}

static void symtab_close(void *state)
{
	struct symtab *t = state;

	VEC_FREE(&t->symbols);
	interval_map_free(&t->sized);
	interval_map_free(&t->points);
	binary_close(t->unpacked);
	free(t);
}

/* T, read, as a source's state. */
static void *finish_open(struct symtab *t)
{
	if (t->symbols.count == 0) {
		symtab_close(t);
		return NULL;
	}
	index_symbols(t);
	return t;
}

static void *open_tables(const struct source_input *input, uint32_t section_type)
{
	struct symtab *t = xcalloc(1, sizeof(*t));

	t->texts = input->texts;
	for (size_t i = 0; i < input->file_count; i++)
		read_table(t, input->files[i], section_type);
	return finish_open(t);
}

/* An ELF file with nothing but the functions' .symtab, xz-compressed: "MiniDebugInfo" in GDB's
 * manual.  Fedora and its kin leave it in what they strip. */
static struct binary *unpack_debug_data(const struct binary *b, struct trail *trail)
{
	struct binary_section section;
	struct binary *unpacked = NULL;
	size_t size;
	void *image;

	if (!binary_find_section(b, ".gnu_debugdata", &section))
		return NULL;
	image = section_unpack_xz(section.bytes, UNPACKED_SIZE_MAX, &size);
	if (image && binary_open_memory(image, size, binary_path(b), &unpacked) < 0)
		unpacked = NULL;
	trail_note(trail, PLACE_MINIDEBUG, binary_path(b), unpacked ? "taken" : "damaged");
	free(image);
	return unpacked;
}

static void *minidebug_open(const struct source_input *input)
{
	struct symtab *t = xcalloc(1, sizeof(*t));

	t->texts = input->texts;
	if (input->file_count > 0)
		t->unpacked = unpack_debug_data(input->files[0], input->trail);
	if (t->unpacked)
		read_table(t, t->unpacked, SHT_SYMTAB);
	return finish_open(t);
}

static void *symtab_open(const struct source_input *input)
{
	return open_tables(input, SHT_SYMTAB);
}

static void *dynsym_open(const struct source_input *input)
{
	return open_tables(input, SHT_DYNSYM);
}

static bool symtab_resolve(void *state, uint64_t vaddr, struct source_frames *out)
{
	const struct symtab *t = state;
	const struct symbol *s;
	uint32_t index;

	if (!interval_map_find(&t->sized, vaddr, &index) &&
		!interval_map_find(&t->points, vaddr, &index))
		return false;
	s = &t->symbols.items[index];
	*VEC_PUSH(&out->frames) = (struct source_frame){
		.linkage_name = text_pool_add_sized(t->texts, s->name, s->name_size) };
	return true;
}

static bool symtab_is_folded(void *state, uint64_t vaddr)
{
	const struct symtab *t = state;
	uint32_t index;

	return interval_map_find(&t->sized, vaddr, &index) && t->symbols.items[index].is_folded;
}

static void symtab_visit_boundaries(void *state, source_boundary_visitor *visit, void *context)
{
	const struct symtab *t = state;

	for (size_t i = 0; i < t->sized.segments.count; i++)
		visit(context, t->sized.segments.items[i].start);
	for (size_t i = 0; i < t->points.segments.count; i++)
		visit(context, t->points.segments.items[i].start);
}

const struct source source_symtab = {
	.name = ".symtab",
	.verdict = VERDICT_SYMBOLS,
	.resolves = true,
	.open = symtab_open,
	.resolve = symtab_resolve,
	.visit_boundaries = symtab_visit_boundaries,
	.is_folded = symtab_is_folded,
	.close = symtab_close,
};

const struct source source_minidebug = {
	.name = ".gnu_debugdata",
	.verdict = VERDICT_SYMBOLS,
	.resolves = true,
	.open = minidebug_open,
	.resolve = symtab_resolve,
	.visit_boundaries = symtab_visit_boundaries,
	.is_folded = symtab_is_folded,
	.close = symtab_close,
};

const struct source source_dynsym = {
	.name = ".dynsym",
	.verdict = VERDICT_EXPORTS_ONLY,
	.resolves = true,
	.open = dynsym_open,
	.resolve = symtab_resolve,
	.visit_boundaries = symtab_visit_boundaries,
	.is_folded = symtab_is_folded,
	.close = symtab_close,
};
