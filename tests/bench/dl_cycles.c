/*
 * Opens a library, looks a symbol up and closes it again, so many times:
 *
 *     dl_cycles CYCLES SYMBOL LIBRARY...
 *
 * With several libraries each is opened once and stays open, CYCLES is not used, and what
 * counts is the first of dlopen and dlsym of each.  A line per block of 50 cycles, or per
 * library: CPU time of the thread in ns for one cycle.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

#include "clocks.h"

#define BLOCK 50

static void *open_one(const char *library, const char *symbol)
{
	void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);

	if (!handle || !dlsym(handle, symbol)) {
		fprintf(stderr, "%s\n", dlerror());
		exit(1);
	}
	return handle;
}

int main(int argc, char **argv)
{
	if (argc < 4)
		return 2;
	if (argc > 4) {
		for (int i = 3; i < argc; i++) {
			const uint64_t start = clock_ns(CLOCK_THREAD_CPUTIME_ID);

			open_one(argv[i], argv[2]);
			printf("%lu\n", clock_ns(CLOCK_THREAD_CPUTIME_ID) - start);
		}
		return 0;
	}
	for (long left = strtol(argv[1], NULL, 10); left > 0; left -= BLOCK) {
		const uint64_t start = clock_ns(CLOCK_THREAD_CPUTIME_ID);

		for (int i = 0; i < BLOCK; i++)
			dlclose(open_one(argv[3], argv[2]));
		printf("%lu\n", (clock_ns(CLOCK_THREAD_CPUTIME_ID) - start) / BLOCK);
	}
	return 0;
}
