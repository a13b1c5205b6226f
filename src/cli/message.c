#include "cli/message.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void say(const char *format, va_list arguments, const char *tail)
{
	fputs("plugprof: ", stderr);
	vfprintf(stderr, format, arguments);
	if (tail)
		fprintf(stderr, ": %s", tail);
	fputc('\n', stderr);
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
