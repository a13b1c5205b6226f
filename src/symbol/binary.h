/*
 * An ELF file (x86-64, executable or shared object): its build-ID, its segments, its
 * sections.  This is the only place that converts between a mapping, a file offset and a
 * vaddr.  Nothing in the file is trusted: what does not lie inside it is not there.
 */
#ifndef SYMBOL_BINARY_H
#define SYMBOL_BINARY_H

#include <libelf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/build_id.h"
#include "base/bytes.h"

struct binary;

/* The content of one section, not decompressed; "" when it takes no room in the file. */
struct binary_section {
	struct bytes bytes;
	uint64_t vaddr; /* where it is loaded; 0: it is not */
	uint64_t entry_size; /* bytes, sh_entsize */
	bool compressed; /* begins with an Elf64_Chdr */
};

struct binary_segment { /* a PT_LOAD */
	uint64_t vaddr;
	uint64_t memory_size; /* bytes, as the following */
	uint64_t offset;
	uint64_t file_size;
	bool executable;
};

/* On 0 *RET is the caller's to binary_close(); on -errno it is untouched.
 * -ENOEXEC: no ELF file of the kind above, or its headers are damaged. */
int binary_open(const char *path, struct binary **ret);
/* The same, and relocatable files too, which have no segments: split DWARF (.dwo), and what dwz
 * has moved out of several files. */
int binary_open_relocatable(const char *path, struct binary **ret);
/* The same from SIZE bytes in memory, which are copied, as is PATH. */
int binary_open_memory(const void *image, size_t size, const char *path, struct binary **ret);
/* The vdso that the kernel gave to this process.  -ENOENT: there is none. */
int binary_open_vdso(struct binary **ret);
void binary_close(struct binary *b);

const char *binary_path(const struct binary *b);
const struct build_id *binary_build_id(const struct binary *b); /* size 0: none */
/* Is TEXT the build-ID that cmd/go gave it, as it stands in its note or in hexadecimal? */
bool binary_is_go_build(const struct binary *b, const char *text);
uint64_t binary_content_id(const struct binary *b); /* see base/content_id.h; 0: none */
Elf *binary_elf(const struct binary *b); /* for libelf and libdw; borrowed */
struct bytes binary_image(const struct binary *b); /* the whole file */

/* False: no such section. */
bool binary_find_section(
	const struct binary *b, const char *name, struct binary_section *section);

/* The file's bytes from VADDR to the end of the segment that loads it.  False: no segment
 * loads it from the file. */
bool binary_bytes_at(const struct binary *b, uint64_t vaddr, struct bytes *bytes);

/* The header of the unwind table (PT_GNU_EH_FRAME), which needs no section headers.  False:
 * there is none. */
bool binary_find_eh_frame_header(
	const struct binary *b, struct bytes *bytes, uint64_t *vaddr);

/* The end of the executable segment around VADDR; 0: there is none. */
uint64_t binary_code_end(const struct binary *b, uint64_t vaddr);

/* The segments, in the file's order. */
size_t binary_segments(const struct binary *b, const struct binary_segment **segments);

/* The vaddr OFFSET_IN_MAPPING bytes into a mapping of this file that starts at file offset
 * MAPPING_OFFSET and is MAPPING_SIZE bytes long (0: unknown).  For a debug file, whose own
 * offsets mean nothing, the segment is known by its size.  False: not inside executable code. */
bool binary_vaddr_in_mapping(const struct binary *b, uint64_t mapping_offset,
	uint64_t mapping_size, uint64_t offset_in_mapping, uint64_t *vaddr);
/* The same where only the segments are known. */
bool segments_vaddr_in_mapping(const struct binary_segment *segments, size_t count,
	uint64_t mapping_offset, uint64_t mapping_size, uint64_t offset_in_mapping,
	uint64_t *vaddr);

#endif
