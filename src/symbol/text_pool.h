/*
 * The symbolizer's strings: each text is kept once, so equal texts have equal addresses.
 * All live until text_pool_free().  Exits for want of memory.
 */
#ifndef SYMBOL_TEXT_POOL_H
#define SYMBOL_TEXT_POOL_H

#include <stddef.h>

/* Longer texts are cut: no compiler writes them, but a hostile file may. */
#define TEXT_SIZE_MAX 65536

struct text_pool;

struct text_pool *text_pool_new(void);
void text_pool_free(struct text_pool *pool);

/* TEXT as the pool keeps it: valid UTF-8 without control characters (a '?' stands for each
 * byte that is neither), as pprof wants it.  NULL gives NULL. */
const char *text_pool_add(struct text_pool *pool, const char *text);
/* The same for SIZE bytes that need no NUL. */
const char *text_pool_add_sized(struct text_pool *pool, const char *text, size_t size);

#endif
