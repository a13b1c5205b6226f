/* System V ABI, "Dynamic Section"; versions: LSB Core, "Symbol Versioning". */
#define _GNU_SOURCE
#include "symbol/dynamic.h"

#include <gelf.h>
#include <string.h>

#include "base/compiler.h"
#include "symbol/binary.h"

/* Version tables are chains without a size; real ones have a few dozen links. */
#define NEEDS_MAX 256
#define VERSIONS_MAX 1024

struct entries { /* vaddrs and numbers; 0: none */
	uint64_t strings, strings_size, symbols, symbol_hash, version_needs, versions;
	uint64_t flags, flags_1;
};

static const struct {
	int64_t tag;
	size_t offset; /* in struct entries */
} entry_rows[] = {
	{ DT_STRTAB, offsetof(struct entries, strings) },
	{ DT_STRSZ, offsetof(struct entries, strings_size) },
	{ DT_SYMTAB, offsetof(struct entries, symbols) },
	{ DT_HASH, offsetof(struct entries, symbol_hash) },
	{ DT_VERNEED, offsetof(struct entries, version_needs) },
	{ DT_VERDEF, offsetof(struct entries, versions) },
	{ DT_FLAGS, offsetof(struct entries, flags) },
	{ DT_FLAGS_1, offsetof(struct entries, flags_1) },
};

/* The string OFFSET bytes into the table; NULL: not wholly inside. */
static const char *string_at(const struct dynamic *d, uint64_t offset)
{
	struct bytes rest = d->strings;

	return bytes_skip(&rest, offset) ? bytes_string(&rest) : NULL;
}

static bool read_entry(struct bytes *rest, Elf64_Dyn *entry)
{
	entry->d_tag = (int64_t)bytes_u64(rest);
	entry->d_un.d_val = bytes_u64(rest);
	return bytes_ok(rest) && entry->d_tag != DT_NULL;
}

/* The first pass: where the tables are, and what are numbers. */
static void read_numbers(struct dynamic *d, struct bytes rest, struct entries *ret)
{
	Elf64_Dyn entry;

	while (read_entry(&rest, &entry)) {
		for (size_t i = 0; i < ARRAY_SIZE(entry_rows); i++)
			if (entry_rows[i].tag == entry.d_tag)
				*(uint64_t *)((char *)ret + entry_rows[i].offset) =
					entry.d_un.d_val;
		if (entry.d_tag == DT_TEXTREL)
			d->text_relocations = true;
	}
	d->flags = ret->flags;
	d->flags_1 = ret->flags_1;
	if (d->flags & DF_TEXTREL)
		d->text_relocations = true;
}

/* The second: what are places in the string table. */
static void read_names(struct dynamic *d, struct bytes rest)
{
	Elf64_Dyn entry;
	const char *name;

	while (read_entry(&rest, &entry)) {
		const int64_t tag = entry.d_tag;

		if (tag != DT_NEEDED && tag != DT_SONAME && tag != DT_RPATH &&
			tag != DT_RUNPATH)
			continue;
		name = string_at(d, entry.d_un.d_val);
		if (!name)
			continue;
		if (tag == DT_NEEDED)
			*VEC_PUSH(&d->needed) = name;
		else if (tag == DT_SONAME)
			d->soname = name;
		else if (tag == DT_RPATH)
			d->rpath = name;
		else
			d->runpath = name;
	}
}

/* Of one library: the chain of versions wanted of it. */
static void read_versions_of(struct dynamic *d, const char *library, struct bytes rest,
	unsigned int count, unsigned int *budget)
{
	for (; count > 0 && *budget > 0; count--, (*budget)--) {
		struct bytes at = rest;
		const void *start = bytes_take(&at, sizeof(Elf64_Vernaux));
		Elf64_Vernaux need;
		const char *name;

		if (!start)
			return;
		memcpy(&need, start, sizeof(need));
		name = string_at(d, need.vna_name);
		if (library && name)
			*VEC_PUSH(&d->version_needs) =
				(struct version_need){ .library = library,
					.version = name,
					.weak = need.vna_flags & VER_FLG_WEAK };
		if (need.vna_next == 0 || !bytes_skip(&rest, need.vna_next))
			return;
	}
}

/* A chain of libraries, each with a chain of versions.  Steps only go forward. */
static void read_version_needs(struct dynamic *d, struct bytes rest)
{
	unsigned int budget = NEEDS_MAX;
	Elf64_Verneed library;

	do {
		struct bytes at = rest, first = rest;
		const void *start = bytes_take(&at, sizeof(library));

		if (!start)
			return;
		memcpy(&library, start, sizeof(library));
		bytes_skip(&first, library.vn_aux);
		read_versions_of(
			d, string_at(d, library.vn_file), first, library.vn_cnt, &budget);
	} while (library.vn_next && budget > 0 && bytes_skip(&rest, library.vn_next));
}

/* A chain of versions; the first name of each is its own, others are its parents'. */
static void read_versions(struct dynamic *d, struct bytes rest)
{
	Elf64_Verdef definition;

	do {
		struct bytes at = rest, name_at = rest;
		const void *start = bytes_take(&at, sizeof(definition));
		const char *name;

		if (!start)
			return;
		memcpy(&definition, start, sizeof(definition));
		bytes_skip(&name_at, definition.vd_aux);
		name = string_at(d, bytes_u32(&name_at));
		if (bytes_ok(&name_at) && name)
			*VEC_PUSH(&d->versions) = name;
	} while (definition.vd_next && d->versions.count < VERSIONS_MAX &&
		 bytes_skip(&rest, definition.vd_next));
}

