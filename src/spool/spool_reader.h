/*
 * The tool's half of the spool.  A spool may belong to a running process, to one that was
 * killed in the middle of a store, or to nobody's good will at all: it is copied first, and nothing
 * in the copy is believed before it is checked.  Exits for want of memory; never prints.
 */
#ifndef SPOOL_READER_H
#define SPOOL_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "spool/spool_format.h"

struct spool_reader;

/* Only the header of the spool at PATH, which is small however big the spool is.  Results as of
 * spool_reader_open(). */
int spool_read_header(const char *path, struct spool_header *header) MUST_CHECK;

/* Copy the spool at PATH.  0: *RET is the caller's to spool_reader_free().
 * -EBADMSG: no spool; -EPROTO: of another version; -ENODATA: not begun yet; else -errno.
 * Untouched on failure. */
int spool_reader_open(const char *path, struct spool_reader **ret) MUST_CHECK;
/* The same over SIZE bytes at DATA, which are copied. */
int spool_reader_over(const void *data, size_t size, struct spool_reader **ret) MUST_CHECK;
void spool_reader_free(struct spool_reader *r);

const struct spool_header *spool_reader_header(const struct spool_reader *r);

/* A copy of a part of the file: a spool has its full size from the start.  What is whole in it can
 * be read; how much is missing nobody knows. */
bool spool_reader_is_cut_short(const struct spool_reader *r);

/* The text of KIND, "" when there is none.  Lives as long as R. */
const char *spool_reader_text(const struct spool_reader *r, enum spool_text_kind kind);

struct spool_module_view {
	const struct spool_module *module;
	const struct spool_segment *segments; /* module->segment_count of them */
	const char *path; /* NUL-terminated */
	const char *soname; /* "" when it has none */
	const struct spool_life *life; /* NULL: loaded at the start, and it has a build-ID */
};

/* The module with this id; false: none.  Ids run from 1 to spool_reader_module_count(), with
 * gaps only in a damaged spool. */
bool spool_reader_module(
	const struct spool_reader *r, uint32_t id, struct spool_module_view *view);
uint32_t spool_reader_module_count(const struct spool_reader *r);

/* Does MODULE name SONAME among its DT_NEEDED? */
bool spool_module_needs(const struct spool_module_view *module, const char *soname);

struct spool_stack_view {
	const spool_frame *frames; /* leaf first */
	size_t frame_count; /* >= 1 */
	uint64_t periods; /* >= 1 */
	const char *thread_name; /* "" unknown */
};

struct spool_label_view {
	const char *key, *value; /* NUL-terminated; they live as long as R */
};

/* The labels that notes among FRAMES stand for.  Their number. */
size_t spool_reader_labels(const struct spool_reader *r, const spool_frame *frames,
	size_t frame_count, struct spool_label_view labels[static SPOOL_LABELS_MAX]);
/* Samples that lack labels, for want of room. */
uint64_t spool_reader_labels_lost(const struct spool_reader *r);

/* Was CPU time to be sampled? */
bool spool_reader_has_cpu(const struct spool_reader *r);

/* The next stack that has samples; *AT starts at 0.  False: that was all. */
bool spool_reader_next_stack(
	const struct spool_reader *r, size_t *at, struct spool_stack_view *view);

/* Bytes between two sampled allocations; 0: allocations were not sampled. */
uint64_t spool_reader_heap_rate(const struct spool_reader *r);

struct spool_heap_stack_view {
	uint32_t slot; /* what live allocations call it; below spool_reader_heap_slots() */
	const spool_frame *frames; /* leaf first */
	size_t frame_count; /* >= 1 */
	uint64_t alloc_objects; /* in 1/65536 */
	uint64_t alloc_bytes;
	uint32_t size_class; /* < 64 */
	bool is_mapping; /* not of the allocator, and not sampled: each is there */
	const char *thread_name; /* "" unknown */
};

uint32_t spool_reader_heap_slots(const struct spool_reader *r);
/* The next stack that has allocated, or whose parent had before a fork; *AT starts at 0. */
bool spool_reader_next_heap_stack(
	const struct spool_reader *r, size_t *at, struct spool_heap_stack_view *view);
/* The next live allocation, or mapping (see SPOOL_LIVE_MAPPING); its stack is below
 * spool_reader_heap_slots(). */
bool spool_reader_next_live(const struct spool_reader *r, size_t *at, struct spool_live *live);

#endif
