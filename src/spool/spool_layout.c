#define _GNU_SOURCE
#include "spool/spool_layout.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "spool/heap_writer.h"

#define JOURNAL_SIZE ((size_t)1 << 20)
#define THREAD_NAME_COUNT 1024
#define STACK_COUNT 32768 /* a power of two */
#define FRAME_COUNT 524288
#define LABEL_SET_COUNT 16384 /* a power of two */
#define LABEL_TEXTS_SIZE ((size_t)2 << 20)

/* Does the kernel know MADV_POPULATE_WRITE? */
static bool kernel_populates(void)
{
	char *page = (char *)((uintptr_t)&page & ~(uintptr_t)4095);

	return madvise(page, 4096, MADV_POPULATE_WRITE_NUMBER) == 0;
}

static size_t add_section(struct spool_header *header, enum spool_section_type type,
	size_t entry_size, size_t size, size_t offset)
{
	struct spool_section *section = header->sections;

	while (section->type)
		section++;
	*section = (struct spool_section){
		.type = type, .entry_size = (uint32_t)entry_size, .offset = offset, .size = size };
	return offset + ((size + 63) & ~(size_t)63);
}

/* How big the tables for allocations may grow. */
struct heap_capacity {
	uint32_t live_count, stack_levels, frame_count;
};

/* A few dozen bytes between samples: each object may be one. */
#define FINE_RATE_BYTES 65536
static const struct heap_capacity fine = { 3 << 19, 4, 4 << 20 }, coarse = { 1 << 17, 3, 1 << 20 },
				  small = { 1 << 15, 2, 1 << 18 };

/* All of the file counts at once where pages cannot be had one by one, and against limits. */
static const struct heap_capacity *heap_capacity(uint64_t rate_bytes)
{
	struct rlimit size, memory;

	if (!kernel_populates() || getrlimit(RLIMIT_FSIZE, &size) < 0 ||
		getrlimit(RLIMIT_AS, &memory) < 0 || size.rlim_cur != RLIM_INFINITY ||
		memory.rlim_cur != RLIM_INFINITY)
		return &small;
	return rate_bytes < FINE_RATE_BYTES ? &fine : &coarse;
}

static size_t add_heap(
	struct spool_header *header, const struct heap_capacity *capacity, size_t end)
{
	end = (end + 4095) & ~(size_t)4095; /* no bucket lies in two chunks */
	end = add_section(header, SPOOL_SECTION_LIVE, sizeof(struct spool_live),
		capacity->live_count * sizeof(struct spool_live), end);
	return add_section(header, SPOOL_SECTION_HEAP_STACKS, sizeof(struct spool_heap_stack),
		(spool_level_start(capacity->stack_levels) + 1) *
			sizeof(struct spool_heap_stack),
		end);
}

uint64_t spool_lay_out(struct spool_header *header, const struct spool_identity *identity)
{
	const struct heap_capacity *capacity =
		identity->heap_rate_bytes ? heap_capacity(identity->heap_rate_bytes) : NULL;
	size_t end = (sizeof(*header) + 63) & ~(size_t)63;

	/* What every process writes to is in the first page, as far as possible: fork() pays for
	 * pages. */
	if (capacity)
		end = add_section(header, SPOOL_SECTION_HEAP, sizeof(struct spool_heap),
			sizeof(struct spool_heap), end);
	end = add_section(header, SPOOL_SECTION_JOURNAL, 0, JOURNAL_SIZE, end);
	end = add_section(header, SPOOL_SECTION_THREAD_NAMES, sizeof(struct spool_thread_name),
		THREAD_NAME_COUNT * sizeof(struct spool_thread_name), end);
	if (capacity)
		end = add_heap(header, capacity, end);
	if (!identity->cpu_off)
		end = add_section(header, SPOOL_SECTION_CPU_STACKS, sizeof(struct spool_stack),
			(STACK_COUNT + 1) * sizeof(struct spool_stack), end);
	end = add_section(header, SPOOL_SECTION_FRAMES, sizeof(spool_frame),
		(FRAME_COUNT + (capacity ? capacity->frame_count : 0)) * sizeof(spool_frame), end);
	end = add_section(header, SPOOL_SECTION_LABEL_SETS, sizeof(struct spool_label_set),
		LABEL_SET_COUNT * sizeof(struct spool_label_set), end);
	end = add_section(header, SPOOL_SECTION_LABEL_TEXTS, 0, LABEL_TEXTS_SIZE, end);
	return (end + 4095) & ~(size_t)4095;
}
