#define _GNU_SOURCE
#include "symbol/dwarf_tree.h"

#include <dwarf.h>
#include <stdlib.h>

#include "symbol/dwarf_form.h"

/* What the DIEs at one depth stand in. */
struct level {
	uint32_t caller; /* the function around them: its index plus one; 0: none with code */
	uint32_t scope; /* its index plus one; 0: the unit */
	uint32_t own_scope; /* the scope that ends with this level; 0: none does */
	bool in_function; /* with or without code */
};

struct interval_list {
	VEC(struct interval) list;
};

struct walk {
	struct dwarf_tree *tree;
	struct dwarf_unit *unit;
	struct bytes at;
	struct interval_list intervals;
	const struct dwarf_wanted *wanted;
	bool passes_over; /* functions that hold nothing wanted */
	bool has_passed_over;
	uint64_t ranges_left;
	uint32_t depth; /* LEVELS[DEPTH] is where the next DIE stands */
	uint32_t function; /* whose ranges are visited: its index */
	struct level levels[DWARF_DEPTH_MAX];
};

static void add_interval(void *context, uint64_t start, uint64_t end)
{
	struct walk *walk = context;
	struct interval *last;

	if (walk->intervals.list.count > 0) {
		last = &walk->intervals.list.items[walk->intervals.list.count - 1];
		if (last->owner == walk->function && last->end == start) {
			last->end = end;
			return;
		}
	}
	*VEC_PUSH(&walk->intervals.list) = (struct interval){
		.start = start, .end = end, .rank = walk->depth, .owner = walk->function };
}

struct function_values {
	struct dwarf_pcs pcs;
	struct dwarf_value origin, call_file;
	uint32_t call_line, call_column;
	uint64_t sibling; /* 0: not told */
};

static uint64_t sibling_offset(const struct dwarf_unit *u, const struct dwarf_value *v)
{
	struct dwarf_reference ref;

	return dwarf_value_reference(u, v, &ref) && ref.file == u->file ? ref.offset : 0;
}

/* Part by part: the processor waits for the parts of V to be in memory before it copies them as
 * one. */
static inline void copy_value(struct dwarf_value *to, const struct dwarf_value *v)
{
	to->form = v->form;
	to->number = v->number;
}

static void take_value(struct function_values *values, const struct dwarf_unit *u,
	uint16_t name, const struct dwarf_value *v)
{
	switch (name) {
	case DW_AT_low_pc:
		copy_value(&values->pcs.low, v);
		break;
	case DW_AT_high_pc:
		copy_value(&values->pcs.high, v);
		break;
	case DW_AT_ranges:
		copy_value(&values->pcs.ranges, v);
		break;
	case DW_AT_abstract_origin:
	case DW_AT_specification:
		copy_value(&values->origin, v);
		break;
	case DW_AT_call_file:
		copy_value(&values->call_file, v);
		break;
	case DW_AT_call_line:
		values->call_line = dwarf_value_number(v);
		break;
	case DW_AT_call_column:
		values->call_column = dwarf_value_number(v);
		break;
	case DW_AT_sibling:
		values->sibling = sibling_offset(u, v);
		break;
	}
}

static void read_function(
	struct walk *walk, const struct abbreviation *a, struct function_values *values)
{
	const struct abbreviation_attribute *attributes = dwarf_attributes(walk->unit, a);

	*values = (struct function_values){ .call_line = 0 };
	for (uint32_t i = 0; i < a->count; i++) {
		struct dwarf_value v;

		if (!attributes[i].of_function) {
			dwarf_skip_value(walk->unit, &attributes[i], &walk->at);
			continue;
		}
		v = dwarf_read_value(walk->unit, &attributes[i], &walk->at);
		take_value(values, walk->unit, attributes[i].name, &v);
	}
}

static uint64_t origin_of(const struct dwarf_unit *u, const struct abbreviation *a,
	const struct function_values *values, uint64_t own_offset)
{
	struct dwarf_reference ref;

	if (a->tells || !dwarf_value_reference(u, &values->origin, &ref))
		return own_offset;
	return ref.file == u->file ? ref.offset : ref.offset | DWARF_ORIGIN_IN_ALT;
}

/* Of the intervals from BEFORE on those where somebody will ask.  True: there are any. */
static bool keep_wanted(struct walk *walk, size_t before)
{
	struct interval *list = walk->intervals.list.items;
	size_t kept = before;

	for (size_t i = before; i < walk->intervals.list.count; i++)
		if (dwarf_wanted_in(walk->wanted, list[i].start, list[i].end))
			list[kept++] = list[i];
	walk->intervals.list.count = kept;
	return kept > before;
}

/* The index plus one of the function, when it has code; else 0.  *IS_WANTED: somebody will ask for
 * that code. */
