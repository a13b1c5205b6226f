#define _GNU_SOURCE
#include "symbol/dwarf_file.h"

#include <dwarf.h>
#include <string.h>

#include "symbol/dwarf_form.h"

static const char *const section_names[][DWARF_SECTION_COUNT] = {
	[DWARF_WHOLE] = { ".debug_info", ".debug_abbrev", ".debug_line", ".debug_str",
		".debug_line_str", ".debug_ranges", ".debug_rnglists", ".debug_addr",
		".debug_str_offsets" },
	/* Ranges of DWARF 4 and addresses stay in the file that is linked. */
	[DWARF_SPLIT] = { ".debug_info.dwo", ".debug_abbrev.dwo", ".debug_line.dwo",
		".debug_str.dwo", ".debug_line_str.dwo", NULL, ".debug_rnglists.dwo", NULL,
		".debug_str_offsets.dwo" },
};

struct bytes dwarf_section_at(
	const struct dwarf_file *f, enum dwarf_section section, uint64_t offset)
{
	struct bytes b = f->sections[section].bytes;

	bytes_skip(&b, offset);
	return b;
}

struct bytes dwarf_unit_at(const struct dwarf_unit *u, uint64_t offset)
{
	const uint8_t *start = u->file->sections[DWARF_INFO].bytes.at;

	return (struct bytes){ .at = start + offset, .end = start + u->end };
}

/* DWARF 5 section 7.5.1.  False: the list ends here. */
static bool read_unit_header(struct dwarf_file *f, struct bytes *rest, struct dwarf_unit *u)
{
	struct bytes header;
	uint64_t size;

	*u = (struct dwarf_unit){ .file = f, .offset_size = 4, .type = DW_UT_compile };
	u->offset = dwarf_offset_of(u, rest);
	size = bytes_u32(rest);
	if (size == UINT32_MAX) {
		size = bytes_u64(rest);
		u->offset_size = 8;
	}
	header = bytes_over(rest->at, size < bytes_left(rest) ? size : bytes_left(rest));
	u->end = dwarf_offset_of(u, &header) + bytes_left(&header);
	bytes_skip(rest, bytes_left(&header));
	u->version = bytes_u16(&header);
	if (u->version >= 5) {
		u->type = bytes_u8(&header);
		u->address_size = bytes_u8(&header);
	}
	u->abbrev_offset = bytes_uint(&header, u->offset_size);
	if (u->version < 5)
		u->address_size = bytes_u8(&header);
	if (u->type == DW_UT_skeleton || u->type == DW_UT_split_compile)
		u->split_id = bytes_u64(&header);
	u->first_die = dwarf_offset_of(u, &header);
	return bytes_ok(&header) && size > 0;
}

/* Units with types only are passed over: no function has its code there. */
static bool is_wanted(const struct dwarf_unit *u)
{
	return u->version >= 2 && u->version <= 5 &&
		(u->address_size == 8 || u->address_size == 4) && u->type != DW_UT_type &&
		u->type != DW_UT_split_type;
}

static void read_units(struct dwarf_file *f)
{
	struct bytes rest = dwarf_section_at(f, DWARF_INFO, 0);
	struct dwarf_unit unit;

	while (bytes_left(&rest) > 0 && read_unit_header(f, &rest, &unit))
		if (is_wanted(&unit))
			*VEC_PUSH(&f->units) = unit;
	for (size_t i = 0; i < f->units.count; i++)
		dwarf_read_root(&f->units.items[i]);
}

void dwarf_sections_load(const struct binary *b, enum dwarf_kind kind,
	struct section sections[static DWARF_SECTION_COUNT])
{
	for (int i = 0; i < DWARF_SECTION_COUNT; i++) {
		sections[i] = (struct section){ .bytes = bytes_over("", 0) };
		if (section_names[kind][i])
			section_load(b, section_names[kind][i], &sections[i]);
	}
}

struct dwarf_file *dwarf_file_open(const struct binary *b, enum dwarf_kind kind)
{
	struct section sections[DWARF_SECTION_COUNT];

	dwarf_sections_load(b, kind, sections);
	return dwarf_file_over(b, sections);
}

struct dwarf_file *dwarf_file_over(
	const struct binary *b, const struct section sections[static DWARF_SECTION_COUNT])
{
	struct dwarf_file *f = xcalloc(1, sizeof(*f));

	f->binary = b;
	memcpy(f->sections, sections, sizeof(f->sections));
	f->attributes_left = bytes_left(&f->sections[DWARF_ABBREV].bytes);
	read_units(f);
	if (f->units.count > 0)
		return f;
	dwarf_file_close(f);
	return NULL;
}

void dwarf_file_close(struct dwarf_file *f)
{
	if (!f)
		return;
	for (int i = 0; i < DWARF_SECTION_COUNT; i++)
		section_free(&f->sections[i]);
	for (size_t i = 0; i < f->tables.count; i++)
		abbreviation_table_free(f->tables.items[i]);
	VEC_FREE(&f->tables);
	VEC_FREE(&f->units);
	VEC_FREE(&f->names);
	table_free(&f->names_by_origin);
	free(f);
}

struct dwarf_unit *dwarf_file_unit(struct dwarf_file *f, uint64_t offset)
{
	size_t low = 0, high = f->units.count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (f->units.items[middle].offset <= offset)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0 || offset < f->units.items[low - 1].first_die ||
		offset >= f->units.items[low - 1].end)
		return NULL;
	return &f->units.items[low - 1];
}
