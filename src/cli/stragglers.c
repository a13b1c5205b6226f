#include "cli/stragglers.h"

#include <stdlib.h>

#include "base/path.h"
#include "base/xalloc.h"
#include "cli/message.h"
#include "cli/spool_folder.h"

#define NAMED_MAX 3

static bool is_straggler(const struct spool_header *h, const char *path, const void *session)
{
	return h->session == *(const uint64_t *)session && spool_is_in_use(h, path);
}

static found_spools find(const char *folder, uint64_t session)
{
	found_spools found = { .count = 0 };

	spool_folder_list(folder, is_straggler, &session, &found); /* none, if it cannot be read */
	return found;
}

bool stragglers_are_there(const char *folder, uint64_t session)
{
	found_spools found = find(folder, session);
	const bool any = found.count > 0;

	found_spools_free(&found);
	return any;
}

/* "nginx (pid 7), nginx (pid 8)". */
static char *names_of(const found_spools *found)
{
	char *names = xstrdup("");

	for (size_t i = 0; i < found->count && i < NAMED_MAX; i++) {
		const struct spool_reader *spool = found->items[i].reader;
		char *longer = xasprintf("%s%s%s (pid %u)", names, i ? ", " : "",
			path_base_name(spool_reader_text(spool, SPOOL_TEXT_EXECUTABLE)),
			spool_reader_header(spool)->pid);

		free(names);
		names = longer;
	}
	return names;
}

void stragglers_say(const char *folder, uint64_t session)
{
	found_spools found = find(folder, session);

	if (found.count) {
		char *names = names_of(&found);

		message("still running: %s%s; a profile is written when each ends, or then by "
			"plugprof recover; of now: plugprof symbolize %s -o NAME",
			names, found.count > NAMED_MAX ? ", ..." : "", found.items[0].path);
		free(names);
	}
	found_spools_free(&found);
}
