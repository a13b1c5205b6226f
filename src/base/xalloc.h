/* Allocate or exit: for the tool only, which may end for want of memory.  Never the agent. */
#ifndef BASE_XALLOC_H
#define BASE_XALLOC_H

#include <stdarg.h>
#include <stddef.h>

#include "base/compiler.h"

void *xmalloc(size_t size) MUST_CHECK;
void *xcalloc(size_t count, size_t size) MUST_CHECK;
/* The array grown to COUNT elements of SIZE bytes; exits when the product overflows too. */
void *xreallocarray(void *array, size_t count, size_t size) MUST_CHECK;
char *xstrdup(const char *text) MUST_CHECK;
char *xstrndup(const char *text, size_t size) MUST_CHECK;
/* printf into a new string, the caller's to free(). */
char *xasprintf(const char *format, ...) MUST_CHECK PRINTF_LIKE(1, 2);

#endif
