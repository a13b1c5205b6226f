/* JSON on a stream (RFC 8259), an item a line. */
#ifndef CLI_JSON_H
#define CLI_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* TEXT as a string with its quotes.  Bytes that are not UTF-8 become U+FFFD. */
void json_string(FILE *to, const char *text);

/* A document, item by item: { .to = STREAM } is one to begin.  KEY is NULL in a list and for
 * the document itself. */
struct json {
	FILE *to;
	int depth;
	bool has_items; /* of what was begun last */
};

void json_begin_object(struct json *j, const char *key);
void json_begin_list(struct json *j, const char *key);
void json_end_object(struct json *j);
void json_end_list(struct json *j);
void json_text(struct json *j, const char *key, const char *value);
void json_number(struct json *j, const char *key, int64_t value);
void json_bool(struct json *j, const char *key, bool value);
void json_null(struct json *j, const char *key);

#endif
