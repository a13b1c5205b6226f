#define _GNU_SOURCE
#include "symbol/debug_facts.h"

#include <dwarf.h>
#include <gelf.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32.h"
#include "base/xalloc.h"
#include "symbol/binary.h"
#include "symbol/debug_file.h"
#include "symbol/dwarf_split.h"

#define COMPRESSION_ZLIB 1u /* ELFCOMPRESS_ZLIB */
#define COMPRESSION_ZSTD 2u /* ELFCOMPRESS_ZSTD; not in every elf.h */

static size_t count_functions(const struct binary *b, uint32_t section_type)
{
	Elf_Scn *section = NULL;
	GElf_Shdr header;
	GElf_Sym symbol;
	size_t count = 0;

	while ((section = elf_nextscn(binary_elf(b), section)) != NULL) {
		Elf_Data *data;

		if (!gelf_getshdr(section, &header) || header.sh_type != section_type)
			continue;
		data = elf_getdata(section, NULL);
		for (int i = 0; data && gelf_getsym(data, i, &symbol); i++)
			count += symbol.st_shndx != SHN_UNDEF &&
				 (GELF_ST_TYPE(symbol.st_info) == STT_FUNC ||
					 GELF_ST_TYPE(symbol.st_info) == STT_GNU_IFUNC);
	}
	return count;
}

static bool has_section(const struct binary *b, const char *name)
{
	struct binary_section section;

	return binary_find_section(b, name, &section) && bytes_left(&section.bytes) > 0;
}

static bool has_debug_info(const struct binary *b)
{
	return has_section(b, ".debug_info") || has_section(b, ".zdebug_info");
}

static const char *compression_of(const struct binary *b)
{
	Elf_Scn *section = NULL;
	struct binary_section content;
	GElf_Shdr header;
	size_t names;

	if (has_section(b, ".zdebug_info"))
		return "zlib (.zdebug)";
	if (elf_getshdrstrndx(binary_elf(b), &names) < 0)
		return NULL;
	while ((section = elf_nextscn(binary_elf(b), section)) != NULL) {
		const char *name;

		if (!gelf_getshdr(section, &header) || !(header.sh_flags & SHF_COMPRESSED))
			continue;
		name = elf_strptr(binary_elf(b), names, header.sh_name);
		if (!name || strcmp(name, ".debug_info") != 0 ||
			!binary_find_section(b, name, &content))
			continue;
		switch (bytes_u32(&content.bytes)) { /* ch_type */
		case COMPRESSION_ZLIB:
			return "zlib";
		case COMPRESSION_ZSTD:
			return "zstd";
		default:
			return "an unknown method";
		}
	}
	return NULL;
}

static void read_split(
	struct debug_facts *facts, struct dwarf_split *splits, struct dwarf_unit *unit)
{
	facts->split_count++;
	dwarf_split_open(splits, unit);
	if (unit->split)
		return;
	facts->split_missing++;
	if (!facts->split_example)
		facts->split_example = xstrdup(unit->split_name);
}

/* PATH is the library's. */
static void read_units(struct debug_facts *facts, struct dwarf_file *file, const char *path)
{
	struct dwarf_split *splits = dwarf_split_new(file->binary, path, NULL);

	for (size_t i = 0; i < file->units.count; i++) {
		struct dwarf_unit *unit = &file->units.items[i];

		if (unit->root_tag != DW_TAG_compile_unit &&
			unit->root_tag != DW_TAG_skeleton_unit)
			continue;
		facts->unit_count++;
		if (facts->version_low == 0 || unit->version < facts->version_low)
			facts->version_low = unit->version;
		if (unit->version > facts->version_high)
			facts->version_high = unit->version;
		if (unit->split_name)
			read_split(facts, splits, unit);
	}
	dwarf_split_free(splits);
}

static void read_dwarf(struct debug_facts *facts, const struct binary *b, const char *path,
	const char *const *debug_folders)
{
	struct dwarf_file *file;
	struct binary *alt;
	const char *alt_link;

	facts->has_debug_info = has_debug_info(b);
	if (!facts->has_debug_info)
		return;
	facts->compression = compression_of(b);
	alt = debug_file_by_alt_link(debug_folders, b, &alt_link, NULL);
	facts->alt_link = alt_link ? xstrdup(alt_link) : NULL;
	facts->alt_found = alt != NULL;
	binary_close(alt);
	file = dwarf_file_open(b, DWARF_WHOLE);
	if (!file)
		return;
	read_units(facts, file, path);
	dwarf_file_close(file);
}

static void read_unwind(struct debug_facts *facts, const struct binary *b)
{
	struct binary_section section;
	struct bytes header;
	uint64_t vaddr;

	facts->unwind_index = binary_find_eh_frame_header(b, &header, &vaddr);
	if (binary_find_section(b, ".eh_frame", &section))
		/* The linker may leave the terminator alone. */
		facts->unwind_table = bytes_left(&section.bytes) > 4;
	else
		facts->unwind_table = facts->unwind_index; /* no section headers are left */
}

void debug_facts_read(
	const struct binary *b, const char *const *debug_folders, struct debug_facts *ret)
{
	struct binary *debug =
		debug_file_by_build_id(debug_folders, binary_build_id(b), NULL);
	struct binary_section text;

	*ret = (struct debug_facts){ .debug_link = debug_file_link(b),
		.symtab_functions = count_functions(b, SHT_SYMTAB),
		.exported_functions = count_functions(b, SHT_DYNSYM),
		.mini_debug_info = has_section(b, ".gnu_debugdata") };
	if (!debug)
		debug = debug_file_by_link(debug_folders, b, binary_path(b), NULL);
	if (debug) {
		const size_t functions = count_functions(debug, SHT_SYMTAB);

		ret->debug_file = xstrdup(binary_path(debug));
		if (functions > ret->symtab_functions)
			ret->symtab_functions = functions;
	}
	read_dwarf(ret, debug && has_debug_info(debug) ? debug : b, binary_path(b), debug_folders);
	read_unwind(ret, b);
	ret->has_text = binary_find_section(b, ".text", &text) && bytes_left(&text.bytes) > 0;
	if (ret->has_text)
		ret->text_crc32 = crc32_of(text.bytes.at, bytes_left(&text.bytes));
	binary_close(debug);
}

void debug_facts_free(struct debug_facts *facts)
{
	free(facts->debug_file);
	free(facts->split_example);
	free(facts->alt_link);
}
