#include "symbol/library_closure.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/table.h"
#include "base/xalloc.h"
#include "symbol/binary.h"

#define LIBRARIES_MAX 4096 /* of one process; a hostile file may name any number */

static struct closure_library *add_file(struct closure *c, const char *path, const char *name,
	const struct closure_library *parent)
{
	struct closure_library *library;
	struct binary *b = NULL;

	if (c->libraries.count >= LIBRARIES_MAX || binary_open(path, &b) < 0)
		return NULL;
	library = xcalloc(1, sizeof(*library));
	library->path = xstrdup(path);
	library->name = xstrdup(name);
	library->binary = b;
	dynamic_read(b, &library->dynamic);
	library->origin = (struct loader_origin){ .path = library->path,
		.rpath = library->dynamic.rpath,
		.runpath = library->dynamic.runpath,
		.parent = parent ? &parent->origin : NULL };
	*VEC_PUSH(&c->libraries) = library;
	return library;
}

static bool is_known_missing(const struct closure *c, const char *name)
{
	for (size_t i = 0; i < c->missing.count; i++)
		if (strcmp(c->missing.items[i].name, name) == 0)
			return true;
	return false;
}

static void add_needed(
	struct closure *c, const struct closure_library *needed_by, const char *name)
{
	char *path;

	if (closure_find(c, name) || is_known_missing(c, name))
		return;
	path = loader_find(&needed_by->origin, c->library_path, name);
	if (!path || !add_file(c, path, name, needed_by))
		*VEC_PUSH(&c->missing) = (struct closure_missing){ name, needed_by };
	free(path);
}

const struct closure_library *closure_add(struct closure *c, const char *path)
{
	const size_t first = c->libraries.count;
	/* What a program opens is loaded by it: its RPATH holds there, too. */
	const struct closure_library *program = first > 0 ? c->libraries.items[0] : NULL;
	const struct closure_library *root = add_file(c, path, path, program);

	/* Breadth first, as the loader goes. */
	for (size_t i = first; root && i < c->libraries.count; i++) {
		const struct closure_library *library = c->libraries.items[i];

		for (size_t n = 0; n < library->dynamic.needed.count; n++)
			add_needed(c, library, library->dynamic.needed.items[n]);
	}
	return root;
}

void closure_free(struct closure *c)
{
	for (size_t i = 0; i < c->libraries.count; i++) {
		struct closure_library *library = c->libraries.items[i];

		dynamic_free(&library->dynamic);
		binary_close(library->binary);
		free(library->path);
		free(library->name);
		free(library);
	}
	VEC_FREE(&c->libraries);
	VEC_FREE(&c->missing);
	VEC_FREE(&c->export_names);
	table_free(&c->exports);
}

const struct closure_library *closure_find(const struct closure *c, const char *name)
{
	for (size_t i = 0; i < c->libraries.count; i++) {
		const struct closure_library *library = c->libraries.items[i];

		if (strcmp(library->name, name) == 0 ||
			(library->dynamic.soname && strcmp(library->dynamic.soname, name) == 0))
			return library;
	}
	return NULL;
}

static bool is_named(const void *context, size_t index, const void *key)
{
	const struct closure *c = context;

	return strcmp(c->export_names.items[index], key) == 0;
}

static void list_exports(struct closure *c, const struct dynamic *d)
{
	struct dynamic_symbol symbol;

	for (size_t i = 0; dynamic_symbol_at(d, i, &symbol); i++) {
		if (!symbol.defined)
			continue;
		table_insert(&c->exports, hash_bytes(symbol.name, strlen(symbol.name)),
			c->export_names.count);
		*VEC_PUSH(&c->export_names) = symbol.name;
	}
}

bool closure_defines(struct closure *c, const char *name)
{
	size_t index;

	if (c->export_names.count == 0)
		for (size_t i = 0; i < c->libraries.count; i++)
			list_exports(c, &c->libraries.items[i]->dynamic);
	return table_find(
		&c->exports, hash_bytes(name, strlen(name)), is_named, c, name, &index);
}
