/* A C host that opens a Go library, and calls it from several threads. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static unsigned long (*shared_work)(unsigned long);
static unsigned long rounds;

static __attribute__((noinline)) unsigned long c_caller(unsigned long count)
{
	return shared_work(count) + 1;
}

static void *run(void *result)
{
	*(unsigned long *)result = c_caller(rounds);
	return NULL;
}

int main(int argc, char **argv)
{
	unsigned long sums[3] = { 0 };
	pthread_t threads[2];
	void *library = argc == 3 ? dlopen(argv[1], RTLD_NOW) : NULL;

	if (!library) {
		fprintf(stderr, "usage: c_host LIBRARY ROUNDS: %s\n", argc == 3 ? dlerror() : "");
		return 2;
	}
	*(void **)&shared_work = dlsym(library, "SharedWork");
	rounds = strtoul(argv[2], NULL, 10);
	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, run, &sums[i]);
	run(&sums[2]);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	printf("sum %lx\n", sums[0] + sums[1] + sums[2]);
	return 0;
}
