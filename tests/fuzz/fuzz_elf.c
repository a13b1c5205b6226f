/*
 * Any bytes as an ELF file, through the whole symbolizer, and as a .dwp.  Link with all of
 * src/symbol and, of src/base, build_id, file, table and xalloc; -ldw -lelf -liberty; and run
 *     ./fuzz_elf -max_len=20000 NEW_CORPUS tests/fuzz/corpus/elf
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "symbol/binary.h"
#include "symbol/dwarf_package.h"
#include "symbol/symbolizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void resolve(struct symbolizer *s, struct symbol_module *m, uint64_t vaddr)
{
	struct symbol_frames frames;

	symbolizer_resolve(s, m, vaddr, &frames);
	require(frames.count > 0);
	for (size_t i = 0; i < frames.count; i++)
		require(frames.frames[i].name[0] && frames.frames[i].system_name[0] &&
			strlen(frames.frames[i].name) <= 65536 && frames.frames[i].file);
}

/* What is planned is read for itself, all else with the whole unit. */
static void resolve_some_as_planned(struct symbolizer *s, struct symbol_module *m)
{
	struct symbol_question questions[64];
	const size_t count = sizeof(questions) / sizeof(*questions);

	for (size_t i = 0; i < count; i++)
		questions[i] = (struct symbol_question){
			.module = m, .vaddr = i % 8 ? i * 0x71 : UINT64_C(1) << i };
	symbolizer_plan(s, questions, count);
	for (size_t i = 0; i < count; i++)
		resolve(s, m, questions[i].vaddr);
}

static void resolve_all_over(struct symbolizer *s, struct symbol_module *m)
{
	uint64_t vaddr;

	resolve_some_as_planned(s, m);
	for (vaddr = 0; vaddr < 0x2000; vaddr += 0x1d)
		resolve(s, m, vaddr);
	for (int bit = 0; bit < 64; bit++)
		resolve(s, m, UINT64_C(1) << bit);
	resolve(s, m, UINT64_MAX);
	for (uint64_t offset = 0; offset < 0x2000; offset += 0x111)
		if (symbol_module_vaddr(m, 0x1000, 0x1000, offset, &vaddr))
			resolve(s, m, vaddr);
	require(symbol_module_reason(m)[0]);
}

/* As a package of split DWARF: is any word of it the number of a unit? */
static void ask_package(const char *path, const uint8_t *data, size_t size)
{
	struct dwarf_package *package;
	uint64_t id;

	if (dwarf_package_open(path, &package) < 0)
		return;
	for (size_t at = 0; at + sizeof(id) <= size; at += 4) {
		struct dwarf_file *unit;

		memcpy(&id, data + at, sizeof(id));
		unit = dwarf_package_find(package, id);
		require(!unit || unit->units.count > 0);
		dwarf_file_close(unit);
	}
	dwarf_package_close(package);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char path[64];
	int descriptor = memfd_create("fuzz_elf", MFD_CLOEXEC);
	struct symbolizer *s = symbolizer_new(NULL);

	require(descriptor >= 0 && write(descriptor, data, size) == (ssize_t)size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", descriptor);
	ask_package(path, data, size);
	resolve_all_over(s, symbolizer_module(s, path, NULL));
	symbolizer_free(s);
	close(descriptor);
	return 0;
}
