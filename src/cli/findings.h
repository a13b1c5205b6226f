/*
 * What `plugprof doctor` found: a list of lines, each good, worth knowing, or something to do.
 */
#ifndef CLI_FINDINGS_H
#define CLI_FINDINGS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/compiler.h"
#include "base/vec.h"
#include "cli/json.h"

enum finding_level {
	FINDING_OK,
	FINDING_NOTE, /* worth knowing; nothing to be done */
	FINDING_PROBLEM, /* TEXT says what to do */
};

struct finding {
	enum finding_level level;
	const char *check; /* one word, static */
	char *text;
};

struct findings {
	VEC(struct finding) items;
};

void findings_add(struct findings *f, enum finding_level level, const char *check,
	const char *format, ...) PRINTF_LIKE(4, 5);
void findings_free(struct findings *f);

/* "s", or "" after 1. */
const char *plural(size_t count);

size_t findings_count(const struct findings *f, enum finding_level level);

/* One line each, INDENT before it; only problems unless ALL. */
void findings_print(const struct findings *f, const char *indent, bool all);
/* A list of objects. */
void findings_write_json(const struct findings *f, struct json *j, const char *key);

#endif
