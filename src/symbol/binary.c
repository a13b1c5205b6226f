#define _GNU_SOURCE
#include "symbol/binary.h"

#include <elf.h>
#include <errno.h>
#include <gelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>

#include "base/content_id.h"
#include "base/file.h"
#include "base/vec.h"
#include "base/xalloc.h"

#define PAGE_SIZE 4096u /* x86-64's; the unit of mmap, whatever p_align says */

struct binary {
	char *path;
	struct file_bytes file; /* empty when opened from memory */
	void *copy; /* of the memory it was opened from */
	struct bytes image;
	Elf *elf;
	struct build_notes notes;
	struct build_id build_id;
	VEC(Elf64_Phdr) headers; /* as the file has them */
	VEC(struct binary_segment) segments;
	uint64_t eh_frame_header; /* vaddr; 0: none */
};

static uint64_t page_down(uint64_t address)
{
	return address & ~(uint64_t)(PAGE_SIZE - 1);
}

static uint64_t page_up(uint64_t address)
{
	return page_down(address + PAGE_SIZE - 1);
}

static bool bytes_of_image(
	const struct binary *b, uint64_t offset, uint64_t size, struct bytes *bytes)
{
	const size_t image_size = (size_t)(b->image.end - b->image.at);

	if (offset > image_size || size > image_size - offset)
		return false;
	*bytes = bytes_over(b->image.at + offset, size);
	return true;
}

static void read_notes(struct binary *b, uint64_t offset, uint64_t size, uint64_t align)
{
	struct bytes notes;

	if (bytes_of_image(b, offset, size, &notes))
		build_notes_add(
			&b->notes, notes.at, size, (size_t)(b->image.end - notes.at), align);
}

static void add_segment(struct binary *b, const GElf_Phdr *header)
{
	/* Sums with these cannot overflow: no user address is that high. */
	const uint64_t limit = UINT64_C(1) << 56;

	if (header->p_vaddr >= limit || header->p_memsz >= limit || header->p_offset >= limit ||
		header->p_filesz > header->p_memsz)
		return;
	*VEC_PUSH(&b->segments) = (struct binary_segment){ .vaddr = header->p_vaddr,
		.memory_size = header->p_memsz,
		.offset = header->p_offset,
		.file_size = header->p_filesz,
		.executable = header->p_flags & PF_X };
}

static int read_program_headers(struct binary *b)
{
	GElf_Phdr header;
	size_t count;

	if (elf_getphdrnum(b->elf, &count) < 0 || count > PN_XNUM)
		return -ENOEXEC;
	for (size_t i = 0; i < count; i++) {
		if (!gelf_getphdr(b->elf, (int)i, &header))
			return -ENOEXEC;
		*VEC_PUSH(&b->headers) = header;
		if (header.p_type == PT_LOAD)
			add_segment(b, &header);
		else if (header.p_type == PT_NOTE)
			read_notes(b, header.p_offset, header.p_filesz, header.p_align);
		else if (header.p_type == PT_GNU_EH_FRAME)
			b->eh_frame_header = header.p_vaddr;
	}
	return 0;
}

/* In a debug file the program headers point nowhere, but the note's section is kept. */
static void read_note_sections(struct binary *b)
{
	Elf_Scn *section = NULL;
	GElf_Shdr header;

	while (b->notes.gnu.size == 0 && (section = elf_nextscn(b->elf, section)) != NULL)
		if (gelf_getshdr(section, &header) && header.sh_type == SHT_NOTE)
			read_notes(b, header.sh_offset, header.sh_size, header.sh_addralign);
}

static bool is_wanted_type(uint16_t type, bool relocatable)
{
	return type == ET_DYN || type == ET_EXEC || (relocatable && type == ET_REL);
}

static int read_headers(struct binary *b, void *image, size_t size, bool relocatable)
{
	GElf_Ehdr header;
	int r;

	b->image = bytes_over(image, size);
	if (elf_version(EV_CURRENT) == EV_NONE)
		return -ENOEXEC;
	b->elf = elf_memory(image, size);
	if (!b->elf || elf_kind(b->elf) != ELF_K_ELF || !gelf_getehdr(b->elf, &header))
		return -ENOEXEC;
	if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB ||
		header.e_machine != EM_X86_64 || !is_wanted_type(header.e_type, relocatable))
		return -ENOEXEC;
	r = read_program_headers(b);
	if (r < 0)
		return r;
	read_note_sections(b);
	build_id_of_notes(&b->notes, b->headers.items, b->headers.count, &b->build_id);
	return 0;
}

