#include "cli/json.h"

#include <inttypes.h>
#include <stdlib.h>

#include "pprof/utf8.h"

void json_string(FILE *to, const char *text)
{
	char *repaired = utf8_repair(text);

	fputc('"', to);
	for (const char *at = repaired ? repaired : text; *at; at++) {
		if (*at == '"' || *at == '\\')
			fprintf(to, "\\%c", *at);
		else if ((unsigned char)*at < ' ' || *at == 0x7f)
			fprintf(to, "\\u%04x", (unsigned int)*at);
		else
			fputc(*at, to);
	}
	fputc('"', to);
	free(repaired);
}

static void begin_line(const struct json *j)
{
	fputc('\n', j->to);
	for (int i = 0; i < j->depth; i++)
		fputs("  ", j->to);
}

static void begin_item(struct json *j, const char *key)
{
	if (j->has_items)
		fputc(',', j->to);
	if (j->depth)
		begin_line(j);
	if (key) {
		json_string(j->to, key);
		fputs(": ", j->to);
	}
	j->has_items = true;
}

static void begin(struct json *j, const char *key, char bracket)
{
	begin_item(j, key);
	fputc(bracket, j->to);
	j->depth++;
	j->has_items = false;
}

static void end(struct json *j, char bracket)
{
	j->depth--;
	if (j->has_items)
		begin_line(j);
	fputc(bracket, j->to);
	j->has_items = true;
	if (j->depth == 0)
		fputc('\n', j->to);
}

void json_begin_object(struct json *j, const char *key)
{
	begin(j, key, '{');
}

void json_begin_list(struct json *j, const char *key)
{
	begin(j, key, '[');
}

void json_end_object(struct json *j)
{
	end(j, '}');
}

void json_end_list(struct json *j)
{
	end(j, ']');
}

void json_text(struct json *j, const char *key, const char *value)
{
	begin_item(j, key);
	json_string(j->to, value);
}

void json_number(struct json *j, const char *key, int64_t value)
{
	begin_item(j, key);
	fprintf(j->to, "%" PRId64, value);
}

void json_bool(struct json *j, const char *key, bool value)
{
	begin_item(j, key);
	fputs(value ? "true" : "false", j->to);
}

void json_null(struct json *j, const char *key)
{
	begin_item(j, key);
	fputs("null", j->to);
}
