/*
 * Makes tests/fuzz/corpus/go again:
 *     make_symbol_corpus tests/fuzz/corpus
 * Build with -Isrc -Itests; links nothing.  What it makes is checked in; run it after an edit here.
 */
#include <stdio.h>
#include <stdlib.h>

#include "unit/go_image.h"

static void write_file(const char *folder, const char *name, const void *data, size_t size)
{
	char path[4096];
	FILE *out;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	out = fopen(path, "w");
	if (!out || fwrite(data, 1, size, out) != size || fclose(out) != 0) {
		perror(path);
		exit(1);
	}
}

int main(int argc, char **argv)
{
	static const char *const names[GO_IMAGES] = {
		"go/good-1.2", "go/good-1.16", "go/good-1.18", "go/good-1.20"
	};

	if (argc != 2)
		return 2;
	for (int i = 0; i < GO_IMAGES; i++) {
		go_images[i].put();
		write_file(argv[1], names[i], go_image, sizeof(go_image));
	}
	return 0;
}
