#include "reference/reference_die.h"

#include <dwarf.h>
#include <stdio.h>
#include <string.h>

#include "base/compiler.h"
#include "base/hash.h"
#include "base/table.h"
#include "base/vec.h"

#define ORIGINS_MAX 8
#define NAME_PARTS_MAX 64

/* A DIE that has others inside and gives them a part of their name, or none ("{ }"). */
struct scope {
	const char *start; /* where the DIE lies in memory */
	const char *end; /* NULL: with its parent */
	uint32_t parent; /* its number plus one; 0: the unit */
};

struct unit_scopes {
	Dwarf_CU *cu;
	VEC(struct scope) list; /* in the order of the file: outer before inner */
};

struct die_scopes {
	VEC(struct unit_scopes) units;
	struct table by_unit;
};

struct die_scopes *die_scopes_new(void)
{
	return xcalloc(1, sizeof(struct die_scopes));
}

void die_scopes_free(struct die_scopes *scopes)
{
	if (!scopes)
		return;
	for (size_t i = 0; i < scopes->units.count; i++)
		VEC_FREE(&scopes->units.items[i].list);
	VEC_FREE(&scopes->units);
	table_free(&scopes->by_unit);
	free(scopes);
}

/* libdw checks the strings of the string sections, but not those written inside the tree. */
static bool inline_string_ends(const Dwarf_Attribute *attr)
{
	Elf *elf = dwarf_getelf(dwarf_cu_getdwarf(attr->cu));
	const char *text = (const char *)attr->valp;
	Elf_Scn *section = NULL;

	while ((section = elf_nextscn(elf, section)) != NULL) {
		const Elf_Data *data = elf_rawdata(section, NULL);
		const char *start = data ? data->d_buf : NULL;

		if (start && text >= start && text < start + data->d_size)
			return memchr(text, '\0', data->d_size - (size_t)(text - start));
	}
	return false;
}

static const char *attribute_string(Dwarf_Attribute *attr)
{
	if (attr->form == DW_FORM_string && !inline_string_ends(attr))
		return NULL;
	return dwarf_formstring(attr);
}

const char *die_string(Dwarf_Die *die, unsigned int code)
{
	Dwarf_Attribute attr;
	const char *text;

	if (!dwarf_attr(die, code, &attr))
		return NULL;
	text = attribute_string(&attr);
	return text && text[0] ? text : NULL;
}

static bool read_number(Dwarf_Die *die, unsigned int code, uint32_t *number)
{
	Dwarf_Attribute attr;
	Dwarf_Word value;

	if (!dwarf_attr(die, code, &attr) || dwarf_formudata(&attr, &value) != 0 ||
		value > INT32_MAX)
		return false;
	*number = (uint32_t)value;
	return true;
}

uint32_t die_number(Dwarf_Die *die, unsigned int code)
{
	uint32_t number;

	return read_number(die, code, &number) ? number : 0;
}

/* Go from a concrete function to its abstract instance, from a definition to its declaration. */
static bool to_origin(Dwarf_Die *die)
{
	Dwarf_Attribute attr;
	Dwarf_Die origin;

	if (!dwarf_attr(die, DW_AT_abstract_origin, &attr) &&
		!dwarf_attr(die, DW_AT_specification, &attr))
		return false;
	if (!dwarf_formref_die(&attr, &origin))
		return false;
	*die = origin;
	return true;
}

uint32_t die_inherited_number(Dwarf_Die *die, unsigned int code)
{
	Dwarf_Die at = *die;
	uint32_t number;

	for (int i = 0; i < ORIGINS_MAX; i++) {
		if (read_number(&at, code, &number))
			return number;
		if (!to_origin(&at))
			break;
	}
	return 0;
}

const char *die_linkage_name(Dwarf_Die *die)
{
	Dwarf_Die at = *die;

	for (int i = 0; i < ORIGINS_MAX; i++) {
		const char *name = die_string(&at, DW_AT_linkage_name);

		if (!name)
			name = die_string(&at, DW_AT_MIPS_linkage_name); /* before DWARF 4 */
		if (name)
			return name;
		if (!to_origin(&at))
			break;
	}
	return NULL;
}

bool die_first_child(Dwarf_Die *die, Dwarf_Die *child)
{
	return dwarf_child(die, child) == 0 && child->addr > die->addr;
}

bool die_next_sibling(Dwarf_Die *die)
{
	Dwarf_Die next;

	if (dwarf_siblingof(die, &next) != 0 || next.addr <= die->addr || next.cu != die->cu)
		return false;
	*die = next;
	return true;
}

static bool is_scope(Dwarf_Die *die)
{
	switch (dwarf_tag(die)) {
	case DW_TAG_namespace:
	case DW_TAG_module:
	case DW_TAG_class_type:
	case DW_TAG_structure_type:
	case DW_TAG_union_type:
	case DW_TAG_interface_type:
	case DW_TAG_enumeration_type:
	case DW_TAG_subprogram:
	case DW_TAG_lexical_block:
		return dwarf_haschildren(die);
	default:
		return false;
	}
}

/* The place in a walk over a unit: where it stands at each depth. */
struct walk_level {
	Dwarf_Die die;
	uint32_t scope; /* that the DIE lies in: its number plus one */
	uint32_t own_scope; /* that the DIE is, in the same way; 0: none */
};

static uint32_t enter_scope(struct unit_scopes *unit, Dwarf_Die *die, uint32_t parent)
{
	*VEC_PUSH(&unit->list) = (struct scope){ .start = die->addr, .parent = parent };
	return (uint32_t)unit->list.count;
}

