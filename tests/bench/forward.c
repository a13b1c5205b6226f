/* A preloaded library that forwards malloc and free and does nothing else: the least that any
 * preloaded profiler can cost. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>

#define EXPORT __attribute__((visibility("default")))

extern void *__libc_malloc(size_t size);
extern void __libc_free(void *block);

static void *(*next_malloc)(size_t size) = __libc_malloc;
static void (*next_free)(void *block) = __libc_free;

__attribute__((constructor)) static void look_up(void)
{
	next_malloc = (void *(*)(size_t))dlsym(RTLD_NEXT, "malloc");
	next_free = (void (*)(void *))dlsym(RTLD_NEXT, "free");
}

EXPORT void *malloc(size_t size);
EXPORT void *malloc(size_t size)
{
	return next_malloc(size);
}

EXPORT void free(void *block);
EXPORT void free(void *block)
{
	next_free(block);
}
