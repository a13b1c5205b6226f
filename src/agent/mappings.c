#include "agent/mappings.h"

#include "agent/alloc_sampler.h"
#include "agent/threads.h"
#include "base/compiler.h"
#include "spool/live_writer.h"

#define PAGE_SIZE UINT64_C(4096)

bool mappings_are_recorded;

static uint64_t whole_pages(uint64_t size)
{
	return (size + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1);
}

/* What is left of WAS: the same mapping, as old as before. */
static void add_part(struct spool_writer *spool, const struct spool_live *was, uint64_t start,
	uint64_t end)
{
	struct spool_live part = *was;

	if (start >= end)
		return;
	part.address = start | SPOOL_LIVE_MAPPING;
	part.size = end - start;
	spool_add_live(spool, &part, thread_self.tid);
}

COLD void mappings_go(uint64_t start, uint64_t size, struct mappings_gone *gone)
{
	struct spool_writer *spool = alloc_sampler_spool();
	const uint64_t end = start + whole_pages(size);
	struct spool_live was;

	*gone = (struct mappings_gone){ .start = start, .size = end - start };
	if (start % PAGE_SIZE)
		return; /* it will fail */
	while (spool && end > start &&
		spool_remove_mapping(spool, start, end, thread_self.tid, &was)) {
		const uint64_t first = was.address - SPOOL_LIVE_MAPPING,
			       last = first + was.size;

		add_part(spool, &was, first, start);
		add_part(spool, &was, end, last);
		gone->was_whole = first == start && last == end;
		gone->time_ns = was.time_ns;
		gone->stack = was.stack;
	}
}

COLD void mappings_stay(const struct mappings_gone *gone)
{
	struct spool_writer *spool = alloc_sampler_spool();
	const struct spool_live was = { .time_ns = gone->time_ns, .stack = gone->stack };

	if (spool && gone->was_whole)
		add_part(spool, &was, gone->start, gone->start + gone->size);
}

COLD void mappings_made(uint64_t start, uint64_t size)
{
	struct mappings_gone gone;

	mappings_go(start, size, &gone);
	alloc_sampler_record_mapping(start, whole_pages(size));
}
