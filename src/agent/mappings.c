#include "agent/mappings.h"

#include "agent/alloc_sampler.h"
#include "agent/dl_symbols.h"
#include "agent/threads.h"
#include "base/compiler.h"
#include "spool/live_writer.h"

#define PAGE_SIZE UINT64_C(4096)

#define ALLOCATORS_MAX 8 /* preloaded or linked */

bool mappings_are_recorded;

static struct dl_range allocators[ALLOCATORS_MAX];
static size_t allocator_count;

COLD void mappings_start(void)
{
	allocator_count = dl_symbols_find_ranges("malloc", allocators, ALLOCATORS_MAX);
	mappings_are_recorded = true;
}

COLD bool mappings_are_of_allocator(const void *caller)
{
	const uint64_t pc = (uint64_t)caller;

	for (size_t i = 0; i < allocator_count; i++)
		if (pc >= allocators[i].start && pc < allocators[i].end)
			return true;
	return false;
}

static uint64_t whole_pages(uint64_t size)
{
	return (size + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1);
}

/* WAS from START to END alone: as old as before. */
static struct spool_live part_of(const struct spool_live *was, uint64_t start, uint64_t end)
{
	struct spool_live part = *was;

	part.address = start | SPOOL_LIVE_MAPPING;
	part.size = end - start;
	return part;
}

static void add_part(struct spool_writer *spool, const struct spool_live *was, uint64_t start,
	uint64_t end)
{
	const struct spool_live part = part_of(was, start, end);

	if (start < end)
		spool_add_live(spool, &part, thread_self.tid);
}

COLD void mappings_go(uint64_t start, uint64_t size, struct mappings_gone *gone)
{
	struct spool_writer *spool = alloc_sampler_spool();
	const uint64_t end = start + whole_pages(size);
	struct spool_live was;

	gone->count = 0;
	if (start % PAGE_SIZE)
		return; /* it will fail */
	while (spool && end > start &&
		spool_remove_mapping(spool, start, end, thread_self.tid, &was)) {
		const uint64_t first = was.address - SPOOL_LIVE_MAPPING,
			       last = first + was.size;

		add_part(spool, &was, first, start);
		add_part(spool, &was, end, last);
		if (gone->count < MAPPINGS_GONE_MAX)
			gone->parts[gone->count++] = part_of(
				&was, first > start ? first : start, last < end ? last : end);
	}
}

COLD void mappings_stay(const struct mappings_gone *gone)
{
	struct spool_writer *spool = alloc_sampler_spool();

	for (uint32_t i = 0; spool && i < gone->count; i++)
		spool_add_live(spool, &gone->parts[i], thread_self.tid);
}

COLD void mappings_made(uint64_t start, uint64_t size)
{
	struct mappings_gone gone;

	mappings_go(start, size, &gone);
	alloc_sampler_record_mapping(start, whole_pages(size));
}
