/* DWARF, by our own reader.  Which unit an address belongs to is known from the roots of all
 * units: .debug_aranges is missing from what Clang and rustc write, and partial ones mislead. */
#define _GNU_SOURCE
#include <stdlib.h>

#include "symbol/debug_file.h"
#include "symbol/dwarf_form.h"
#include "symbol/dwarf_name.h"
#include "symbol/dwarf_state.h"
#include "symbol/source.h"

static void dwarf_state_close(void *state)
{
	struct dwarf_state *d = state;

	unit_index_free(&d->index);
	dwarf_cache_free(&d->cache);
	dwarf_split_free(d->split);
	dwarf_file_close(d->file);
	dwarf_file_close(d->alt);
	binary_close(d->alt_binary);
	free(d);
}

static void open_alt_file(
	struct dwarf_state *d, const struct source_input *input, const struct binary *b)
{
	d->alt_binary = debug_file_by_alt_link(
		input->debug_folders, b, NULL, input->trail);
	if (d->alt_binary)
		d->alt = dwarf_file_open(d->alt_binary, DWARF_WHOLE);
	d->file->alt = d->alt;
}

static struct dwarf_state *open_file(const struct source_input *input, const struct binary *b)
{
	struct dwarf_file *file = dwarf_file_open(b, DWARF_WHOLE);
	struct dwarf_state *d;

	if (!file)
		return NULL;
	d = xcalloc(1, sizeof(*d));
	d->file = file;
	d->namer = (struct dwarf_namer){ input->texts, input->demangler };
	d->cache.queue = input->queue;
	d->split = dwarf_split_new(b, input->path, input->trail);
	unit_index_build(&d->index, file);
	if (unit_index_is_empty(&d->index)) {
		dwarf_state_close(d);
		return NULL;
	}
	open_alt_file(d, input, b);
	return d;
}

static void *dwarf_state_open(const struct source_input *input)
{
	void *state = NULL;

	/* The debug file is last, and has more to tell than what strip has left. */
	for (size_t i = input->file_count; i-- > 0 && !state;)
		state = open_file(input, input->files[i]);
	return state;
}

static bool read_row(struct dwarf_state *d, struct dwarf_loaded *loaded, uint64_t vaddr,
	struct source_frame *place)
{
	const struct dwarf_row *row = dwarf_lines_find(&loaded->lines, vaddr);

	if (!row)
		return false;
	place->file = dwarf_lines_path(&loaded->lines, d->namer.texts, row->file);
	place->line = row->line <= INT32_MAX ? row->line : 0;
	place->column = place->line && row->column <= INT32_MAX ? row->column : 0;
	return true;
}

static void read_call(struct dwarf_state *d, struct dwarf_loaded *loaded,
	const struct dwarf_function *function, struct source_frame *place)
{
	place->file = dwarf_lines_path(
		dwarf_call_files(loaded), d->namer.texts, function->call_file);
	place->line = function->call_line;
	place->column = function->call_column;
}

/* Append the frames at VADDR, or, when only the line is known, one without a name. */
static bool resolve_in(struct dwarf_state *d, struct dwarf_unit *u, uint64_t vaddr,
	struct source_frames *out)
{
	struct source_frame frame = { .name = NULL };
	struct dwarf_loaded *loaded;
	uint32_t index;
	bool has_row;

	dwarf_split_open(d->split, u);
	loaded = dwarf_cache_get_for(&d->cache, u, vaddr);
	has_row = read_row(d, loaded, vaddr, &frame);
	if (!interval_map_find(&loaded->tree.map, vaddr, &index)) {
		if (has_row)
			*VEC_PUSH(&out->frames) = frame;
		return false;
	}
	for (int i = 0; i < DWARF_DEPTH_MAX; i++) {
		const struct dwarf_function *function = &loaded->tree.functions.items[index];
		const struct dwarf_name *name = dwarf_name_of(
			dwarf_function_unit(u)->file, &d->cache, &d->namer, function->origin);

		frame.linkage_name = name->linkage_name;
		frame.name = name->name;
		frame.start_line = name->start_line;
		*VEC_PUSH(&out->frames) = frame;
		if (function->caller == 0)
			break;
		/* The caller's place is where the call stands. */
		read_call(d, loaded, function, &frame);
		index = function->caller - 1;
	}
	return true;
}

static bool dwarf_state_resolve(void *state, uint64_t vaddr, struct source_frames *out)
{
	struct dwarf_state *d = state;
	struct unit_search search = { .vaddr = vaddr };
	struct dwarf_unit *u;

	dwarf_cache_trim(&d->cache);
	while ((u = unit_index_next(&d->index, &search)) != NULL) {
		out->frames.count = 0; /* a line without a name was all we had */
		if (resolve_in(d, u, vaddr, out))
			return true;
	}
	return out->frames.count > 0;
}

static uint64_t dwarf_state_batch(void *state, uint64_t vaddr)
{
	struct dwarf_state *d = state;
	struct unit_search search = { .vaddr = vaddr };
	const struct dwarf_unit *u = unit_index_next(&d->index, &search);

	return u ? u->first_die : 0;
}

static void dwarf_state_expect(
	void *state, uint64_t batch, const uint64_t *vaddrs, size_t count)
{
	struct dwarf_state *d = state;
	struct dwarf_unit *u = batch ? dwarf_file_unit(d->file, batch) : NULL;

	if (!u || !d->cache.queue)
		return;
	dwarf_split_open(d->split, u);
	dwarf_unit_prepare(u);
	unit_queue_add(d->cache.queue, u, dwarf_wanted_copy(vaddrs, count));
}

const struct source source_dwarf = {
	.name = "DWARF",
	.verdict = VERDICT_DWARF,
	.resolves = true,
	.open = dwarf_state_open,
	.resolve = dwarf_state_resolve,
	.batch = dwarf_state_batch,
	.expect = dwarf_state_expect,
	.close = dwarf_state_close,
};
