/*
 * Opens plugins, runs them and closes them, time after time:
 *
 *     cycles COUNT KEPT PLUGIN.so...
 *
 * COUNT times each in turn, by calling its plugin_cycle(number).  The first KEPT handles of each
 * are never closed.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

static int run_once(const char *path, int number, int kept)
{
	void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	int (*cycle)(int) = NULL;
	int result = -1;

	if (handle)
		cycle = (int (*)(int))dlsym(handle, "plugin_cycle");
	if (cycle)
		result = cycle(number);
	else
		fprintf(stderr, "%s: %s\n", path, dlerror());
	if (handle && number >= kept)
		dlclose(handle);
	return result;
}

int main(int argc, char **argv)
{
	if (argc < 4)
		return 2;
	for (int i = 0; i < atoi(argv[1]); i++)
		for (int plugin = 3; plugin < argc; plugin++)
			if (run_once(argv[plugin], i, atoi(argv[2])) < 0)
				return 1;
	return 0;
}
