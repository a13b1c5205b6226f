#define _GNU_SOURCE
#include "cli/message.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/plain_text.h"

static void say(const char *format, va_list arguments, const char *tail)
{
	char *text = NULL;

	if (vasprintf(&text, format, arguments) < 0)
		text = NULL;
	fprintf(stderr, "plugprof: %s%s%s\n", text ? plain_text(text) : format, tail ? ": " : "",
		tail ? tail : "");
	free(text);
}

void message(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	say(format, arguments, NULL);
	va_end(arguments);
}

void message_errno(int error, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	say(format, arguments, strerror(error < 0 ? -error : error));
	va_end(arguments);
}
