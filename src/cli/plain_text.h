/* Names come from files and processes that may be hostile: nothing in them shall move the
 * terminal's cursor, or make two lines of one. */
#ifndef CLI_PLAIN_TEXT_H
#define CLI_PLAIN_TEXT_H

#include <stdio.h>

static inline char plain_char(char c)
{
	return (unsigned char)c < ' ' || c == 0x7f ? '?' : c;
}

/* In place; TEXT is given back. */
static inline char *plain_text(char *text)
{
	for (char *at = text; *at; at++)
		*at = plain_char(*at);
	return text;
}

static inline void plain_put(FILE *to, const char *text)
{
	for (; *text; text++)
		fputc(plain_char(*text), to);
}

#endif
