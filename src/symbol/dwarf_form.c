#define _GNU_SOURCE
#include "symbol/dwarf_form.h"

#include <dwarf.h>
#include <string.h>

/* The bytes that a form takes: 0x80 and more stand for what depends on the unit. */
#define SIZE_ADDRESS 0x80
#define SIZE_OFFSET 0x81
#define SIZE_REF_ADDR 0x82
#define V DWARF_SIZE_VARIES
static const uint8_t form_sizes[] = {
	[0x00] = V, [DW_FORM_addr] = SIZE_ADDRESS, [0x02] = V, [DW_FORM_block2] = V,
	[DW_FORM_block4] = V, [DW_FORM_data2] = 2, [DW_FORM_data4] = 4, [DW_FORM_data8] = 8,
	[DW_FORM_string] = V, [DW_FORM_block] = V, [DW_FORM_block1] = V, [DW_FORM_data1] = 1,
	[DW_FORM_flag] = 1, [DW_FORM_sdata] = V, [DW_FORM_strp] = SIZE_OFFSET,
	[DW_FORM_udata] = V, [DW_FORM_ref_addr] = SIZE_REF_ADDR, [DW_FORM_ref1] = 1,
	[DW_FORM_ref2] = 2, [DW_FORM_ref4] = 4, [DW_FORM_ref8] = 8, [DW_FORM_ref_udata] = V,
	[DW_FORM_indirect] = V, [DW_FORM_sec_offset] = SIZE_OFFSET, [DW_FORM_exprloc] = V,
	[DW_FORM_flag_present] = 0, [DW_FORM_strx] = V, [DW_FORM_addrx] = V,
	[DW_FORM_ref_sup4] = 4, [DW_FORM_strp_sup] = SIZE_OFFSET, [DW_FORM_data16] = 16,
	[DW_FORM_line_strp] = SIZE_OFFSET, [DW_FORM_ref_sig8] = 8,
	[DW_FORM_implicit_const] = 0, [DW_FORM_loclistx] = V, [DW_FORM_rnglistx] = V,
	[DW_FORM_ref_sup8] = 8, [DW_FORM_strx1] = 1, [DW_FORM_strx2] = 2, [DW_FORM_strx3] = 3,
	[DW_FORM_strx4] = 4, [DW_FORM_addrx1] = 1, [DW_FORM_addrx2] = 2, [DW_FORM_addrx3] = 3,
	[DW_FORM_addrx4] = 4,
};
#undef V

static uint8_t form_size(const struct dwarf_unit *u, uint64_t form)
{
	uint8_t size = DWARF_SIZE_VARIES;

	if (form < sizeof(form_sizes))
		size = form_sizes[form];
	else if (form == DW_FORM_GNU_ref_alt || form == DW_FORM_GNU_strp_alt)
		size = SIZE_OFFSET;
	if (size == SIZE_ADDRESS)
		return u->address_size;
	if (size == SIZE_OFFSET)
		return u->offset_size;
	if (size == SIZE_REF_ADDR)
		return u->version <= 2 ? u->address_size : u->offset_size;
	return size;
}

struct abbreviation_table {
	uint64_t offset;
	uint8_t address_size, offset_size, ref_addr_size;
	bool is_dense; /* the codes are 1, 2, 3 ... */
	VEC(struct abbreviation) list; /* sorted by code */
	VEC(struct abbreviation_attribute) attributes;
};

void abbreviation_table_free(struct abbreviation_table *t)
{
	VEC_FREE(&t->list);
	VEC_FREE(&t->attributes);
	free(t);
}

static uint8_t role_of_tag(uint16_t tag)
{
	switch (tag) {
	case DW_TAG_subprogram:
		return ROLE_FUNCTION;
	case DW_TAG_inlined_subroutine:
		return ROLE_INLINED;
	case DW_TAG_lexical_block:
	case DW_TAG_try_block:
	case DW_TAG_catch_block:
		return ROLE_BLOCK;
	case DW_TAG_namespace:
	case DW_TAG_module:
		return ROLE_NAMESPACE;
	case DW_TAG_class_type:
	case DW_TAG_structure_type:
	case DW_TAG_union_type:
	case DW_TAG_interface_type:
	case DW_TAG_enumeration_type:
		return ROLE_TYPE;
	case DW_TAG_array_type:
	case DW_TAG_subroutine_type:
	case DW_TAG_call_site:
	case DW_TAG_GNU_call_site:
		return ROLE_EMPTY;
	default:
		return ROLE_PASS;
	}
}

