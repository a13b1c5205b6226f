/* Symbol maps of the store: STORE/ab/cdef....psym, by build-ID. */
#define _GNU_SOURCE
#include <string.h>

#include "base/file.h"
#include "base/store.h"
#include "mapstore/map_reader.h"
#include "symbol/source.h"

/* What the text pool has made of the map's strings, by the map's numbers. */
struct known_function {
	const char *linkage_name, *name;
	uint32_t start_line;
	bool is_known;
};

struct map_state {
	struct file_bytes file;
	struct map_reader *map;
	struct text_pool *texts;
	struct demangler *demangler; /* NULL: linkage names are kept */
	struct known_function *functions;
	const char **files;
	struct map_frame frames[MAP_DEPTH_MAX]; /* the last answer, for ASKED */
	uint64_t asked; /* vaddr */
	size_t answered; /* frames */
	struct binary_segment segments[MAP_SEGMENTS_MAX];
};

static void map_close(void *state)
{
	struct map_state *m = state;

	map_reader_free(m->map);
	file_unmap(&m->file);
	free(m->functions);
	free(m->files);
	free(m);
}

/* The map at PATH if it is one of the build ID; a torn or foreign one is "not here". */
static struct map_state *open_map(
	const char *path, const struct build_id *id, struct trail *trail)
{
	struct map_state *m = xcalloc(1, sizeof(*m));
	struct build_id found;
	int r = file_map(path, &m->file);

	if (r)
		trail_note_error(trail, PLACE_MAP, path, r);
	else if (map_reader_open(m->file.data, m->file.size, &m->map))
		trail_note(trail, PLACE_MAP, path, "no symbol map, or damaged");
	else
		map_reader_build_id(m->map, &found);
	if (m->map && build_id_equal(&found, id))
		return m;
	if (m->map)
		trail_note_other_build(trail, PLACE_MAP, path, &found, id);
	map_close(m);
	return NULL;
}

static void copy_segments(struct map_state *m)
{
	const struct map_header *header = map_reader_header(m->map);
	const uint64_t limit = UINT64_C(1) << 56; /* no sum with these overflows */

	for (uint32_t i = 0; i < header->segment_count; i++) {
		const struct map_segment *s = &header->segments[i];

		if (s->vaddr < limit && s->memory_size < limit && s->offset < limit &&
			s->file_size <= s->memory_size)
			m->segments[i] = (struct binary_segment){ s->vaddr, s->memory_size,
				s->offset, s->file_size, s->executable != 0 };
	}
}

/* NULL: a map that says it holds more than there is memory for cannot be meant. */
static struct map_state *prepare(struct map_state *m, const struct source_input *input)
{
	const struct map_section *sections = map_reader_header(m->map)->sections;

	m->texts = input->texts;
	m->demangler = input->demangler;
	m->functions = calloc(sections[MAP_FUNCTIONS].count + 1, sizeof(*m->functions));
	m->files = calloc(sections[MAP_STRINGS].count + 1, sizeof(*m->files));
	if (m->functions && m->files) {
		copy_segments(m);
		return m;
	}
	map_close(m);
	return NULL;
}

static void *open_in_stores(const struct source_input *input, bool with_lines)
{
	const struct build_id *id = input->build_id;
	char path[STORE_PATH_MAX];
	struct map_state *m = NULL;

	if (id->size == 0 && input->file_count > 0)
		id = binary_build_id(input->files[0]);
	for (const char *const *store = input->stores; store && *store && !m; store++)
		if (store_entry(*store, id, STORE_MAP_SUFFIX, path, sizeof(path)))
			m = open_map(path, id, with_lines ? input->trail : NULL);
	if (m && with_lines)
		trail_note(input->trail, PLACE_MAP, path, "taken: %s",
			map_reader_header(m->map)->has_lines ? "lines in it"
							     : "symbols in it, but no lines");
	if (m && map_reader_header(m->map)->has_lines != with_lines) {
		map_close(m);
		m = NULL;
	}
	return m ? prepare(m, input) : NULL;
}

static void *map_open(const struct source_input *input)
{
	return open_in_stores(input, true);
}

static void *symbol_map_open(const struct source_input *input)
{
	return open_in_stores(input, false);
}

static const char *text_of(struct map_state *m, uint32_t string)
{
	return text_pool_add(m->texts, map_reader_string(m->map, string));
}

static const char *shown_name_of(struct map_state *m, uint32_t string)
{
	const char *linkage_name = map_reader_string(m->map, string);

	return linkage_name ? demangle_once(m->demangler, linkage_name) : NULL;
}

static const struct known_function *function_of(struct map_state *m, uint32_t number)
{
	struct known_function *known = &m->functions[number];
	struct map_function f;

	if (!known->is_known && map_reader_function(m->map, number, &f)) {
		known->name = text_of(m, f.name);
		if (known->name || !m->demangler)
			known->linkage_name = text_of(m, f.linkage_name);
		else
			known->name = shown_name_of(m, f.linkage_name);
		known->start_line = f.start_line;
	}
	known->is_known = true;
	return known;
}

static const char *file_of(struct map_state *m, uint32_t number)
{
	if (number && !m->files[number])
		m->files[number] = text_of(m, number);
	return m->files[number];
}

static void find(struct map_state *m, uint64_t vaddr)
{
	m->asked = vaddr;
	m->answered = map_reader_find(m->map, vaddr, m->frames);
}

static bool map_resolve(void *state, uint64_t vaddr, struct source_frames *out)
{
	struct map_state *m = state;

	find(m, vaddr);
	for (size_t i = 0; i < m->answered; i++) {
		const struct map_frame *f = &m->frames[i];
		const struct known_function *function = function_of(m, f->function);

		*VEC_PUSH(&out->frames) = (struct source_frame){
			.linkage_name = function->linkage_name,
			.name = function->name,
			.file = file_of(m, f->file),
			.line = f->line,
			.column = f->column,
			.start_line = function->start_line,
		};
	}
	return m->answered > 0;
}

/* Asked when the address has just been resolved. */
static bool map_is_folded(void *state, uint64_t vaddr)
{
	struct map_state *m = state;

	if (m->asked != vaddr)
		find(m, vaddr);
	return m->answered > 0 && m->frames[0].is_folded;
}

static size_t map_segments(void *state, const struct binary_segment **segments)
{
	struct map_state *m = state;

	*segments = m->segments;
	return map_reader_header(m->map)->segment_count;
}

const struct source source_map = {
	.name = "symbol map",
	.verdict = VERDICT_MAP,
	.resolves = true,
	.open = map_open,
	.resolve = map_resolve,
	.segments = map_segments,
	.is_folded = map_is_folded,
	.close = map_close,
};

const struct source source_symbol_map = {
	.name = "symbol map without lines",
	.verdict = VERDICT_SYMBOLS,
	.resolves = true,
	.open = symbol_map_open,
	.resolve = map_resolve,
	.segments = map_segments,
	.is_folded = map_is_folded,
	.close = map_close,
};