static uint32_t add_function(struct walk *walk, const struct abbreviation *a,
	const struct function_values *values, uint64_t offset, uint32_t caller, bool *is_wanted)
{
	const size_t before = walk->intervals.list.count;

	*is_wanted = false;
	if (!dwarf_pcs_known(&values->pcs))
		return 0;
	walk->function = (uint32_t)walk->tree->functions.count;
	dwarf_visit_ranges(walk->unit, &values->pcs, &walk->ranges_left, add_interval, walk);
	if (walk->intervals.list.count == before)
		return 0;
	*is_wanted = keep_wanted(walk, before);
	*VEC_PUSH(&walk->tree->functions) = (struct dwarf_function){
		.origin = origin_of(walk->unit, a, values, offset),
		.caller = caller,
		.call_file = values->call_file.form ? dwarf_value_number(&values->call_file)
						    : UINT32_MAX,
		.call_line = values->call_line,
		.call_column = values->call_column,
	};
	return (uint32_t)walk->tree->functions.count;
}

static uint32_t enter_scope(struct walk *walk, uint64_t offset)
{
	*VEC_PUSH(&walk->tree->scopes) = (struct dwarf_scope){ .start = offset,
		.end = walk->unit->end,
		.parent = walk->levels[walk->depth].scope };
	return (uint32_t)walk->tree->scopes.count;
}

/* The children of the DIE come next, and stand in BELOW. */
static bool descend(struct walk *walk, const struct level *below)
{
	if (walk->depth + 1 == DWARF_DEPTH_MAX)
		return false;
	walk->levels[++walk->depth] = *below;
	return true;
}

static bool jump(struct walk *walk, uint64_t sibling)
{
	if (sibling <= dwarf_offset_of(walk->unit, &walk->at) || sibling > walk->unit->end)
		return false;
	walk->at = dwarf_unit_at(walk->unit, sibling);
	return true;
}

/* Leave out what is inside the scope at OFFSET, up to SIBLING. */
static bool jump_over_scope(struct walk *walk, uint64_t offset, uint64_t sibling)
{
	struct dwarf_scope *scope;

	if (!jump(walk, sibling))
		return false;
	enter_scope(walk, offset);
	scope = &walk->tree->scopes.items[walk->tree->scopes.count - 1];
	scope->end = sibling;
	scope->is_skipped = true;
	return true;
}

/* Another function may stand inside, which has code elsewhere: seldom, so that is seen afterwards
 * (is_answered()). */
static bool pass_over(struct walk *walk, uint64_t offset, uint64_t sibling)
{
	if (!walk->passes_over || !jump_over_scope(walk, offset, sibling))
		return false;
	walk->has_passed_over = true;
	return true;
}

/* False: the walk ends. */
static bool walk_function(struct walk *walk, const struct abbreviation *a, uint64_t offset)
{
	const struct level *here = &walk->levels[walk->depth];
	struct level below = { .in_function = true, .scope = here->scope };
	const bool is_inlined = a->role == ROLE_INLINED;
	struct function_values values;
	bool is_wanted;

	read_function(walk, a, &values);
	/* A function is called, not inlined, wherever it stands. */
	below.caller = add_function(
		walk, a, &values, offset, is_inlined ? here->caller : 0, &is_wanted);
	if (is_inlined && below.caller == 0)
		below.caller = here->caller;
	if (!a->has_children)
		return true;
	if (a->is_declaration && !is_inlined && jump(walk, values.sibling))
		return true;
	if (!is_inlined && !is_wanted && pass_over(walk, offset, values.sibling))
		return true;
	if (!is_inlined)
		below.scope = below.own_scope = enter_scope(walk, offset);
	return descend(walk, &below);
}

/* DW_AT_sibling of the DIE whose values start at the cursor; 0: not told. */
static uint64_t read_sibling(const struct walk *walk, const struct abbreviation *a)
{
	const struct abbreviation_attribute *attributes = dwarf_attributes(walk->unit, a);
	struct bytes at = walk->at;
	struct dwarf_value v;

	if (a->sibling < 0)
		return 0;
	for (int32_t i = 0; i < a->sibling; i++)
		dwarf_skip_value(walk->unit, &attributes[i], &at);
	v = dwarf_read_value(walk->unit, &attributes[a->sibling], &at);
	return bytes_ok(&at) ? sibling_offset(walk->unit, &v) : 0;
}

static bool may_be_skipped(uint8_t role, bool in_function)
{
	return role == ROLE_EMPTY || (!in_function && role != ROLE_NAMESPACE && role != ROLE_BLOCK);
}

/* A DIE with children that is no function. */
static bool walk_other(struct walk *walk, const struct abbreviation *a, uint64_t offset)
{
	const struct level *here = &walk->levels[walk->depth];
	struct level below = { .in_function = here->in_function, .scope = here->scope };
	const bool is_scope = a->role == ROLE_TYPE || a->role == ROLE_NAMESPACE;

	if (may_be_skipped(a->role, here->in_function)) {
		const uint64_t sibling = read_sibling(walk, a);

		if (is_scope ? jump_over_scope(walk, offset, sibling) : jump(walk, sibling))
			return true;
	}
	dwarf_skip_die(walk->unit, a, &walk->at);
	if (a->role == ROLE_BLOCK)
		below.caller = here->caller;
	if (is_scope)
		below.scope = below.own_scope = enter_scope(walk, offset);
	return descend(walk, &below);
}

