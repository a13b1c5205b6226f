/*
 * Which libc the process has.  musl's loader takes libc.so.6, which the library asks for, for
 * itself: there the library steps aside, and its hooks lead to musl's own functions.  What musl
 * lacks may only be asked for weakly, or it ends the program.
 */
#ifndef AGENT_LIBC_KIND_H
#define AGENT_LIBC_KIND_H

#include <dlfcn.h>
#include <stdbool.h>

extern __typeof__(dladdr1) dladdr1 __attribute__((weak));
extern __typeof__(dlvsym) dlvsym __attribute__((weak));

static inline bool libc_is_glibc(void)
{
	return dladdr1 && dlvsym;
}

#endif
