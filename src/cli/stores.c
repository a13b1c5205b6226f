#define _GNU_SOURCE
#include "cli/stores.h"

#include <string.h>

#include "base/store.h"
#include "cli/configuration.h"
#include "cli/fetch_line.h"

typedef bool folder_filter(const char *folder);

static bool has_folder(const struct folders *f, const char *folder)
{
	for (size_t i = 0; i < f->list.count; i++)
		if (strcmp(f->list.items[i], folder) == 0)
			return true;
	return false;
}

/* The folders of F's text that pass FILTER (NULL: all), each once. */
static void add_folders(struct folders *f, folder_filter *filter)
{
	char *rest = f->text, *folder;

	while ((folder = strsep(&rest, ":")) != NULL)
		if (folder[0] && !has_folder(f, folder) && (!filter || filter(folder)))
			*VEC_PUSH(&f->list) = folder;
}

void folders_split(struct folders *f, const char *text)
{
	*f = (struct folders){ .text = xstrdup(text ? text : "") };
	add_folders(f, NULL);
	VEC_PUSH(&f->list);
}

void folders_free(struct folders *f)
{
	VEC_FREE(&f->list);
	free(f->text);
}

/* NAMED, then those of TEXT, which is taken, as far as they pass FILTER. */
static void add_to_named(
	struct folders *f, const char *const *named, char *text, folder_filter *filter)
{
	*f = (struct folders){ .text = text };
	for (; named && *named; named++)
		*VEC_PUSH(&f->list) = *named;
	add_folders(f, filter);
	VEC_PUSH(&f->list);
}

/* RECORDED with this machine's stores behind it. */
static char *list_of_stores(const char *recorded)
{
	char *whole = xstrdup(recorded ? recorded : "");
	char folder[STORE_PATH_MAX];

	for (size_t i = 0; store_folder(i, folder); i++) {
		char *longer = xasprintf("%s:%s", whole, folder);

		free(whole);
		whole = longer;
	}
	return whole;
}

static char *list_of_pprof(void)
{
	const char *list = getenv("PPROF_BINARY_PATH"), *home = getenv("HOME");

	if (list && list[0])
		return xstrdup(list);
	return home && home[0] == '/' ? xasprintf("%s/pprof/binaries", home) : xstrdup("");
}

void symbol_folders_find(
	struct symbol_folders *f, struct symbolizer_options *options, const char *recorded)
{
	add_to_named(&f->debug, options->debug_folders, xstrdup(configuration_symbols()), NULL);
	add_to_named(
		&f->stores, f->debug.list.items, list_of_stores(recorded), store_is_trusted);
	add_to_named(&f->pprof, NULL, list_of_pprof(), NULL);
	options->debug_folders = f->debug.list.items;
	options->stores = f->stores.list.items;
	options->pprof_folders = f->pprof.list.items;
	options->fetching = &fetch_line;
}

void symbol_folders_free(struct symbol_folders *f)
{
	folders_free(&f->debug);
	folders_free(&f->stores);
	folders_free(&f->pprof);
}