static bool is_of_function(uint64_t name)
{
	switch (name) {
	case DW_AT_low_pc:
	case DW_AT_high_pc:
	case DW_AT_ranges:
	case DW_AT_abstract_origin:
	case DW_AT_specification:
	case DW_AT_call_file:
	case DW_AT_call_line:
	case DW_AT_call_column:
	case DW_AT_sibling:
		return true;
	default:
		return false;
	}
}

static bool is_telling(uint16_t name)
{
	return name == DW_AT_name || name == DW_AT_linkage_name ||
		name == DW_AT_MIPS_linkage_name || name == DW_AT_decl_line;
}

/* The attribute at the cursor.  False: the list ends. */
static bool read_attribute(
	const struct dwarf_unit *u, struct bytes *at, struct abbreviation_attribute *attribute)
{
	const uint64_t name = bytes_uleb128(at), form = bytes_uleb128(at);
	int64_t constant = 0;

	if (form == DW_FORM_implicit_const)
		constant = bytes_sleb128(at);
	if (!bytes_ok(at) || (name == 0 && form == 0))
		return false;
	*attribute = (struct abbreviation_attribute){
		.name = name <= UINT16_MAX ? (uint16_t)name : 0,
		.form = form <= UINT16_MAX ? (uint16_t)form : 0,
		.size = form_size(u, form),
		.of_function = is_of_function(name),
		.constant = constant == (int32_t)constant ? (int32_t)constant : 0,
	};
	return true;
}

static void add_attribute(struct abbreviation_table *t, struct abbreviation *a,
	const struct abbreviation_attribute *attribute)
{
	if (attribute->name == DW_AT_sibling)
		a->sibling = (int32_t)a->count;
	a->tells |= is_telling(attribute->name);
	a->is_declaration |= attribute->name == DW_AT_declaration;
	if (attribute->size == DWARF_SIZE_VARIES || a->size > INT32_MAX - UINT8_MAX)
		a->size = -1;
	if (a->size >= 0)
		a->size += attribute->size;
	*VEC_PUSH(&t->attributes) = *attribute;
	a->count++;
}

static bool read_abbreviation(
	const struct dwarf_unit *u, struct bytes *at, struct abbreviation_table *t)
{
	struct abbreviation a = { .sibling = -1 };
	struct abbreviation_attribute attribute;

	a.code = bytes_uleb128(at);
	if (!bytes_ok(at) || a.code == 0)
		return false;
	a.tag = (uint16_t)bytes_uleb128(at);
	a.has_children = bytes_u8(at) != 0;
	a.first = (uint32_t)t->attributes.count;
	a.role = role_of_tag(a.tag);
	while (u->file->attributes_left > 0 && read_attribute(u, at, &attribute)) {
		add_attribute(t, &a, &attribute);
		u->file->attributes_left--;
	}
	if (!bytes_ok(at))
		return false;
	t->is_dense &= a.code == t->list.count + 1;
	*VEC_PUSH(&t->list) = a;
	return true;
}

static int by_code(const void *left, const void *right)
{
	const struct abbreviation *a = left, *b = right;

	return a->code < b->code ? -1 : a->code > b->code;
}

static uint8_t ref_addr_size(const struct dwarf_unit *u)
{
	return u->version <= 2 ? u->address_size : u->offset_size;
}

static struct abbreviation_table *find_table(const struct dwarf_unit *u)
{
	for (size_t i = u->file->tables.count; i-- > 0;) {
		struct abbreviation_table *t = u->file->tables.items[i];

		if (t->offset == u->abbrev_offset && t->address_size == u->address_size &&
			t->offset_size == u->offset_size && t->ref_addr_size == ref_addr_size(u))
			return t;
	}
	return NULL;
}

