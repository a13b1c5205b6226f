/*
 * What kind of file this is, before anything else of it is believed: which ELF, for which
 * machine, and whether all of it is there.
 */
#ifndef SYMBOL_ELF_IDENTITY_H
#define SYMBOL_ELF_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

enum elf_kind {
	ELF_KIND_LOADABLE, /* ET_DYN, ET_EXEC: a library or program */
	ELF_KIND_OBJECT, /* ET_REL */
	ELF_KIND_CORE, /* ET_CORE */
	ELF_KIND_UNKNOWN,
};

struct elf_identity {
	enum elf_kind kind;
	unsigned int bits; /* 32 or 64 */
	const char *machine; /* "x86-64", "AArch64"; "an unknown machine" */
	bool readable; /* 64 bits, little-endian, x86-64: what binary_open() takes */
	uint64_t size; /* of the file, bytes */
	uint64_t expected_size; /* what its headers count on; 0: not known */
};

/* False: no ELF file. */
bool elf_identify(struct bytes image, struct elf_identity *ret);

/* What a file that is no ELF is by its first bytes: "a Windows program or DLL"; never NULL. */
const char *elf_foreign_kind(struct bytes image);

#endif
