#include "symbol/elf_identity.h"

#include <elf.h>
#include <string.h>

#include "base/compiler.h"

static const struct {
	uint16_t number;
	const char *name;
} machines[] = {
	{ EM_X86_64, "x86-64" }, { EM_386, "x86" }, { EM_AARCH64, "AArch64" },
	{ EM_ARM, "ARM" }, { EM_RISCV, "RISC-V" }, { EM_PPC64, "PowerPC64" },
	{ EM_PPC, "PowerPC" }, { EM_S390, "S/390" }, { EM_MIPS, "MIPS" },
	{ EM_SPARCV9, "SPARC V9" }, { 258, "LoongArch" }, /* EM_LOONGARCH; not in every elf.h */
};

static const struct {
	const char *magic;
	uint8_t size;
	const char *kind;
} foreign_kinds[] = {
	{ "/* GNU ld script", 16, "a linker script, not a library: give the file it names" },
	{ "!<arch>\n", 8, "an archive of object files (.a), which no program loads" },
	{ "!<thin>\n", 8, "an archive of object files (.a), which no program loads" },
	{ "MZ", 2, "a Windows program or DLL" },
	{ "\xcf\xfa\xed\xfe", 4, "a Mach-O file, of macOS" },
	{ "\xca\xfe\xba\xbe", 4, "a Mach-O file or a Java class" },
	{ "PK\3\4", 4, "a zip archive (wheel, JAR): unpack it" },
	{ "\x1f\x8b", 2, "compressed with gzip: unpack it" },
	{ "\x28\xb5\x2f\xfd", 4, "compressed with zstd: unpack it" },
	{ "\3757zXZ", 5, "compressed with xz: unpack it" },
	{ "BC\xc0\xde", 4, "LLVM bitcode: link it" },
	{ "#!", 2, "a script" },
};

static const char *machine_name(uint16_t number)
{
	for (size_t i = 0; i < ARRAY_SIZE(machines); i++)
		if (machines[i].number == number)
			return machines[i].name;
	return "an unknown machine";
}

static enum elf_kind kind_of_type(uint16_t type)
{
	switch (type) {
	case ET_DYN:
	case ET_EXEC:
		return ELF_KIND_LOADABLE;
	case ET_REL:
		return ELF_KIND_OBJECT;
	case ET_CORE:
		return ELF_KIND_CORE;
	default:
		return ELF_KIND_UNKNOWN;
	}
}

static void expect(uint64_t *size, uint64_t offset, uint64_t bytes)
{
	if (offset <= UINT64_MAX - bytes && offset + bytes > *size)
		*size = offset + bytes;
}

/* The end of the last thing that the headers place in the file.  Segments of a debug file keep
 * their places and lose their contents, which p_filesz says. */
static uint64_t expected_size(struct bytes image, const Elf64_Ehdr *header)
{
	uint64_t size = 0;
	struct bytes rest = image;

	expect(&size, header->e_phoff, (uint64_t)header->e_phnum * sizeof(Elf64_Phdr));
	if (header->e_shoff)
		expect(&size, header->e_shoff, (uint64_t)header->e_shnum * sizeof(Elf64_Shdr));
	if (!bytes_skip(&rest, header->e_phoff))
		return size;
	for (unsigned int i = 0; i < header->e_phnum; i++) {
		const void *at = bytes_take(&rest, sizeof(Elf64_Phdr));
		Elf64_Phdr segment;

		if (!at)
			break;
		memcpy(&segment, at, sizeof(segment));
		if (segment.p_type == PT_LOAD && segment.p_filesz > 0)
			expect(&size, segment.p_offset, segment.p_filesz);
	}
	return size;
}

bool elf_identify(struct bytes image, struct elf_identity *ret)
{
	struct bytes rest = image;
	const uint8_t *ident = bytes_take(&rest, EI_NIDENT);
	uint16_t type = bytes_u16(&rest), machine = bytes_u16(&rest);
	Elf64_Ehdr header;
	bool is_64, is_little;

	if (!bytes_ok(&rest) || memcmp(ident, ELFMAG, SELFMAG) != 0)
		return false;
	is_64 = ident[EI_CLASS] == ELFCLASS64;
	is_little = ident[EI_DATA] != ELFDATA2MSB;
	if (!is_little) {
		type = __builtin_bswap16(type);
		machine = __builtin_bswap16(machine);
	}
	*ret = (struct elf_identity){ .kind = kind_of_type(type),
		.bits = is_64 ? 64 : 32,
		.machine = machine_name(machine),
		.readable = is_64 && is_little && machine == EM_X86_64,
		.size = bytes_left(&image) };
	if (is_64 && is_little && bytes_left(&image) >= sizeof(header)) {
		memcpy(&header, image.at, sizeof(header));
		ret->expected_size = expected_size(image, &header);
	} else if (is_64) {
		ret->expected_size = sizeof(header);
	}
	return true;
}

const char *elf_foreign_kind(struct bytes image)
{
	for (size_t i = 0; i < ARRAY_SIZE(foreign_kinds); i++)
		if (bytes_left(&image) >= foreign_kinds[i].size &&
			memcmp(image.at, foreign_kinds[i].magic, foreign_kinds[i].size) == 0)
			return foreign_kinds[i].kind;
	return "no ELF file";
}
