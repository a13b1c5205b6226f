#include "symbol/debug_unit.h"

#include <dwarf.h>
#include <string.h>

#include "symbol/demangle.h"

/* Hostile DWARF can refer to one long list of ranges from each of its DIEs. */
#define INTERVALS_MAX (1u << 22)
#define RANGES_PER_DIE_MAX (1u << 16)
#define FRAMES_MAX DIE_DEPTH_MAX

struct interval_list {
	VEC(struct interval) list;
};

void debug_visit_ranges(Dwarf_Die *die, debug_range_visitor *visit, void *context)
{
	Dwarf_Addr base, start, end;
	ptrdiff_t offset = 0;

	for (size_t i = 0; i < RANGES_PER_DIE_MAX; i++) {
		offset = dwarf_ranges(die, offset, &base, &start, &end);
		if (offset <= 0)
			return;
		if (start != 0 && start < end)
			visit(context, start, end);
	}
}

/* A walk over a unit's functions. */
struct function_walk {
	struct debug_unit *unit;
	struct interval_list intervals;
	uint32_t depth;
	uint32_t function; /* whose ranges are visited: its index */
};

static void add_interval(void *context, uint64_t start, uint64_t end)
{
	struct function_walk *walk = context;
	struct interval *last;

	if (walk->intervals.list.count > 0) {
		last = &walk->intervals.list.items[walk->intervals.list.count - 1];
		if (last->owner == walk->function && last->end == start) {
			last->end = end;
			return;
		}
	}
	if (walk->intervals.list.count < INTERVALS_MAX)
		*VEC_PUSH(&walk->intervals.list) = (struct interval){
			.start = start, .end = end, .rank = walk->depth, .owner = walk->function };
}

static bool is_function(int tag)
{
	return tag == DW_TAG_subprogram || tag == DW_TAG_inlined_subroutine;
}

/* The number plus one of the function DIE, when it has code; else 0. */
static uint32_t add_function(
	struct function_walk *walk, Dwarf_Die *die, uint32_t caller, uint32_t depth)
{
	struct debug_unit *unit = walk->unit;
	const size_t before = walk->intervals.list.count;

	walk->depth = depth;
	walk->function = (uint32_t)unit->functions.count;
	debug_visit_ranges(die, add_interval, walk);
	if (walk->intervals.list.count == before)
		return 0;
	*VEC_PUSH(&unit->functions) =
		(struct debug_function){ .die_address = die->addr, .caller = caller };
	return (uint32_t)unit->functions.count;
}

/* Can there be functions with code below DIE?  IN_FUNCTION: it stands in a function itself.
 * Types outside functions hold declarations only; a lambda's code is below its local class. */
static bool may_hold_functions(Dwarf_Die *die, bool in_function)
{
	switch (dwarf_tag(die)) {
	case DW_TAG_namespace:
	case DW_TAG_module:
	case DW_TAG_inlined_subroutine:
	case DW_TAG_lexical_block:
	case DW_TAG_try_block:
	case DW_TAG_catch_block:
		return true;
	case DW_TAG_subprogram:
		return !dwarf_hasattr(die, DW_AT_declaration);
	case DW_TAG_class_type:
	case DW_TAG_structure_type:
	case DW_TAG_union_type:
		return in_function;
	default:
		return false;
	}
}

struct function_level {
	Dwarf_Die die;
	uint32_t caller; /* the function around it: its index plus one */
	bool in_function; /* with or without code */
};

/* What the children of DIE, at LEVEL, stand in. */
static struct function_level level_below(
	struct function_walk *walk, struct function_level *level, uint32_t depth)
{
	struct function_level below = *level;
	const int tag = dwarf_tag(&level->die);
	uint32_t own;

	if (tag == DW_TAG_subprogram)
		below.caller = 0; /* it is called, not inlined, wherever it stands */
	if (is_function(tag)) {
		below.in_function = true;
		own = add_function(walk, &level->die, below.caller, depth);
		if (own)
			below.caller = own;
	} else if (tag != DW_TAG_lexical_block && tag != DW_TAG_try_block &&
		tag != DW_TAG_catch_block) {
		below.caller = 0;
	}
	return below;
}

static void find_functions(struct function_walk *walk, Dwarf_Die *root)
{
	struct function_level *levels = xcalloc(DIE_DEPTH_MAX, sizeof(*levels));
	uint32_t depth = die_first_child(root, &levels[0].die) ? 1 : 0;

	while (depth > 0) {
		struct function_level *at = &levels[depth - 1];
		struct function_level below = level_below(walk, at, depth);

		if (depth < DIE_DEPTH_MAX && may_hold_functions(&at->die, at->in_function) &&
			die_first_child(&at->die, &below.die)) {
			levels[depth++] = below;
			continue;
		}
		while (depth > 0 && !die_next_sibling(&levels[depth - 1].die))
			depth--;
	}
	free(levels);
}

/* libdw joins these strings to paths without asking where they end. */
static bool has_sound_strings(Dwarf_Die *root)
{
	static const unsigned int codes[] = { DW_AT_name, DW_AT_comp_dir, DW_AT_dwo_name,
		DW_AT_GNU_dwo_name };

	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (dwarf_hasattr(root, codes[i]) && !die_string(root, codes[i]))
			return false;
	return true;
}