static struct abbreviation_table *compile_table(const struct dwarf_unit *u)
{
	struct bytes at = dwarf_section_at(u->file, DWARF_ABBREV, u->abbrev_offset);
	struct abbreviation_table *t = xcalloc(1, sizeof(*t));

	t->offset = u->abbrev_offset;
	t->address_size = u->address_size;
	t->offset_size = u->offset_size;
	t->ref_addr_size = ref_addr_size(u);
	t->is_dense = true;
	while (u->file->attributes_left > 0 && read_abbreviation(u, &at, t))
		;
	if (!t->is_dense && t->list.count > 0)
		qsort(t->list.items, t->list.count, sizeof(*t->list.items), by_code);
	*VEC_PUSH(&u->file->tables) = t;
	return t;
}

const struct abbreviation *dwarf_find_abbreviation(struct dwarf_unit *u, uint64_t code)
{
	const struct abbreviation key = { .code = code };
	struct abbreviation_table *t;

	if (!u->abbreviations) {
		u->abbreviations = find_table(u);
		if (!u->abbreviations)
			u->abbreviations = compile_table(u);
		if (u->abbreviations->is_dense) {
			u->dense = u->abbreviations->list.items;
			u->dense_count = u->abbreviations->list.count;
		}
	}
	t = u->abbreviations;
	if (t->is_dense)
		return code - 1 < t->list.count ? &t->list.items[code - 1] : NULL;
	return t->list.count == 0
		? NULL
		: bsearch(&key, t->list.items, t->list.count, sizeof(key), by_code);
}

void dwarf_unit_prepare(struct dwarf_unit *u)
{
	dwarf_find_abbreviation(u, 0);
	if (u->split)
		dwarf_find_abbreviation(u->split, 0);
}

const struct abbreviation_attribute *dwarf_attributes(
	const struct dwarf_unit *u, const struct abbreviation *a)
{
	return u->abbreviations->attributes.items + a->first;
}

/* A form that stands in the tree itself; it cannot say "indirect" once more. */
static uint64_t read_indirect(const struct dwarf_unit *u, struct bytes *at)
{
	const uint64_t form = bytes_uleb128(at);
	const uint8_t size = form_size(u, form);

	if (form == DW_FORM_indirect || form == DW_FORM_implicit_const) {
		bytes_break(at);
		return 0;
	}
	if (size == DWARF_SIZE_VARIES)
		dwarf_read_varying(u, form, at);
	else
		bytes_skip(at, size);
	return 0; /* no compiler writes them where we would look */
}

uint64_t dwarf_read_varying(const struct dwarf_unit *u, uint64_t form, struct bytes *at)
{
	switch (form) {
	case DW_FORM_string:
		return (uintptr_t)bytes_string(at);
	case DW_FORM_block1:
		return bytes_skip(at, bytes_u8(at));
	case DW_FORM_block2:
		return bytes_skip(at, bytes_u16(at));
	case DW_FORM_block4:
		return bytes_skip(at, bytes_u32(at));
	case DW_FORM_block:
	case DW_FORM_exprloc:
		return bytes_skip(at, bytes_uleb128(at));
	case DW_FORM_sdata:
		return (uint64_t)bytes_sleb128(at);
	case DW_FORM_udata:
	case DW_FORM_ref_udata:
	case DW_FORM_strx:
	case DW_FORM_addrx:
	case DW_FORM_loclistx:
	case DW_FORM_rnglistx:
	case DW_FORM_GNU_addr_index:
	case DW_FORM_GNU_str_index:
		return bytes_uleb128(at);
	case DW_FORM_indirect:
		return read_indirect(u, at);
	default:
		bytes_break(at);
		return 0;
	}
}

void dwarf_skip_values(const struct dwarf_unit *u, const struct abbreviation *a, struct bytes *at)
{
	const struct abbreviation_attribute *attributes = dwarf_attributes(u, a);

	for (uint32_t i = 0; i < a->count; i++)
		dwarf_skip_value(u, &attributes[i], at);
}

struct dwarf_value dwarf_read_form(const struct dwarf_unit *u, uint16_t form, struct bytes *at)
{
	const struct abbreviation_attribute attribute = {
		.form = form,
		.size = form_size(u, form),
	};