int binary_open_memory(const void *image, size_t size, const char *path, struct binary **ret)
{
	struct binary *b = xcalloc(1, sizeof(*b));
	int r;

	b->path = xstrdup(path);
	b->copy = xmalloc(size);
	memcpy(b->copy, image, size);
	r = read_headers(b, b->copy, size, false);
	if (r == 0)
		*ret = b;
	else
		binary_close(b);
	return r;
}

static int open_file(const char *path, bool relocatable, struct binary **ret)
{
	struct binary *b = xcalloc(1, sizeof(*b));
	int r = file_map(path, &b->file);

	if (r == -ENODATA || r == -EISDIR || r == -EINVAL)
		r = -ENOEXEC;
	b->path = xstrdup(path);
	/* libelf writes to its image when it decompresses a section; the mapping is private. */
	if (r == 0 && mprotect(b->file.mapping, b->file.size, PROT_READ | PROT_WRITE) < 0)
		r = -errno;
	if (r == 0)
		r = read_headers(b, b->file.mapping, b->file.size, relocatable);
	if (r == 0)
		*ret = b;
	else
		binary_close(b);
	return r;
}

int binary_open(const char *path, struct binary **ret)
{
	return open_file(path, false, ret);
}

int binary_open_relocatable(const char *path, struct binary **ret)
{
	return open_file(path, true, ret);
}

int binary_open_vdso(struct binary **ret)
{
	const Elf64_Ehdr *header = (const void *)getauxval(AT_SYSINFO_EHDR);

	if (!header || memcmp(header->e_ident, ELFMAG, SELFMAG) != 0)
		return -ENOENT;
	/* The kernel's own file: its section headers come last. */
	return binary_open_memory(header,
		header->e_shoff + (size_t)header->e_shnum * header->e_shentsize, "[vdso]", ret);
}

void binary_close(struct binary *b)
{
	if (!b)
		return;
	elf_end(b->elf);
	file_unmap(&b->file);
	free(b->copy);
	VEC_FREE(&b->headers);
	VEC_FREE(&b->segments);
	free(b->path);
	free(b);
}

const char *binary_path(const struct binary *b)
{
	return b->path;
}

const struct build_id *binary_build_id(const struct binary *b)
{
	return &b->build_id;
}

bool binary_is_go_build(const struct binary *b, const char *text)
{
	const char *go = b->notes.go;
	const size_t size = b->notes.go_size, text_size = strlen(text);
	char digits[3];

	if (size == 0 || text_size == size)
		return size > 0 && memcmp(go, text, size) == 0;
	for (size_t i = 0; text_size == 2 * size && i < size; i++) {
		snprintf(digits, sizeof(digits), "%02x", (unsigned char)go[i]);
		if (memcmp(digits, text + 2 * i, 2) != 0)
			return false;
	}
	return text_size == 2 * size;
}

Elf *binary_elf(const struct binary *b)
{
	return b->elf;
}

struct bytes binary_image(const struct binary *b)
{
	return b->image;
}

static const void *read_segment(
	void *context, const Elf64_Phdr *segment, uint64_t at, size_t size)
{
	struct bytes bytes;

	return !__builtin_add_overflow(segment->p_offset, at, &at) &&
			bytes_of_image(context, at, size, &bytes) ?
		bytes.at :
		NULL;
}

uint64_t binary_content_id(const struct binary *b)
{
	return content_id_of(b->headers.items, b->headers.count, read_segment, (void *)b);
}

bool binary_find_section(
	const struct binary *b, const char *name, struct binary_section *section)
{
	Elf_Scn *scn = NULL;
	GElf_Shdr header;
	size_t names;

	if (elf_getshdrstrndx(b->elf, &names) < 0)
		return false;
	while ((scn = elf_nextscn(b->elf, scn)) != NULL) {
		const char *its_name;
		struct bytes bytes = bytes_over(b->image.at, 0);

		if (!gelf_getshdr(scn, &header))
			continue;
		its_name = elf_strptr(b->elf, names, header.sh_name);
		if (!its_name || strcmp(its_name, name) != 0)
			continue;
		if (header.sh_type != SHT_NOBITS &&
			!bytes_of_image(b, header.sh_offset, header.sh_size, &bytes))
			return false;
		*section = (struct binary_section){ .bytes = bytes,
			.vaddr = header.sh_addr,
			.entry_size = header.sh_entsize,
			.compressed = header.sh_flags & SHF_COMPRESSED };
		return true;
	}
	return false;
}