static void index_unit(struct debug_unit *unit)
{
	struct function_walk walk = { .unit = unit };
	Dwarf_Die functions = unit->root;
	uint8_t type;

	unit->indexed = true;
	if (!has_sound_strings(&unit->root))
		return;
	if (dwarf_cu_info(unit->root.cu, NULL, &type, NULL, NULL, NULL, NULL, NULL) == 0 &&
		type == DW_UT_skeleton) {
		Dwarf_Die split;

		if (dwarf_cu_info(unit->root.cu, NULL, NULL, NULL, &split, NULL, NULL, NULL) == 0 &&
			split.addr)
			functions = split;
	}
	unit->function_cu = functions.cu;
	find_functions(&walk, &functions);
	interval_map_build(&unit->map, walk.intervals.list.items, walk.intervals.list.count);
	VEC_FREE(&walk.intervals.list);
	if (dwarf_getsrclines(&unit->root, &unit->lines, &unit->line_count) != 0)
		unit->line_count = 0;
	if (dwarf_getsrcfiles(&functions, &unit->call_files, &unit->call_file_count) != 0)
		unit->call_file_count = 0;
}

/* PATH as libdw gives it, made absolute.  libdw calls a file without name "???"; a name in
 * angle brackets is no file ("<autogenerated>"). */
static const char *known_path(
	struct debug_unit *unit, const struct debug_names *names, const char *path)
{
	const char *folder, *kept;
	char *whole;

	if (!path || strcmp(path, "???") == 0)
		return NULL;
	if (path[0] == '/' || path[0] == '<')
		return text_pool_add(names->texts, path);
	folder = die_string(&unit->root, DW_AT_comp_dir);
	if (!folder || folder[0] != '/') /* mapped away, for builds that anyone can repeat */
		return text_pool_add(names->texts, path);
	whole = xasprintf("%s/%s", folder, path);
	kept = text_pool_add(names->texts, whole);
	free(whole);
	return kept;
}

/* What is not mangled is an assembler name that was set by hand ("__GI___libc_malloc"), and
 * what is too long cannot be demangled: there the source's own name is better. */
static bool is_readable(const char *linkage_name)
{
	return linkage_name && linkage_name[0] == '_' &&
		(linkage_name[1] == 'Z' || linkage_name[1] == 'R') &&
		strlen(linkage_name) <= DEMANGLE_SIZE_MAX;
}

static void describe(struct debug_unit *unit, const struct debug_names *names,
	struct debug_function *function)
{
	Dwarf_Die die = { .addr = function->die_address, .cu = unit->function_cu };
	const uint32_t call_file = die_number(&die, DW_AT_call_file);

	function->described = true;
	function->linkage_name = text_pool_add(names->texts, die_linkage_name(&die));
	if (!is_readable(function->linkage_name))
		function->name = die_qualified_name(names->scopes, names->texts, &die);
	if (call_file < unit->call_file_count && dwarf_hasattr(&die, DW_AT_call_file))
		function->call_file = known_path(unit, names,
			dwarf_filesrc(unit->call_files, call_file, NULL, NULL));
	function->call_line = die_number(&die, DW_AT_call_line);
	function->call_column = die_number(&die, DW_AT_call_column);
	function->start_line = die_inherited_number(&die, DW_AT_decl_line);
}

static uint64_t row_vaddr(const struct debug_unit *unit, size_t index)
{
	Dwarf_Addr vaddr = 0;

	dwarf_lineaddr(dwarf_onesrcline(unit->lines, index), &vaddr);
	return vaddr;
}

/* The row that VADDR belongs to; NULL: none, it lies behind the end of a sequence. */
static Dwarf_Line *find_row(const struct debug_unit *unit, uint64_t vaddr)
{
	size_t low = 0, high = unit->line_count;
	Dwarf_Line *row;
	bool is_end;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (row_vaddr(unit, middle) <= vaddr)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0)
		return NULL;
	row = dwarf_onesrcline(unit->lines, low - 1);
	if (!row || dwarf_lineendsequence(row, &is_end) != 0 || is_end)
		return NULL;
	return row;
}

static bool read_row(struct debug_unit *unit, const struct debug_names *names,
	uint64_t vaddr, struct source_frame *place)
{
	Dwarf_Line *row = find_row(unit, vaddr);
	int line = 0, column = 0;

	if (!row)
		return false;
	dwarf_lineno(row, &line);
	dwarf_linecol(row, &column);
	place->file = known_path(unit, names, dwarf_linesrc(row, NULL, NULL));
	place->line = line > 0 ? (uint32_t)line : 0;
	place->column = line > 0 && column > 0 ? (uint32_t)column : 0;
	return true;
}

bool debug_unit_resolve(struct debug_unit *unit, const struct debug_names *names,
	uint64_t vaddr, struct source_frames *out)
{
	struct source_frame frame = { .name = NULL };
	uint32_t index;
	bool has_row;

	if (!unit->indexed)
		index_unit(unit);
	has_row = read_row(unit, names, vaddr, &frame);
	if (!interval_map_find(&unit->map, vaddr, &index)) {
		if (has_row)
			*VEC_PUSH(&out->frames) = frame;
		return has_row;
	}
	for (size_t i = 0; i < FRAMES_MAX; i++) {
		struct debug_function *function = &unit->functions.items[index];

		if (!function->described)
			describe(unit, names, function);
		frame.linkage_name = function->linkage_name;
		frame.name = function->name;
		frame.start_line = function->start_line;
		*VEC_PUSH(&out->frames) = frame;
		if (function->caller == 0)
			break;
		/* The caller's place is where the call stands. */
		frame.file = function->call_file;
		frame.line = function->call_line;
		frame.column = function->call_column;
		index = function->caller - 1;
	}
	return true;
}

void debug_unit_free(struct debug_unit *unit)
{
	VEC_FREE(&unit->functions);
	interval_map_free(&unit->map);
}
