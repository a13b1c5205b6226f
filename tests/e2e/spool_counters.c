/*
 * Reads spools as spool_format.h says, without the tool's reader, and prints a line for each:
 *
 *     spool_counters SPOOL...
 *     PATH pid P state S ticks T samples N lost L kept K threads H refused R fallback F foreign X
 *
 * K is the sum of periods over all stacks that are committed.  Status 1: one is no spool.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "spool/spool_format.h"

static uint64_t periods_kept(const struct spool_header *h)
{
	uint64_t sum = 0;

	for (int i = 0; i < SPOOL_SECTIONS_MAX; i++) {
		const struct spool_section *s = &h->sections[i];
		const struct spool_stack *stacks;

		if (s->type != SPOOL_SECTION_CPU_STACKS || s->offset + s->size > h->file_size)
			continue;
		stacks = (const struct spool_stack *)((const char *)h + s->offset);
		for (size_t n = 0; n < s->size / sizeof(*stacks); n++)
			if (stacks[n].frames & 0xffff)
				sum += stacks[n].periods;
	}
	return sum;
}

static int print(const char *path)
{
	const struct spool_header *h;
	int descriptor = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (descriptor < 0 || fstat(descriptor, &st) < 0 || (size_t)st.st_size < sizeof(*h))
		return 1;
	h = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, descriptor, 0);
	close(descriptor);
	if (h == MAP_FAILED || memcmp(h->magic, SPOOL_MAGIC, sizeof(h->magic)) != 0 ||
		h->header_size != sizeof(*h) || h->file_size > (uint64_t)st.st_size)
		return 1;
#define COUNTER(name) (unsigned long long)h->counters[name]
	printf("%s pid %u state %llu ticks %llu samples %llu lost %llu kept %llu threads %llu "
	       "refused %llu fallback %llu foreign %llu\n",
		path, h->pid, (unsigned long long)h->state, COUNTER(SPOOL_COUNT_TICKS),
		COUNTER(SPOOL_COUNT_SAMPLES),
		COUNTER(SPOOL_LOST_BUSY) + COUNTER(SPOOL_LOST_MEMORY),
		(unsigned long long)periods_kept(h), COUNTER(SPOOL_COUNT_THREADS),
		COUNTER(SPOOL_COUNT_TIMERS_REFUSED), COUNTER(SPOOL_COUNT_FALLBACK_TICKS),
		COUNTER(SPOOL_COUNT_FOREIGN_SIGNALS));
#undef COUNTER
	munmap((void *)h, (size_t)st.st_size);
	return 0;
}

int main(int argc, char **argv)
{
	int r = argc < 2;

	for (int i = 1; i < argc; i++)
		r |= print(argv[i]);
	return r;
}
