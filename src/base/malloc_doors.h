/* What takes its memory from these, as libstdc++'s operator new, is seen where they are hooked. */
#ifndef BASE_MALLOC_DOORS_H
#define BASE_MALLOC_DOORS_H

static const char *const malloc_doors[] = { "malloc", "calloc", "realloc", "memalign",
	"aligned_alloc", "posix_memalign" };

#endif
