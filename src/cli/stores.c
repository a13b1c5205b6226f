#define _GNU_SOURCE
#include "cli/stores.h"

#include <string.h>

#include "base/store.h"

void folders_split(struct folders *f, const char *text)
{
	char *rest, *folder;

	*f = (struct folders){ .text = xstrdup(text ? text : "") };
	rest = f->text;
	while ((folder = strsep(&rest, ":")) != NULL)
		if (folder[0])
			*VEC_PUSH(&f->list) = folder;
	VEC_PUSH(&f->list);
}

void folders_free(struct folders *f)
{
	VEC_FREE(&f->list);
	free(f->text);
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

void folders_find_stores(struct folders *f, const char *const *named, const char *recorded)
{
	char *rest, *folder;

	*f = (struct folders){ .text = list_of_stores(recorded) };
	for (; named && *named; named++)
		*VEC_PUSH(&f->list) = *named;
	rest = f->text;
	while ((folder = strsep(&rest, ":")) != NULL)
		if (folder[0] && store_is_trusted(folder))
			*VEC_PUSH(&f->list) = folder;
	VEC_PUSH(&f->list);
}
