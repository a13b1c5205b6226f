/* A host of many plugins: opens each part NUMBER of FOLDER that make_cxx_library.sh made, and lets
 * them work in turn for SECONDS of CPU time.
 *
 *     call_parts FOLDER COUNT SECONDS
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

typedef size_t part_function(const char *text, int number);

static part_function *open_part(const char *folder, int number)
{
	char path[4096], name[64];
	part_function *part;
	void *library;

	snprintf(path, sizeof(path), "%s/part%d.so", folder, number);
	snprintf(name, sizeof(name), "bench_part%d", number);
	library = dlopen(path, RTLD_NOW);
	part = library ? (part_function *)dlsym(library, name) : NULL;
	if (!part) {
		fprintf(stderr, "%s\n", dlerror());
		exit(1);
	}
	return part;
}

int main(int argc, char **argv)
{
	const int count = argc == 4 ? atoi(argv[2]) : 0;
	part_function **parts = calloc((size_t)count + 1, sizeof(*parts));
	size_t sum = 0;

	for (int i = 0; i < count; i++)
		parts[i] = open_part(argv[1], i + 1);
	for (int i = 0; count > 0 && clock() < atof(argv[3]) * CLOCKS_PER_SEC; i++)
		sum += parts[i % count]("ab-12x", 1 + i % 7);
	printf("%zu\n", sum);
	return count == 0;
}
