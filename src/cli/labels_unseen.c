#define _GNU_SOURCE
#include "cli/labels_unseen.h"

#include <string.h>

#include "base/go_layout.h"
#include "base/xalloc.h"

char *labels_unseen(const struct spool_reader *spool)
{
	const char *version = spool_reader_text(spool, SPOOL_TEXT_GO_UNKNOWN);

	if (!version[0])
		return NULL;
	return xasprintf("labels of goroutines: known are those of Go " GO_LAYOUT_KNOWN
			 ", not of %s",
		strcmp(version, "go") == 0 ? "an older one" : version);
}