bool binary_bytes_at(const struct binary *b, uint64_t vaddr, struct bytes *bytes)
{
	for (size_t i = 0; i < b->segments.count; i++) {
		const struct binary_segment *s = &b->segments.items[i];

		if (vaddr >= s->vaddr && vaddr - s->vaddr < s->file_size)
			return bytes_of_image(b, s->offset + (vaddr - s->vaddr),
				s->file_size - (vaddr - s->vaddr), bytes);
	}
	return false;
}

bool binary_find_eh_frame_header(const struct binary *b, struct bytes *bytes, uint64_t *vaddr)
{
	if (b->eh_frame_header == 0 || !binary_bytes_at(b, b->eh_frame_header, bytes))
		return false;
	*vaddr = b->eh_frame_header;
	return true;
}

uint64_t binary_code_end(const struct binary *b, uint64_t vaddr)
{
	for (size_t i = 0; i < b->segments.count; i++) {
		const struct binary_segment *s = &b->segments.items[i];

		if (s->executable && vaddr >= s->vaddr && vaddr - s->vaddr < s->memory_size)
			return s->vaddr + s->memory_size;
	}
	return 0;
}

/* The whole image as one mapping from offset 0, as some profilers write it: then offsets
 * into the mapping are vaddrs, whatever the file's own offsets are. */
static bool is_whole_image(const struct binary_segment *segments, size_t count,
	uint64_t mapping_offset, uint64_t mapping_size, uint64_t *base)
{
	uint64_t low = UINT64_MAX, high = 0;

	for (size_t i = 0; i < count; i++) {
		const struct binary_segment *s = &segments[i];

		if (s->vaddr < low)
			low = s->vaddr;
		if (s->vaddr + s->memory_size > high)
			high = s->vaddr + s->memory_size;
	}
	*base = page_down(low);
	return count > 1 && mapping_offset == 0 && mapping_size >= page_up(high) - *base;
}

/* Does the mapping start where S starts?  Where S has lost its offset, only its size tells. */
static bool is_mapping_of_segment(const struct binary_segment *s, uint64_t mapping_size)
{
	return mapping_size == 0 ||
		page_up(mapping_size) == page_up(s->vaddr + s->memory_size) - page_down(s->vaddr);
}

static bool vaddr_in_segment(const struct binary_segment *s, uint64_t mapping_offset,
	uint64_t mapping_size, uint64_t offset_in_mapping, uint64_t *vaddr)
{
	const uint64_t offset = mapping_offset + offset_in_mapping;

	if (s->file_size > 0) {
		if (offset < s->offset || offset - s->offset >= s->file_size)
			return false;
		*vaddr = s->vaddr + (offset - s->offset);
		return true;
	}
	if (!is_mapping_of_segment(s, mapping_size))
		return false;
	*vaddr = page_down(s->vaddr) + offset_in_mapping;
	return *vaddr >= s->vaddr && *vaddr - s->vaddr < s->memory_size;
}

size_t binary_segments(const struct binary *b, const struct binary_segment **segments)
{
	*segments = b->segments.items;
	return b->segments.count;
}

static bool is_code(
	const struct binary_segment *segments, size_t count, uint64_t vaddr)
{
	for (size_t i = 0; i < count; i++)
		if (segments[i].executable && vaddr >= segments[i].vaddr &&
			vaddr - segments[i].vaddr < segments[i].memory_size)
			return true;
	return false;
}

bool segments_vaddr_in_mapping(const struct binary_segment *segments, size_t count,
	uint64_t mapping_offset, uint64_t mapping_size, uint64_t offset_in_mapping, uint64_t *vaddr)
{
	uint64_t base;

	if (is_whole_image(segments, count, mapping_offset, mapping_size, &base)) {
		*vaddr = base + offset_in_mapping;
		return is_code(segments, count, *vaddr);
	}
	for (size_t i = 0; i < count; i++)
		if (segments[i].executable &&
			vaddr_in_segment(&segments[i], mapping_offset, mapping_size,
				offset_in_mapping, vaddr))
			return true;
	return false;
}

bool binary_vaddr_in_mapping(const struct binary *b, uint64_t mapping_offset,
	uint64_t mapping_size, uint64_t offset_in_mapping, uint64_t *vaddr)
{
	return segments_vaddr_in_mapping(b->segments.items, b->segments.count, mapping_offset,
		mapping_size, offset_in_mapping, vaddr);
}
