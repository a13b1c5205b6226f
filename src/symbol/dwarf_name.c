#define _GNU_SOURCE
#include "symbol/dwarf_name.h"

#include <dwarf.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "symbol/dwarf_form.h"

#define NAME_PARTS_MAX 64

struct die {
	struct dwarf_unit *unit;
	uint64_t offset;
	uint16_t tag;
	const char *name; /* NULL: none, as the following */
	const char *linkage_name;
	uint32_t line; /* of its declaration; 0: unknown */
	bool has_origin;
	struct dwarf_reference origin; /* abstract instance, or the declaration */
};

static const char *text_or_null(const struct dwarf_unit *u, const struct dwarf_value *v)
{
	const char *text = dwarf_value_text(u, v);

	return text && text[0] ? text : NULL;
}

static void take_value(struct die *die, uint16_t name, const struct dwarf_value *v)
{
	switch (name) {
	case DW_AT_name:
		die->name = text_or_null(die->unit, v);
		break;
	case DW_AT_linkage_name:
	case DW_AT_MIPS_linkage_name: /* before DWARF 4 */
		die->linkage_name = text_or_null(die->unit, v);
		break;
	case DW_AT_decl_line:
		die->line = dwarf_value_number(v);
		break;
	case DW_AT_abstract_origin:
		die->has_origin = dwarf_value_reference(die->unit, v, &die->origin);
		break;
	case DW_AT_specification:
		if (!die->has_origin)
			die->has_origin = dwarf_value_reference(die->unit, v, &die->origin);
		break;
	}
}

static bool read_die(struct dwarf_file *f, uint64_t offset, struct die *die)
{
	const struct abbreviation_attribute *attributes;
	const struct abbreviation *a;
	struct bytes at;

	*die = (struct die){ .unit = dwarf_file_unit(f, offset), .offset = offset };
	if (!die->unit)
		return false;
	at = dwarf_unit_at(die->unit, offset);
	a = dwarf_abbreviation(die->unit, bytes_uleb128(&at));
	if (!a)
		return false;
	die->tag = a->tag;
	attributes = dwarf_attributes(die->unit, a);
	for (uint32_t i = 0; i < a->count; i++) {
		const struct dwarf_value v = dwarf_read_value(die->unit, &attributes[i], &at);

		if (!bytes_ok(&at))
			break;
		take_value(die, attributes[i].name, &v);
	}
	return true;
}

/* Go from a concrete function to its abstract instance, from a definition to its declaration. */
static bool to_origin(struct die *die)
{
	struct die origin;

	if (!die->has_origin || !read_die(die->origin.file, die->origin.offset, &origin))
		return false;
	*die = origin;
	return true;
}

/* What DIE gives to a name whose next part inward is INNER; NULL: nothing. */
static const char *name_part(const struct die *die, const char *inner)
{
	if (die->name)
		return die->name;
	if (inner && strcmp(inner, "operator()") == 0 && die->tag != DW_TAG_namespace)
		return "{lambda}";
	switch (die->tag) {
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
static bool has_flat_names(const struct dwarf_unit *u)
{
	switch (u->language) {
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

/* From DIE to the scope it lies in.  False: it lies in its unit. */
static bool to_parent(struct dwarf_cache *cache, struct die *die)
{
	struct dwarf_unit *u = die->unit->skeleton ? die->unit->skeleton : die->unit;
	const struct dwarf_loaded *loaded = dwarf_cache_get(cache, u);
	uint64_t parent;

	return dwarf_tree_parent(&loaded->tree, die->unit, die->offset, &parent) &&
		read_die(die->unit->file, parent, die);
}

/* The parts of DIE's name, innermost first. */
static size_t name_parts(
	struct dwarf_cache *cache, struct die die, const char *parts[static NAME_PARTS_MAX])
{
	size_t count = 0;

	for (int step = 0; step < DWARF_DEPTH_MAX && count < NAME_PARTS_MAX; step++) {
		/* The declaration stands in the class; the definition may stand anywhere. */
		for (int i = 0; i < DWARF_ORIGINS_MAX && to_origin(&die); i++)
			;
		parts[count] = name_part(&die, count ? parts[count - 1] : NULL);
		if (parts[count])
			count++;
		if (count == 0 || has_flat_names(die.unit) || !to_parent(cache, &die))
			break;
	}
	return count;
}

/* "ns::(anonymous namespace)::Class::name"; NULL: it has no name at all. */
static const char *qualified_name(
	struct dwarf_cache *cache, struct text_pool *texts, const struct die *die)
{
	const char *parts[NAME_PARTS_MAX];
	const size_t count = name_parts(cache, *die, parts);
	char *joined = NULL;
	size_t size = 0;
	const char *name;
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

/* What is not mangled is an assembler name that was set by hand ("__GI___libc_malloc"), and
 * what is too long cannot be demangled: there the source's own name is better. */
static bool is_readable(const char *linkage_name)
{
	return linkage_name && linkage_name[0] == '_' &&
		(linkage_name[1] == 'Z' || linkage_name[1] == 'R') &&
		strlen(linkage_name) <= DEMANGLE_SIZE_MAX;
}

static void work_out(struct dwarf_name *name, struct dwarf_file *f, struct dwarf_cache *cache,
	const struct dwarf_namer *namer)
{
	struct dwarf_file *its_file = name->origin & DWARF_ORIGIN_IN_ALT ? f->alt : f;
	const char *linkage_name = NULL; /* in the file */
	struct die first, die;

	if (!its_file || !read_die(its_file, name->origin & ~DWARF_ORIGIN_IN_ALT, &first))
		return;
	die = first;
	for (int i = 0; i <= DWARF_ORIGINS_MAX; i++) {
		if (!linkage_name)
			linkage_name = die.linkage_name;
		if (name->start_line == 0)
			name->start_line = die.line;
		if ((linkage_name && name->start_line) || !to_origin(&die))
			break;
	}
	if (!is_readable(linkage_name))
		name->name = qualified_name(cache, namer->texts, &first);
	else if (namer->demangler)
		name->name = demangle(namer->demangler, linkage_name); /* it stays there */
	if (!name->name || !namer->demangler)
		name->linkage_name = text_pool_add(namer->texts, linkage_name);
}

static bool same_origin(const void *context, size_t index, const void *key)
{
	const struct dwarf_file *f = context;

	return f->names.items[index].origin == *(const uint64_t *)key;
}

const struct dwarf_name *dwarf_name_of(struct dwarf_file *f, struct dwarf_cache *cache,
	const struct dwarf_namer *namer, uint64_t origin)
{
	const uint64_t hash = hash_mix(origin);
	struct dwarf_name name = { .origin = origin };
	size_t index;

	if (!table_find(&f->names_by_origin, hash, same_origin, f, &origin, &index)) {
		work_out(&name, f, cache, namer);
		index = f->names.count;
		table_insert(&f->names_by_origin, hash, index);
		*VEC_PUSH(&f->names) = name;
	}
	return &f->names.items[index];
}
