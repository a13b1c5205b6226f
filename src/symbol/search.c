#define _GNU_SOURCE
#include "symbol/search.h"

#include <errno.h>
#include <gelf.h>
#include <string.h>

#include "base/compiler.h"
#include "symbol/debug_file.h"
#include "symbol/debuginfod.h"
#include "symbol/kept_file.h"
#include "symbol/pprof_folder.h"

/* What a file can tell, the more the better. */
enum richness { KNOWS_NOTHING, KNOWS_EXPORTS, KNOWS_SYMBOLS, KNOWS_LINES };

static bool has_section(const struct binary *b, const char *name)
{
	struct binary_section section;

	return binary_find_section(b, name, &section) && bytes_left(&section.bytes) > 0;
}

static enum richness richness_of(const struct binary *b)
{
	if (!b)
		return KNOWS_NOTHING;
	if (has_section(b, ".debug_info") || has_section(b, ".zdebug_info"))
		return KNOWS_LINES;
	if (has_section(b, ".symtab"))
		return KNOWS_SYMBOLS;
	return has_section(b, ".dynsym") ? KNOWS_EXPORTS : KNOWS_NOTHING;
}

static const char *richness_text(const struct binary *b)
{
	static const char *const texts[] = {
		[KNOWS_NOTHING] = "no symbols in it",
		[KNOWS_EXPORTS] = "exported symbols in it",
		[KNOWS_SYMBOLS] = ".symtab in it",
		[KNOWS_LINES] = "DWARF in it",
	};

	return texts[richness_of(b)];
}

/* Is this the image that ran, and no debug file, whose code was taken out? */
static bool has_code(const struct binary *b)
{
	const struct binary_segment *segments;
	const size_t count = binary_segments(b, &segments);
	struct binary_section text;
	bool found = false;

	for (size_t i = 0; i < count; i++)
		found |= segments[i].executable && segments[i].file_size > 0;
	return found &&
		(!binary_find_section(b, ".text", &text) || bytes_left(&text.bytes) > 0);
}

/* Use FOUND, which is of the module's build, for what it has more than what there is. */
static void adopt(struct search *s, enum symbol_place place, struct binary *found)
{
	const enum richness known = richness_of(s->file) > richness_of(s->debug_file)
		? richness_of(s->file)
		: richness_of(s->debug_file);

	if (!found)
		return;
	if (!s->file && has_code(found)) {
		trail_note(&s->trail, place, binary_path(found), "taken: %s",
			richness_text(found));
		s->file = found;
		s->is_elsewhere = true;
	} else if (richness_of(found) > known && richness_of(found) > KNOWS_EXPORTS) {
		trail_note(&s->trail, place, binary_path(found), "taken: %s",
			richness_text(found));
		binary_close(s->debug_file);
		s->debug_file = found;
	} else {
		trail_note(&s->trail, place, binary_path(found), "not needed: %s",
			richness_text(found));
		binary_close(found);
	}
}

/* The build that is looked for, as far as it is known by now. */
static const struct build_id *wanted_id(const struct search *s)
{
	return s->build_id->size > 0 || !s->file ? s->build_id : binary_build_id(s->file);
}

static bool is_vdso(const char *path)
{
	return strcmp(path, "[vdso]") == 0 || strcmp(path, "linux-vdso.so.1") == 0;
}

static int open_own(struct search *s, struct binary **file)
{
	const int r = is_vdso(s->path) ? binary_open_vdso(file) : binary_open(s->path, file);

	if (r < 0) {
		trail_note_error(&s->trail, PLACE_OWN_PATH, s->path, r);
		return r;
	}
	s->id_there = *binary_build_id(*file);
	if (s->build_id->size > 0 && !build_id_equal(&s->id_there, s->build_id)) {
		trail_note_other_build(
			&s->trail, PLACE_OWN_PATH, s->path, &s->id_there, s->build_id);
		return -ESTALE;
	}
	if (s->content_id && binary_content_id(*file) != s->content_id) {
		trail_note(&s->trail, PLACE_OWN_PATH, s->path, "other contents than what ran");
		return -ESTALE;
	}
	if (s->foreign_id[0] && !binary_is_go_build(*file, s->foreign_id)) {
		char *outcome = xasprintf("not known to be of build %s", s->foreign_id);

		trail_warn(&s->trail, PLACE_OWN_PATH, s->path, outcome);
		free(outcome);
		return -ESTALE;
	}
	trail_note(&s->trail, PLACE_OWN_PATH, s->path, "taken: %s", richness_text(*file));
	return 0;
}

void search_own_path(struct search *s)
{
	struct binary *file = NULL;

	s->file_error = s->path[0] ? open_own(s, &file) : -ENOENT;
	if (s->file_error)
		binary_close(file);
	else
		s->file = file;
}

static void look_in_stores(struct search *s)
{
	if (s->build_id->size || s->content_id)
		adopt(s, PLACE_KEPT,
			kept_file_open(s->options->stores, s->build_id, s->content_id, &s->trail));
}

static void look_by_build_id(struct search *s)
{
	adopt(s, PLACE_BUILD_ID,
		debug_file_by_build_id(s->options->debug_folders, wanted_id(s), &s->trail));
}

static void follow_debug_link(struct search *s)
{
	if (s->file)
		adopt(s, PLACE_LINK,
			debug_file_by_link(
				s->options->debug_folders, s->file, s->path, &s->trail));
}

static void look_at_pprofs(struct search *s)
{
	adopt(s, PLACE_PPROF,
		pprof_folder_open(s->options->pprof_folders, s->path, wanted_id(s), &s->trail));
}

static void look_in_cache(struct search *s)
{
	adopt(s, PLACE_CACHE,
		debuginfod_open_cached(DEBUGINFOD_DEBUG_FILE, wanted_id(s), &s->trail));
}

static void ask_servers(struct search *s)
{
	if (!is_vdso(s->path))
		adopt(s, PLACE_SERVER,
			debuginfod_fetch(DEBUGINFOD_DEBUG_FILE, wanted_id(s), s->options->fetching,
				&s->trail));
}

/* What no debug file tells a library that is gone may: its exports, Go's tables, where functions
 * start. */
static void look_in_cache_for_itself(struct search *s)
{
	if (!s->file)
		adopt(s, PLACE_CACHE,
			debuginfod_open_cached(DEBUGINFOD_EXECUTABLE, wanted_id(s), &s->trail));
}

static void ask_servers_for_itself(struct search *s)
{
	if (!s->file && !is_vdso(s->path))
		adopt(s, PLACE_SERVER,
			debuginfod_fetch(DEBUGINFOD_EXECUTABLE, wanted_id(s), s->options->fetching,
				&s->trail));
}

void search_elsewhere(struct search *s)
{
	/* In the order of enum symbol_place; the last two are asked twice. */
	static void (*const places[])(struct search *) = { look_in_stores, look_by_build_id,
		follow_debug_link, look_at_pprofs, look_in_cache, ask_servers,
		look_in_cache_for_itself, ask_servers_for_itself };

	for (size_t i = 0; i < ARRAY_SIZE(places); i++)
		if (richness_of(s->file) < KNOWS_LINES && richness_of(s->debug_file) < KNOWS_LINES)
			places[i](s);
}

void search_close(struct search *s)
{
	binary_close(s->file);
	binary_close(s->debug_file);
	trail_free(&s->trail);
}
