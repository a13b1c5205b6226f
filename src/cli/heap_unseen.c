#define _GNU_SOURCE
#include "cli/heap_unseen.h"

#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "base/xalloc.h"

#define NAMED_MAX 3 /* libraries; of more there is only a number */

/* LINE and behind it, with SEPARATOR between them, MORE. */
static char *and_also(char *line, const char *separator, const char *more)
{
	char *longer = line ? xasprintf("%s%s%s", line, separator, more) : xstrdup(more);

	free(line);
	return longer;
}

/* "plug.so, b.so and 3 more", or NULL. */
static char *libraries_apart(const struct spool_reader *spool)
{
	struct spool_module_view view;
	uint32_t count = 0;
	char *line = NULL;

	for (uint32_t id = 1; id <= spool_reader_module_count(spool); id++)
		if (spool_reader_module(spool, id, &view) &&
			(view.module->flags & SPOOL_MODULE_APART) && count++ < NAMED_MAX)
			line = and_also(line, ", ", path_base_name(view.path));
	if (count > NAMED_MAX) {
		char *more = xasprintf("%u more", count - NAMED_MAX);

		line = and_also(line, " and ", more);
		free(more);
	}
	return line;
}

char *heap_unseen(const struct spool_reader *spool)
{
	const char *told = spool_reader_text(spool, SPOOL_TEXT_HEAP_UNSEEN);
	char *line = told[0] ? xstrdup(told) : NULL;
	char *apart = libraries_apart(spool);

	if (apart) {
		const char *s = strchr(apart, ',') || strstr(apart, " and ") ? "" : "s";
		char *why = xasprintf("what %s allocate%s and free%s: opened with RTLD_DEEPBIND or "
				      "into a namespace of its own",
			apart, s, s);

		line = and_also(line, "; ", why);
		free(why);
	}
	free(apart);
	return line;
}
