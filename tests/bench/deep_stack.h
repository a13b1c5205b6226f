/*
 * A library with a stack of any depth: 64 different functions, no frame pointers, frames of
 * different sizes, that call one another in a ring.
 */
#ifndef BENCH_DEEP_STACK_H
#define BENCH_DEEP_STACK_H

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

#define DEEP_FUNCTIONS 64

typedef void deep_leaf(void *argument);

/* LEAF(ARGUMENT) below DEPTH >= 1 of the functions, from number FIRST on. */
typedef long deep_call_function(unsigned first, unsigned depth, deep_leaf *leaf, void *argument);

/* deep_call() of the library at PATH, which stays open; exits when it cannot be had. */
static inline deep_call_function *deep_open(const char *path)
{
	void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	deep_call_function *call = NULL;

	if (library)
		call = (deep_call_function *)dlsym(library, "deep_call");
	if (!call) {
		fprintf(stderr, "%s: %s\n", path, dlerror());
		exit(1);
	}
	return call;
}

#endif