/* To the next sibling, which is also where the scope of this one ends. */
static bool walk_on(struct unit_scopes *unit, struct walk_level *at)
{
	if (!die_next_sibling(&at->die))
		return false;
	if (at->own_scope)
		unit->list.items[at->own_scope - 1].end = at->die.addr;
	return true;
}

static void find_scopes(struct unit_scopes *unit, Dwarf_Die *root)
{
	struct walk_level *levels = xcalloc(DIE_DEPTH_MAX, sizeof(*levels));
	size_t depth = die_first_child(root, &levels[0].die) ? 1 : 0;

	while (depth > 0) {
		struct walk_level *at = &levels[depth - 1];

		at->own_scope = 0;
		if (is_scope(&at->die)) {
			at->own_scope = enter_scope(unit, &at->die, at->scope);
			if (depth < DIE_DEPTH_MAX && die_first_child(&at->die, &at[1].die)) {
				at[1].scope = at->own_scope;
				depth++;
				continue;
			}
		}
		while (depth > 0 && !walk_on(unit, &levels[depth - 1]))
			depth--;
	}
	free(levels);
}

static bool same_unit(const void *context, size_t index, const void *key)
{
	const struct die_scopes *scopes = context;

	return scopes->units.items[index].cu == key;
}

static const struct unit_scopes *scopes_of_unit(struct die_scopes *scopes, Dwarf_Die *die)
{
	const uint64_t hash = hash_mix((uintptr_t)die->cu);
	struct unit_scopes *unit;
	Dwarf_Die root;
	size_t index;

	if (table_find(&scopes->by_unit, hash, same_unit, scopes, die->cu, &index))
		return &scopes->units.items[index];
	table_insert(&scopes->by_unit, hash, scopes->units.count);
	unit = VEC_PUSH(&scopes->units);
	unit->cu = die->cu;
	if (dwarf_diecu(die, &root, NULL, NULL))
		find_scopes(unit, &root);
	return unit;
}

/* The scope whose children stand around ADDRESS, or 0. */
static uint32_t innermost_scope(const struct unit_scopes *unit, const char *address)
{
	size_t low = 0, high = unit->list.count;
	uint32_t found;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (unit->list.items[middle].start < address)
			low = middle + 1;
		else
			high = middle;
	}
	found = (uint32_t)low;
	/* A last child ends where its parent does, which only the parent knows. */
	for (uint32_t at = found; at > 0; at = unit->list.items[at - 1].parent) {
		const struct scope *s = &unit->list.items[at - 1];

		if (s->end && address >= s->end)
			found = s->parent;
	}
	return found;
}

/* From DIE to the scope it lies in.  False: it lies in its unit. */
static bool to_parent(struct die_scopes *scopes, Dwarf_Die *die)
{
	const struct unit_scopes *unit = scopes_of_unit(scopes, die);
	const uint32_t scope = innermost_scope(unit, die->addr);

	if (scope == 0)
		return false;
	*die = (Dwarf_Die){ .addr = (void *)unit->list.items[scope - 1].start, .cu = die->cu };
	return true;
}

/* What DIE gives to a name whose next part inward is INNER; NULL: nothing. */
static const char *name_part(Dwarf_Die *die, const char *inner)
{
	const char *name = die_string(die, DW_AT_name);

	if (name)
		return name;
	if (inner && strcmp(inner, "operator()") == 0 && dwarf_tag(die) != DW_TAG_namespace)
		return "{lambda}";
	switch (dwarf_tag(die)) {
	case DW_TAG_namespace:
		return "(anonymous namespace)";
	case DW_TAG_class_type:
		return "(anonymous class)";
	case DW_TAG_structure_type:
		return "(anonymous struct)";
	case DW_TAG_union_type:
		return "(anonymous union)";
	default:
		return NULL;
	}
}

/* In these languages a function's name is whole as it is. */
static bool has_flat_names(Dwarf_Die *die)
{
	Dwarf_Die root;

	switch (dwarf_diecu(die, &root, NULL, NULL) ? dwarf_srclang(&root) : -1) {
	case DW_LANG_C:
	case DW_LANG_C89:
	case DW_LANG_C99:
	case DW_LANG_C11:
	case DW_LANG_Go:
	case DW_LANG_Mips_Assembler:
		return true;
	default:
		return false;
	}
}

/* The parts of DIE's name, innermost first. */
static size_t name_parts(
	struct die_scopes *scopes, Dwarf_Die die, const char *parts[static NAME_PARTS_MAX])
{
	size_t count = 0;

	for (int step = 0; step < DIE_DEPTH_MAX && count < NAME_PARTS_MAX; step++) {
		/* The declaration stands in the class; the definition may stand anywhere. */
		for (int i = 0; i < ORIGINS_MAX && to_origin(&die); i++)
			;
		parts[count] = name_part(&die, count ? parts[count - 1] : NULL);
		if (parts[count])
			count++;
		if (count == 0 || has_flat_names(&die) || !to_parent(scopes, &die))
			break;
	}
	return count;
}

const char *die_qualified_name(
	struct die_scopes *scopes, struct text_pool *texts, Dwarf_Die *die)
{
	const char *parts[NAME_PARTS_MAX];
	size_t count = name_parts(scopes, *die, parts);
	const char *name;
	char *joined = NULL;
	size_t size = 0;
	FILE *out;

	if (count <= 1)
		return count ? text_pool_add(texts, parts[0]) : NULL;
	out = open_memstream(&joined, &size);
	if (!out)
		return text_pool_add(texts, parts[0]);
	for (size_t i = count; i-- > 0;)
		fprintf(out, "%.*s%s", TEXT_SIZE_MAX / NAME_PARTS_MAX, parts[i], i ? "::" : "");
	fclose(out);
	name = text_pool_add(texts, joined);
	free(joined);
	return name;
}
