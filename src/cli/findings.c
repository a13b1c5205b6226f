#define _GNU_SOURCE
#include "cli/findings.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/xalloc.h"
#include "cli/plain_text.h"
#include "pprof/utf8.h"

static const char *const level_words[] = {
	[FINDING_OK] = "ok",
	[FINDING_NOTE] = "note",
	[FINDING_PROBLEM] = "finding",
};

void findings_add(struct findings *f, enum finding_level level, const char *check,
	const char *format, ...)
{
	struct finding *finding = VEC_PUSH(&f->items);
	va_list arguments;
	char *text, *repaired;

	va_start(arguments, format);
	if (vasprintf(&text, format, arguments) < 0)
		text = xstrdup("");
	va_end(arguments);
	repaired = utf8_repair(text);
	if (repaired) {
		free(text);
		text = repaired;
	}
	plain_text(text);
	*finding = (struct finding){ .level = level, .check = check, .text = text };
}

void findings_free(struct findings *f)
{
	for (size_t i = 0; i < f->items.count; i++)
		free(f->items.items[i].text);
	VEC_FREE(&f->items);
}

const char *plural(size_t count)
{
	return count == 1 ? "" : "s";
}

size_t findings_count(const struct findings *f, enum finding_level level)
{
	size_t count = 0;

	for (size_t i = 0; i < f->items.count; i++)
		count += f->items.items[i].level == level;
	return count;
}

void findings_print(const struct findings *f, const char *indent, bool all)
{
	for (size_t i = 0; i < f->items.count; i++) {
		const struct finding *finding = &f->items.items[i];

		if (all || finding->level == FINDING_PROBLEM)
			printf("%s%-8s %-12s %s\n", indent, level_words[finding->level],
				finding->check, finding->text);
	}
}

void findings_write_json(const struct findings *f, struct json *j, const char *key)
{
	json_begin_list(j, key);
	for (size_t i = 0; i < f->items.count; i++) {
		const struct finding *finding = &f->items.items[i];

		json_begin_object(j, NULL);
		json_text(j, "level", level_words[finding->level]);
		json_text(j, "check", finding->check);
		json_text(j, "text", finding->text);
		json_end_object(j);
	}
	json_end_list(j);
}
