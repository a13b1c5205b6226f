#include "cli/fetch_line.h"

#include <stdio.h>
#include <unistd.h>

/* One line that is written over, and wiped at the end (SIZE 0). */
static void show(void *context, const struct build_id *build_id, long done, long size)
{
	char hex[BUILD_ID_HEX_SIZE];

	(void)context;
	if (!isatty(STDERR_FILENO))
		return;
	if (size > 0)
		fprintf(stderr, "\rplugprof: symbols of %.12s... from debuginfod: %ld of %ld MB",
			build_id_to_hex(build_id, hex), done >> 20, size >> 20);
	else
		fputs("\r\033[K", stderr);
}

const struct symbol_fetching fetch_line = { .progress = show };
