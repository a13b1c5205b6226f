/*
 * What a loaded library says of itself, read from memory as the loader has laid it out: its
 * file may be gone or another one by now.  Sources: ELF gABI "Program Header", "Dynamic Section".
 *
 * The library is there while this is called.  Pure but for two system calls; no allocation.
 * Signal-safe; one caller at a time (paths and names are given in static buffers).
 */
#ifndef AGENT_LOADED_OBJECT_H
#define AGENT_LOADED_OBJECT_H

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/cfi.h"
#include "base/build_id.h"
#include "spool/spool_format.h"

#define OBJECT_SEGMENTS_MAX 16 /* executable ones of one library */

struct loaded_object {
	const char *name; /* as the loader knows it */
	uint64_t bias; /* pc - vaddr */
	const Elf64_Phdr *headers;
	size_t header_count;
	uint64_t map_start, map_end; /* pc */
	const void *link_map, *unwind_header; /* as _dl_find_object knows it; may be NULL */
	const void *tls; /* its thread-local memory, of the calling thread; NULL: none, not known */
	uint32_t flags; /* enum spool_module_flags known beforehand */
};

/* map_start and map_end from the program headers. */
void object_find_range(struct loaded_object *o);

/* The executable segments, at most OBJECT_SEGMENTS_MAX; how many. */
size_t object_find_segments(const struct loaded_object *o, struct spool_segment *segments);

/* Its size is 0 when there is none. */
void object_find_build_id(const struct loaded_object *o, struct build_id *id, bool *is_go);

/* What tells a library without build-ID from another one: its content ID (base/content_id.h);
 * 0: it cannot be read. */
uint64_t object_find_content(const struct loaded_object *o);

/* The unwind tables where they are: from the lower of .eh_frame_hdr and .eh_frame to the end of
 * the segment that holds them.  No usable ones: TABLE->data is NULL. */
void object_find_unwind(const struct loaded_object *o, struct cfi_table *table);

/* The absolute path: the loader keeps a relative name as it was given, and one that means a
 * descriptor (/proc/self/fd/5) means the file behind it.  Valid until the next call. */
const char *object_find_path(const struct loaded_object *o);
/* The same of the program.  Valid until the next call of either. */
const char *object_program_path(void);
bool object_name_means_descriptor(const char *name);
/* One such is about to be opened: remember the file behind it.  Not with object_find_path() at
 * the same time. */
void object_remember_descriptor(const char *name);

/* SIZE bytes at ADDRESS, a vaddr or what the loader, which relocates the pointers of dynamic
 * sections in place (but not the vdso's), has made of it.  NULL: not in O. */
const void *object_at(const struct loaded_object *o, uint64_t address, uint64_t size);
/* The value of the dynamic section's first entry TAG; 0: none. */
uint64_t object_find_dynamic(const struct loaded_object *o, int64_t tag);

/* DT_SONAME and every DT_NEEDED, each with its NUL; how many bytes.  Valid until the next call. */
size_t object_find_names(const struct loaded_object *o, const char **names);

#endif