/* The table's size is in no dynamic entry: in its section's header, in a DT_HASH, or, as all
 * linkers lay it out, up to the strings. */
static uint64_t symbols_size(
	const struct binary *b, const struct entries *t, struct bytes symbols)
{
	struct binary_section section;
	struct bytes hash;

	if (binary_find_section(b, ".dynsym", &section) && section.vaddr == t->symbols)
		return bytes_left(&section.bytes);
	if (t->symbol_hash && binary_bytes_at(b, t->symbol_hash, &hash)) {
		bytes_u32(&hash);
		return (uint64_t)bytes_u32(&hash) * sizeof(Elf64_Sym);
	}
	return t->strings > t->symbols ? t->strings - t->symbols : bytes_left(&symbols);
}

static void read_tables(const struct binary *b, struct dynamic *d, const struct entries *t)
{
	struct bytes bytes;
	uint64_t size;

	if (t->symbols && binary_bytes_at(b, t->symbols, &bytes)) {
		size = symbols_size(b, t, bytes);
		if (size > bytes_left(&bytes))
			size = bytes_left(&bytes);
		d->symbols = bytes_over(bytes.at, size);
	}
	if (t->version_needs && binary_bytes_at(b, t->version_needs, &bytes))
		read_version_needs(d, bytes);
	if (t->versions && binary_bytes_at(b, t->versions, &bytes))
		read_versions(d, bytes);
}

/* x86-64 without PT_GNU_STACK means an executable one, as the kernel and ld.so read it. */
static bool read_segments(const struct binary *b, struct dynamic *d, struct bytes *entries)
{
	GElf_Phdr header;
	size_t count;
	bool found = false;

	d->executable_stack = true;
	if (elf_getphdrnum(binary_elf(b), &count) < 0)
		return false;
	for (size_t i = 0; i < count && gelf_getphdr(binary_elf(b), (int)i, &header); i++) {
		if (header.p_type == PT_GNU_STACK)
			d->executable_stack = header.p_flags & PF_X;
		else if (header.p_type == PT_TLS)
			d->tls_size_bytes = header.p_memsz;
		else if (header.p_type == PT_INTERP)
			d->has_interpreter = true;
		else if (header.p_type == PT_DYNAMIC)
			found = binary_bytes_at(b, header.p_vaddr, entries);
	}
	return found;
}

void dynamic_read(const struct binary *b, struct dynamic *ret)
{
	struct entries tables = { .strings = 0 };
	struct bytes entries, strings;

	*ret = (struct dynamic){ .is_dynamic = false };
	ret->is_dynamic = read_segments(b, ret, &entries);
	if (!ret->is_dynamic)
		return;
	read_numbers(ret, entries, &tables);
	if (!tables.strings || !binary_bytes_at(b, tables.strings, &strings))
		return;
	if (tables.strings_size > bytes_left(&strings))
		tables.strings_size = bytes_left(&strings);
	ret->strings = bytes_over(strings.at, tables.strings_size);
	read_names(ret, entries);
	read_tables(b, ret, &tables);
}

void dynamic_free(struct dynamic *d)
{
	VEC_FREE(&d->needed);
	VEC_FREE(&d->version_needs);
	VEC_FREE(&d->versions);
}

bool dynamic_symbol_at(const struct dynamic *d, size_t index, struct dynamic_symbol *ret)
{
	struct bytes rest = d->symbols;
	unsigned int binding, visibility;
	const void *at;
	Elf64_Sym symbol;

	if (index >= bytes_left(&rest) / sizeof(symbol))
		return false;
	bytes_skip(&rest, index * sizeof(symbol));
	at = bytes_take(&rest, sizeof(symbol));
	memcpy(&symbol, at, sizeof(symbol));
	binding = ELF64_ST_BIND(symbol.st_info);
	visibility = ELF64_ST_VISIBILITY(symbol.st_other);
	*ret = (struct dynamic_symbol){ .name = string_at(d, symbol.st_name),
		.vaddr = symbol.st_value,
		.size_bytes = symbol.st_size,
		.defined = symbol.st_shndx != SHN_UNDEF && binding != STB_LOCAL &&
			   (visibility == STV_DEFAULT || visibility == STV_PROTECTED),
		.weak = binding == STB_WEAK,
		.unique = binding == STB_GNU_UNIQUE };
	if (!ret->name)
		ret->name = "";
	return true;
}

bool dynamic_is_program(const struct dynamic *d)
{
	return d->flags_1 & DF_1_PIE || (d->has_interpreter && !d->soname);
}

bool dynamic_defines(const struct dynamic *d, const char *name)
{
	struct dynamic_symbol symbol;

	for (size_t i = 0; dynamic_symbol_at(d, i, &symbol); i++)
		if (symbol.defined && strcmp(symbol.name, name) == 0)
			return true;
	return false;
}

bool dynamic_has_version(const struct dynamic *d, const char *version)
{
	for (size_t i = 0; i < d->versions.count; i++)
		if (strcmp(d->versions.items[i], version) == 0)
			return true;
	return false;
}
