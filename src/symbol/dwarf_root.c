/* What the root of a unit says of the whole: bases, names, code. */
#include <dwarf.h>
#include <string.h>

#include "symbol/dwarf_form.h"

/* Opening a file reads one DIE a unit, so its abbreviation is searched for, not compiled: it is
 * the first nearly always. */
struct root {
	struct bytes values;
	struct bytes attributes; /* at the first pair of name and form */
};

#define ROOT_ABBREVIATIONS_MAX 4096

static bool skip_attributes(struct bytes *at)
{
	uint64_t name, form;

	do {
		name = bytes_uleb128(at);
		form = bytes_uleb128(at);
		if (form == DW_FORM_implicit_const)
			bytes_sleb128(at);
	} while (bytes_ok(at) && (name || form));
	return bytes_ok(at);
}

static bool find_root(struct dwarf_unit *u, struct root *root)
{
	struct bytes at = dwarf_section_at(u->file, DWARF_ABBREV, u->abbrev_offset);
	uint64_t code;

	root->values = dwarf_unit_at(u, u->first_die);
	code = bytes_uleb128(&root->values);
	for (int i = 0; code && i < ROOT_ABBREVIATIONS_MAX && bytes_left(&at) > 0; i++) {
		const uint64_t its_code = bytes_uleb128(&at);

		if (its_code == 0)
			break;
		u->root_tag = (uint16_t)bytes_uleb128(&at);
		bytes_u8(&at);
		root->attributes = at;
		if (its_code == code)
			return bytes_ok(&at);
		skip_attributes(&at);
	}
	u->root_tag = 0;
	return false;
}

/* The next attribute and its value.  False: that was the last. */
static bool next_value(const struct dwarf_unit *u, struct root *root, uint64_t *name,
	struct dwarf_value *v)
{
	uint64_t form;
	int64_t constant;

	*name = bytes_uleb128(&root->attributes);
	form = bytes_uleb128(&root->attributes);
	if (!bytes_ok(&root->attributes) || (*name == 0 && form == 0) || form > UINT16_MAX)
		return false;
	if (form == DW_FORM_implicit_const) {
		constant = bytes_sleb128(&root->attributes);
		*v = (struct dwarf_value){ DW_FORM_implicit_const, (uint64_t)constant };
	} else {
		*v = dwarf_read_form(u, (uint16_t)form, &root->values);
	}
	return bytes_ok(&root->values);
}

/* What strings and addresses of the root itself need, which may stand before it. */
static void take_base(struct dwarf_unit *u, uint64_t name, const struct dwarf_value *v)
{
	switch (name) {
	case DW_AT_str_offsets_base:
		u->str_offsets_base = v->number;
		break;
	case DW_AT_addr_base:
	case DW_AT_GNU_addr_base:
		u->addr_base = v->number;
		break;
	case DW_AT_rnglists_base:
		u->rnglists_base = v->number;
		break;
	case DW_AT_GNU_ranges_base:
		u->ranges_base = v->number;
		break;
	}
}

static void take_value(struct dwarf_unit *u, uint64_t name, const struct dwarf_value *v)
{
	switch (name) {
	case DW_AT_name:
		u->name = dwarf_value_text(u, v);
		break;
	case DW_AT_comp_dir:
		u->folder = dwarf_value_text(u, v);
		break;
	case DW_AT_dwo_name:
	case DW_AT_GNU_dwo_name:
		u->split_name = dwarf_value_text(u, v);
		break;
	case DW_AT_GNU_dwo_id:
		u->split_id = v->number;
		break;
	case DW_AT_language:
		u->language = (uint16_t)dwarf_value_number(v);
		break;
	case DW_AT_low_pc:
		dwarf_value_address(u, v, &u->low_pc);
		break;
	case DW_AT_stmt_list:
		u->has_lines = v->form == DW_FORM_sec_offset || v->form == DW_FORM_data4 ||
			v->form == DW_FORM_data8;
		u->line_offset = v->number;
		break;
	}
}

/* Without an attribute the tables are the first of their sections, behind the header; split
 * DWARF 4 had no headers. */
static void set_default_bases(struct dwarf_unit *u)
{
	if (u->version < 5)
		return;
	u->str_offsets_base = u->offset_size == 8 ? 16 : 8;
	u->addr_base = u->offset_size == 8 ? 16 : 8;
	u->rnglists_base = u->offset_size == 8 ? 20 : 12;
}

void dwarf_read_root(struct dwarf_unit *u)
{
	struct root root, again;
	struct dwarf_value v;
	uint64_t name;

	set_default_bases(u);
	if (!find_root(u, &root))
		return;
	again = root;
	while (next_value(u, &root, &name, &v))
		take_base(u, name, &v);
	while (next_value(u, &again, &name, &v))
		take_value(u, name, &v);
}

void dwarf_visit_unit_ranges(
	struct dwarf_unit *u, uint64_t *left, dwarf_range_visitor *visit, void *context)
{
	struct dwarf_pcs pcs = { .ranges = { .form = 0 } };
	struct dwarf_value v;
	struct root root;
	uint64_t name;

	if (!find_root(u, &root))
		return;
	while (next_value(u, &root, &name, &v))
		dwarf_pcs_add(&pcs, (uint16_t)name, &v);
	dwarf_visit_ranges(u, &pcs, left, visit, context);
}
