/*
 * Opens, runs and closes plugins in a loop in two threads while a third works, for so many
 * milliseconds of CPU time in each:
 *
 *     reload MILLISECONDS PLUGIN.so...
 *
 * Plugins are those of samples/host.  Prints whether every run gave the same.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double seconds;
static char **paths;
static int path_count;
static uint64_t expected[16];

static double thread_cpu_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

__attribute__((noipa)) static uint64_t run_once(const char *path)
{
	void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	uint64_t (*run)(uint64_t) = NULL;
	uint64_t result = 0;

	if (handle)
		run = (uint64_t(*)(uint64_t))dlsym(handle, "plugin_run");
	if (run)
		result = run(1);
	else
		printf("%s: %s\n", path, dlerror());
	if (handle)
		dlclose(handle);
	return result;
}

__attribute__((noipa)) static void *reload(void *argument)
{
	for (int i = 0; thread_cpu_seconds() < seconds; i++) {
		int at = (i + (argument ? 1 : 0)) % path_count;

		if (run_once(paths[at]) != expected[at])
			printf("%s: another result\n", paths[at]);
	}
	return NULL;
}

__attribute__((noipa)) static void *stay(void *argument)
{
	volatile uint64_t value = 1;

	while (thread_cpu_seconds() < seconds)
		for (int i = 0; i < 5000; i++)
			value = value * 6364136223846793005u + 1;
	return argument;
}

int main(int argc, char **argv)
{
	pthread_t threads[3];

	if (argc < 3 || argc > 17)
		return 2;
	seconds = atof(argv[1]) / 1000;
	paths = argv + 2;
	path_count = argc - 2;
	for (int i = 0; i < path_count; i++)
		expected[i] = run_once(paths[i]);
	pthread_create(&threads[0], NULL, reload, NULL);
	pthread_create(&threads[1], NULL, reload, argv);
	pthread_create(&threads[2], NULL, stay, NULL);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	printf("done\n");
	return 0;
}
