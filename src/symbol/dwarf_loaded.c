#include "symbol/dwarf_loaded.h"

#include <stdlib.h>

struct dwarf_loaded *dwarf_loaded_read(struct dwarf_unit *u, struct dwarf_wanted wanted)
{
	struct dwarf_loaded *loaded = xcalloc(1, sizeof(*loaded));

	loaded->unit = u;
	loaded->wanted = wanted;
	dwarf_tree_read(&loaded->tree, dwarf_function_unit(u), &loaded->wanted);
	dwarf_lines_read(&loaded->lines, u, &loaded->wanted);
	if (u->split)
		dwarf_lines_read_files(&loaded->split_files, u->split, u->split->line_offset);
	return loaded;
}

void dwarf_loaded_free(struct dwarf_loaded *loaded)
{
	if (!loaded)
		return;
	dwarf_tree_free(&loaded->tree);
	dwarf_lines_free(&loaded->lines);
	dwarf_lines_free(&loaded->split_files);
	free(loaded->wanted.vaddrs);
	free(loaded);
}

size_t dwarf_loaded_size(const struct dwarf_loaded *loaded)
{
	return loaded->tree.functions.capacity * sizeof(*loaded->tree.functions.items) +
		loaded->tree.scopes.capacity * sizeof(*loaded->tree.scopes.items) +
		loaded->lines.rows.capacity * sizeof(*loaded->lines.rows.items) +
		loaded->tree.map.segments.capacity *
			sizeof(*loaded->tree.map.segments.items);
}
