/*
 * Any bytes as a library that `plugprof doctor` is asked about, as the loader's cache and as Go's
 * module lines.  Link as fuzz_elf.c, and run
 *     ./fuzz_doctor -max_len=20000 NEW_CORPUS tests/fuzz/corpus/doctor
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "symbol/go_packages.h"
#include "symbol/inspection.h"
#include "symbol/library_closure.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void read_as_cache(const uint8_t *data, size_t size)
{
	const struct bytes cache = bytes_over(data, size);
	const char *path = loader_cache_find(cache, "libc.so.6");

	require(!path ||
		(path >= (const char *)data && path + strlen(path) < (const char *)data + size));
}

static void read_as_go_lines(const uint8_t *data, size_t size)
{
	struct go_build_info go;

	go_build_info_parse("go1", (const char *)data, size, &go);
	require(go_setting_of(&go, "-race") && go.main_package && go.main_module.path);
	for (size_t i = 0; i < go.modules.count; i++)
		require(go.modules.items[i].path && go.modules.items[i].version);
	go_build_info_free(&go);
}

static void compare_with_itself(const struct inspection *in)
{
	struct go_packages packages;

	go_packages_compare(in->binary, &in->dynamic, in->binary, &in->dynamic, &packages);
	require(packages.conflicts.count <= packages.shared);
	go_packages_free(&packages);
}

static void walk(const struct inspection *in, const char *path)
{
	struct closure closure = { .library_path = "/nonexistent" };
	struct dynamic_symbol symbol;

	closure_add(&closure, path);
	for (size_t i = 0; dynamic_symbol_at(&in->dynamic, i, &symbol); i++)
		require(symbol.name && (i > 100 || strlen(symbol.name) == 0 ||
						closure_defines(&closure, symbol.name) ||
						!symbol.defined));
	for (size_t i = 0; i < in->dynamic.version_needs.count; i++)
		require(in->dynamic.version_needs.items[i].version != NULL);
	require(in->debug.split_missing <= in->debug.split_count);
	inspection_has_symbol(in, "main");
	closure_free(&closure);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char path[64];
	const char *kind = NULL;
	struct inspection *in = NULL;
	int descriptor = memfd_create("fuzz_doctor", MFD_CLOEXEC);

	require(descriptor >= 0 && write(descriptor, data, size) == (ssize_t)size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", descriptor);
	if (inspection_open(path, NULL, &in, &kind) == 0 && in->binary) {
		compare_with_itself(in);
		walk(in, path);
	}
	inspection_free(in);
	close(descriptor);
	read_as_cache(data, size);
	read_as_go_lines(data, size);
	return 0;
}
