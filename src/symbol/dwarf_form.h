/*
 * DIEs as bytes: abbreviations (DWARF 5 section 7.5.3), attribute values (7.5.4 to 7.5.6), the
 * root of a unit.
 */
#ifndef SYMBOL_DWARF_FORM_H
#define SYMBOL_DWARF_FORM_H

#include <stdbool.h>
#include <stdint.h>

#include "symbol/dwarf_file.h"

#define DWARF_SIZE_VARIES UINT8_MAX

/* What a DIE means for the walk of dwarf_tree.c. */
enum dwarf_role {
	ROLE_PASS, /* may hold anything */
	ROLE_FUNCTION,
	ROLE_INLINED,
	ROLE_BLOCK, /* part of the function around it */
	ROLE_NAMESPACE,
	ROLE_TYPE, /* outside functions nothing in it has code; a lambda's is below its class */
	ROLE_EMPTY, /* nothing that matters is inside */
};

struct abbreviation_attribute {
	uint16_t name; /* DW_AT_* */
	uint16_t form; /* DW_FORM_* */
	uint8_t size; /* bytes of the value, or DWARF_SIZE_VARIES */
	bool of_function; /* one of those that dwarf_tree.c reads of a function */
	int32_t constant; /* of DW_FORM_implicit_const */
};

struct abbreviation {
	uint64_t code;
	uint16_t tag; /* DW_TAG_* */
	bool has_children;
	uint8_t role; /* enum dwarf_role */
	bool tells; /* a name or a line of its own: the D2 of a destructor made from its D4 */
	bool is_declaration;
	int32_t size; /* bytes of all values together; -1: varies */
	uint32_t first, count; /* its attributes in the table */
	int32_t sibling; /* which of them is DW_AT_sibling; -1: none */
};

/* NULL: the unit has no such code, or its table is damaged or hostile. */
const struct abbreviation *dwarf_find_abbreviation(struct dwarf_unit *u, uint64_t code);
static inline const struct abbreviation *dwarf_abbreviation(struct dwarf_unit *u, uint64_t code)
{
	if (LIKELY(code - 1 < u->dense_count)) /* nearly always */
		return &u->dense[code - 1];
	return dwarf_find_abbreviation(u, code);
}
const struct abbreviation_attribute *dwarf_attributes(
	const struct dwarf_unit *u, const struct abbreviation *a);
/* From now on reading U, or the unit with its functions, changes neither. */
void dwarf_unit_prepare(struct dwarf_unit *u);
void abbreviation_table_free(struct abbreviation_table *t);

struct dwarf_value {
	uint16_t form; /* 0: there is none */
	uint64_t number; /* of strings: NULL or where it starts, see dwarf_value_text() */
};

/* A value whose size varies, passed over where it is no number. */
uint64_t dwarf_read_varying(const struct dwarf_unit *u, uint64_t form, struct bytes *at);

/* Read the value at the cursor, or pass over it.  A damaged one breaks the cursor.  Inline, for
 * there are millions. */
static inline void dwarf_skip_value(const struct dwarf_unit *u,
	const struct abbreviation_attribute *attribute, struct bytes *at)
{
	if (LIKELY(attribute->size != DWARF_SIZE_VARIES))
		bytes_skip(at, attribute->size);
	else
		dwarf_read_varying(u, attribute->form, at);
}

static inline struct dwarf_value dwarf_read_value(const struct dwarf_unit *u,
	const struct abbreviation_attribute *attribute, struct bytes *at)
{
	struct dwarf_value v = { .form = attribute->form };

	if (attribute->size == 0) /* DW_FORM_implicit_const, DW_FORM_flag_present */
		v.number = (uint64_t)(int64_t)attribute->constant;
	else if (attribute->size == DWARF_SIZE_VARIES)
		v.number = dwarf_read_varying(u, attribute->form, at);
	else if (attribute->size <= 8)
		v.number = bytes_uint(at, attribute->size);
	else
		bytes_skip(at, attribute->size);
	return v;
}

/* All values of a DIE, one by one; and the same at once where their sizes are known. */
void dwarf_skip_values(const struct dwarf_unit *u, const struct abbreviation *a, struct bytes *at);
static inline void dwarf_skip_die(
	const struct dwarf_unit *u, const struct abbreviation *a, struct bytes *at)
{
	if (LIKELY(a->size >= 0))
		bytes_skip(at, (size_t)a->size);
	else
		dwarf_skip_values(u, a, at);
}

/* The same for a value of a line table's header, which has no abbreviation. */
struct dwarf_value dwarf_read_form(const struct dwarf_unit *u, uint16_t form, struct bytes *at);

/* In the file; NULL: no string, or one that does not end. */
const char *dwarf_value_text(const struct dwarf_unit *u, const struct dwarf_value *v);
/* The address that a value of class address stands for.  False: it is none. */
bool dwarf_value_address(
	const struct dwarf_unit *u, const struct dwarf_value *v, uint64_t *address);
/* The index'th address of .debug_addr for the unit. */
uint64_t dwarf_indexed_address(const struct dwarf_unit *u, uint64_t index);
/* 0 when it is no number or does not fit. */
uint32_t dwarf_value_number(const struct dwarf_value *v);

struct dwarf_reference {
	struct dwarf_file *file;
	uint64_t offset; /* in its .debug_info */
};

/* False: no reference, or into a file that is not there. */
bool dwarf_value_reference(
	const struct dwarf_unit *u, const struct dwarf_value *v, struct dwarf_reference *ref);

/* Fill in what the root DIE of U says of the unit. */
void dwarf_read_root(struct dwarf_unit *u);

/* The code that a DIE's pc attributes tell of. */
struct dwarf_pcs {
	struct dwarf_value low, high, ranges;
};

/* Take V if it is one of them. */
void dwarf_pcs_add(struct dwarf_pcs *pcs, uint16_t name, const struct dwarf_value *v);
static inline bool dwarf_pcs_known(const struct dwarf_pcs *pcs)
{
	return pcs->ranges.form || (pcs->low.form && pcs->high.form);
}

/* Visit each range of code; those at 0 belong to functions that the linker has discarded.
 * LEFT counts down with every entry that is read, and at 0 it stops. */
typedef void dwarf_range_visitor(void *context, uint64_t start, uint64_t end);
void dwarf_visit_ranges(const struct dwarf_unit *u, const struct dwarf_pcs *pcs,
	uint64_t *left, dwarf_range_visitor *visit, void *context);
/* How many entries the range lists of the unit's file can hold. */
uint64_t dwarf_ranges_limit(const struct dwarf_unit *u);

/* The ranges of a unit's root. */
void dwarf_visit_unit_ranges(
	struct dwarf_unit *u, uint64_t *left, dwarf_range_visitor *visit, void *context);

#endif