	if (form == DW_FORM_implicit_const)
		bytes_break(at);
	return dwarf_read_value(u, &attribute, at);
}

/* A NUL-terminated string at OFFSET of a section. */
static const char *text_at(
	const struct dwarf_file *f, enum dwarf_section section, uint64_t offset)
{
	struct bytes at = dwarf_section_at(f, section, offset);
	const size_t left = bytes_left(&at);

	return left > 0 && memchr(at.at, '\0', left) ? (const char *)at.at : NULL;
}

static const char *indexed_text(const struct dwarf_unit *u, uint64_t index)
{
	const size_t size = u->offset_size;
	struct bytes at = dwarf_section_at(u->file, DWARF_STR_OFFSETS, u->str_offsets_base);
	uint64_t offset;

	if (index > bytes_left(&at) / size)
		return NULL;
	bytes_skip(&at, index * size);
	offset = bytes_uint(&at, size);
	return bytes_ok(&at) ? text_at(u->file, DWARF_STR, offset) : NULL;
}

const char *dwarf_value_text(const struct dwarf_unit *u, const struct dwarf_value *v)
{
	switch (v->form) {
	case DW_FORM_string:
		return (const char *)(uintptr_t)v->number;
	case DW_FORM_strp:
		return text_at(u->file, DWARF_STR, v->number);
	case DW_FORM_line_strp:
		return text_at(u->file, DWARF_LINE_STR, v->number);
	case DW_FORM_strp_sup:
	case DW_FORM_GNU_strp_alt:
		return u->file->alt ? text_at(u->file->alt, DWARF_STR, v->number) : NULL;
	case DW_FORM_strx:
	case DW_FORM_strx1:
	case DW_FORM_strx2:
	case DW_FORM_strx3:
	case DW_FORM_strx4:
	case DW_FORM_GNU_str_index:
		return indexed_text(u, v->number);
	default:
		return NULL;
	}
}

uint64_t dwarf_indexed_address(const struct dwarf_unit *u, uint64_t index)
{
	const struct dwarf_unit *linked = u->skeleton ? u->skeleton : u;
	struct bytes at = dwarf_section_at(linked->file, DWARF_ADDR, linked->addr_base);

	if (index > bytes_left(&at) / u->address_size)
		return 0;
	bytes_skip(&at, index * u->address_size);
	return bytes_uint(&at, u->address_size);
}

bool dwarf_value_address(
	const struct dwarf_unit *u, const struct dwarf_value *v, uint64_t *address)
{
	switch (v->form) {
	case DW_FORM_addr:
		*address = v->number;
		return true;
	case DW_FORM_addrx:
	case DW_FORM_addrx1:
	case DW_FORM_addrx2:
	case DW_FORM_addrx3:
	case DW_FORM_addrx4:
	case DW_FORM_GNU_addr_index:
		*address = dwarf_indexed_address(u, v->number);
		return true;
	default:
		return false;
	}
}

uint32_t dwarf_value_number(const struct dwarf_value *v)
{
	switch (v->form) {
	case DW_FORM_data1:
	case DW_FORM_data2:
	case DW_FORM_data4:
	case DW_FORM_data8:
	case DW_FORM_udata:
	case DW_FORM_sdata:
	case DW_FORM_implicit_const:
		return v->number <= INT32_MAX ? (uint32_t)v->number : 0;
	default:
		return 0;
	}
}

bool dwarf_value_reference(
	const struct dwarf_unit *u, const struct dwarf_value *v, struct dwarf_reference *ref)
{
	switch (v->form) {
	case DW_FORM_ref1:
	case DW_FORM_ref2:
	case DW_FORM_ref4:
	case DW_FORM_ref8:
	case DW_FORM_ref_udata:
		*ref = (struct dwarf_reference){ u->file, u->offset + v->number };
		return v->number < u->end - u->offset;
	case DW_FORM_ref_addr:
		*ref = (struct dwarf_reference){ u->file, v->number };
		return true;
	case DW_FORM_GNU_ref_alt:
	case DW_FORM_ref_sup4:
	case DW_FORM_ref_sup8:
		*ref = (struct dwarf_reference){ u->file->alt, v->number };
		return u->file->alt != NULL;
	default:
		return false;
	}
}
