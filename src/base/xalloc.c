#define _GNU_SOURCE
#include "base/xalloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *check(void *memory)
{
	static const char message[] = "plugprof: out of memory\n";

	if (!memory) {
		if (write(STDERR_FILENO, message, sizeof(message) - 1) < 0)
			_exit(1);
		_exit(1);
	}
	return memory;
}

void *xmalloc(size_t size)
{
	return check(malloc(size ? size : 1));
}

void *xcalloc(size_t count, size_t size)
{
	return check(calloc(count ? count : 1, size ? size : 1));
}

void *xreallocarray(void *array, size_t count, size_t size)
{
	return check(reallocarray(array, count ? count : 1, size ? size : 1));
}

char *xstrdup(const char *text)
{
	return check(strdup(text));
}

char *xstrndup(const char *text, size_t size)
{
	return check(strndup(text, size));
}

char *xasprintf(const char *format, ...)
{
	va_list arguments;
	char *text;

	va_start(arguments, format);
	if (vasprintf(&text, format, arguments) < 0)
		text = NULL;
	va_end(arguments);
	return check(text);
}
