#define _GNU_SOURCE
#include "symbol/trail.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* The order in which they are asked is that of enum symbol_place. */
const char *symbol_place_name(enum symbol_place place)
{
	static const char *const names[] = {
		[PLACE_OWN_PATH] = "own path",
		[PLACE_MAP] = "symbol map",
		[PLACE_KEPT] = "kept file",
		[PLACE_BUILD_ID] = "debug file by build-ID",
		[PLACE_LINK] = "debug link",
		[PLACE_PPROF] = "pprof's binaries",
		[PLACE_CACHE] = "debuginfod's cache",
		[PLACE_SERVER] = "debuginfod",
		[PLACE_ALT] = "dwz file",
		[PLACE_SPLIT] = "split DWARF",
		[PLACE_MINIDEBUG] = ".gnu_debugdata",
		[PLACE_PERF_MAP] = "perf map",
	};

	return names[place];
}

static struct symbol_step *add_step(struct trail *t, enum symbol_place place, const char *path)
{
	struct symbol_step *step = VEC_PUSH(&t->steps);

	step->place = place;
	step->path = xstrdup(path);
	return step;
}

void trail_note(struct trail *t, enum symbol_place place, const char *path, const char *format, ...)
{
	char outcome[512];
	va_list arguments;

	if (!t)
		return;
	va_start(arguments, format);
	vsnprintf(outcome, sizeof(outcome), format, arguments);
	va_end(arguments);
	add_step(t, place, path)->outcome = xstrdup(outcome);
}

void trail_warn(
	struct trail *t, enum symbol_place place, const char *path, const char *outcome)
{
	struct symbol_step *step;

	if (!t)
		return;
	step = add_step(t, place, path);
	step->outcome = xstrdup(outcome);
	step->warns = true;
}

void trail_note_error(struct trail *t, enum symbol_place place, const char *path, int error)
{
	if (error == -ENOENT || error == -ENOTDIR)
		trail_note(t, place, path, "absent");
	else if (error == -ENOEXEC)
		trail_note(t, place, path, "not an x86-64 ELF file, or damaged");
	else
		trail_note(t, place, path, "%s", strerror(-error));
}

void trail_note_other_build(struct trail *t, enum symbol_place place, const char *path,
	const struct build_id *found, const struct build_id *wanted)
{
	char has[BUILD_ID_HEX_SIZE], wants[BUILD_ID_HEX_SIZE];
	struct symbol_step *step;

	if (!t)
		return;
	step = add_step(t, place, path);
	build_id_to_hex(found, has);
	build_id_to_hex(wanted, wants);
	step->warns = found->size > 0 && wanted->size > 0;
	step->outcome = found->size == 0 ? xasprintf("no build-ID, instead of %s", wants)
		: wanted->size == 0      ? xasprintf("build-ID %s instead of none", has)
					 : xasprintf("build-ID %s instead of %s", has, wants);
}

void trail_free(struct trail *t)
{
	for (size_t i = 0; i < t->steps.count; i++) {
		free((char *)t->steps.items[i].path);
		free((char *)t->steps.items[i].outcome);
	}
	VEC_FREE(&t->steps);
}
