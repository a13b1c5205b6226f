#include "cli/finish_sum.h"

#include <errno.h>
#include <stdlib.h>

#include "base/xalloc.h"
#include "cli/message.h"
#include "cli/output_name.h"
#include "cli/pipeline.h"
#include "pprof/profile_merge.h"

struct finish_sum {
	struct profile_merge *cpu, *heap;
	int64_t start_ns, end_ns; /* of the first process, and of the last */
	uint32_t plugins; /* of the process with most */
};

struct finish_sum *finish_sum_new(void)
{
	struct finish_sum *sum = xcalloc(1, sizeof(*sum));

	sum->cpu = profile_merge_new();
	sum->heap = profile_merge_new();
	return sum;
}

void finish_sum_free(struct finish_sum *sum)
{
	if (!sum)
		return;
	profile_merge_free(sum->cpu);
	profile_merge_free(sum->heap);
	free(sum);
}

/* P is freed. */
static int add(struct finish_sum *sum, struct profile_merge *to, struct profile *p,
	unsigned int flags)
{
	char *why = NULL;
	int r;

	if (!(flags & FINISH_RAW))
		pipeline_settle(p);
	if (sum->start_ns == 0 || p->time_ns < sum->start_ns)
		sum->start_ns = p->time_ns;
	if (p->time_ns + p->duration_ns > sum->end_ns)
		sum->end_ns = p->time_ns + p->duration_ns;
	r = profile_merge_add(to, p, NULL, &why);
	if (r)
		message("cannot add the processes up: %s", why);
	free(why);
	profile_free(p);
	return r;
}

int finish_sum_add(struct finish_sum *sum, const struct spool_reader *spool, unsigned int flags,
	struct summary *summary)
{
	const uint32_t plugins = finish_count_plugins(spool);
	int r = 0;

	if (spool_reader_has_cpu(spool))
		r = add(sum, sum->cpu, pipeline_read_spool(spool), flags);
	if (r == 0 && spool_reader_heap_rate(spool)) {
		struct profile *heap = pipeline_read_heap(spool);

		summary_add_heap(summary, heap);
		r = add(sum, sum->heap, heap, flags);
	}
	if (plugins > sum->plugins)
		sum->plugins = plugins;
	if (r == 0)
		summary_add(summary, spool);
	return r;
}

static int write_kind(const struct finish_sum *sum, const struct profile_merge *kind,
	const char *path, unsigned int flags, struct summary *summary)
{
	struct profile *p = profile_clone(profile_merge_sum(kind));

	p->duration_ns = sum->end_ns - sum->start_ns; /* they ran side by side */
	return finish_profile(p, path, flags, !summary->file, summary);
}

int finish_sum_write(const struct finish_sum *sum, const char *path, unsigned int flags,
	struct summary *summary)
{
	const struct profile *cpu = profile_merge_sum(sum->cpu);
	const struct profile *heap = profile_merge_sum(sum->heap);
	char *heap_path = NULL;
	int r = 0;

	free(summary->file);
	free(summary->heap_file);
	summary->file = summary->heap_file = NULL;
	report_free(&summary->report);
	if (cpu)
		r = write_kind(sum, sum->cpu, path, flags, summary);
	if (r == 0 && heap && (!cpu || (heap->samples.count && output_name_is_file(path)))) {
		heap_path = cpu ? output_name_of_heap(path, true) : xstrdup(path);
		r = write_kind(sum, sum->heap, heap_path, flags, summary);
	}
	if (r == 0) {
		summary->is_sum = true;
		summary->has_cpu = cpu != NULL;
		summary->plugins = sum->plugins;
		summary->heap_file = cpu && heap_path ? xstrdup(heap_path) : NULL;
	}
	free(heap_path);
	return r;
}