/* The DIEs at this depth end.  False: so do all. */
static bool ascend(struct walk *walk)
{
	const uint32_t scope = walk->levels[walk->depth].own_scope;

	if (scope)
		walk->tree->scopes.items[scope - 1].end = dwarf_offset_of(walk->unit, &walk->at);
	return walk->depth-- > 1;
}

static bool walk_die(struct walk *walk)
{
	const uint64_t offset = dwarf_offset_of(walk->unit, &walk->at);
	const uint64_t code = bytes_uleb128(&walk->at);
	const struct abbreviation *a;

	if (code == 0)
		return bytes_ok(&walk->at) && ascend(walk);
	a = dwarf_abbreviation(walk->unit, code);
	if (!a)
		return false;
	if (!a->has_children && a->role != ROLE_FUNCTION && a->role != ROLE_INLINED) {
		dwarf_skip_die(walk->unit, a, &walk->at); /* most of them */
		return true;
	}
	if (a->role == ROLE_FUNCTION || a->role == ROLE_INLINED)
		return walk_function(walk, a, offset);
	return walk_other(walk, a, offset);
}

static void walk_unit(struct walk *walk)
{
	struct dwarf_unit *u = walk->unit;
	const struct abbreviation *root;

	walk->tree->functions.count = walk->tree->scopes.count = 0;
	walk->intervals.list.count = 0;
	walk->at = dwarf_unit_at(u, u->first_die);
	walk->ranges_left = dwarf_ranges_limit(u);
	root = dwarf_abbreviation(u, bytes_uleb128(&walk->at));
	if (root && root->has_children) {
		dwarf_skip_die(u, root, &walk->at);
		walk->depth = 1;
		while (bytes_left(&walk->at) > 0 && walk_die(walk))
			;
	}
	interval_map_build(
		&walk->tree->map, walk->intervals.list.items, walk->intervals.list.count);
}

/* Every wanted address has its function, or nothing was passed over that could be it. */
static bool is_answered(const struct walk *walk)
{
	uint32_t function;

	for (size_t i = 0; walk->has_passed_over && i < walk->wanted->count; i++)
		if (!interval_map_find(&walk->tree->map, walk->wanted->vaddrs[i], &function))
			return false;
	return true;
}

void dwarf_tree_read(
	struct dwarf_tree *tree, struct dwarf_unit *u, const struct dwarf_wanted *wanted)
{
	struct walk *walk = xcalloc(1, sizeof(*walk));

	walk->tree = tree;
	walk->unit = u;
	walk->wanted = wanted;
	walk->passes_over = wanted->count > 0;
	walk_unit(walk);
	if (!is_answered(walk)) {
		walk->passes_over = false;
		walk_unit(walk);
	}
	VEC_FREE(&walk->intervals.list);
	free(walk);
}

void dwarf_tree_free(struct dwarf_tree *tree)
{
	VEC_FREE(&tree->functions);
	VEC_FREE(&tree->scopes);
	interval_map_free(&tree->map);
}

/* Go down from the scope at OUTER, whose inside the walk has passed over, to the innermost scope
 * around the DIE at OFFSET. */
static uint64_t scope_below(struct dwarf_unit *u, uint64_t outer, uint64_t offset)
{
	uint64_t around[DWARF_DEPTH_MAX]; /* the scope by depth */
	struct bytes at = dwarf_unit_at(u, outer);
	size_t depth = 0;

	around[0] = outer;
	while (bytes_left(&at) > 0 && dwarf_offset_of(u, &at) < offset) {
		const uint64_t here = dwarf_offset_of(u, &at);
		const uint64_t code = bytes_uleb128(&at);
		const struct abbreviation *a = code ? dwarf_abbreviation(u, code) : NULL;

		if (code == 0) {
			if (depth-- == 0)
				return outer;
			continue;
		}
		if (!a)
			return outer;
		dwarf_skip_die(u, a, &at);
		if (!a->has_children)
			continue;
		if (++depth == DWARF_DEPTH_MAX)
			return outer;
		around[depth] = a->role == ROLE_TYPE || a->role == ROLE_NAMESPACE ||
				a->role == ROLE_FUNCTION
			? here
			: around[depth - 1];
	}
	return around[depth];
}

bool dwarf_tree_parent(
	const struct dwarf_tree *tree, struct dwarf_unit *u, uint64_t offset, uint64_t *parent)
{
	size_t low = 0, high = tree->scopes.count;

	while (low < high) {
		const size_t middle = low + (high - low) / 2;

		if (tree->scopes.items[middle].start < offset)
			low = middle + 1;
		else
			high = middle;
	}
	while (low > 0 && tree->scopes.items[low - 1].end <= offset)
		low = tree->scopes.items[low - 1].parent;
	if (low == 0)
		return false;
	*parent = tree->scopes.items[low - 1].start;
	if (tree->scopes.items[low - 1].is_skipped)
		*parent = scope_below(u, *parent, offset);
	return true;
}
