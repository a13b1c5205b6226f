#include "cli/finish.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/message.h"

bool spool_wants_raw(const struct spool_reader *spool)
{
	return strcmp(spool_reader_text(spool, SPOOL_TEXT_OPTIONS), "raw") == 0;
}

static uint32_t count_plugins(const struct spool_reader *spool)
{
	struct spool_module_view view;
	uint32_t count = 0;

	for (uint32_t id = 1; id <= spool_reader_module_count(spool); id++)
		if (spool_reader_module(spool, id, &view) &&
			(view.module->flags & SPOOL_MODULE_DLOPENED))
			count++;
	return count;
}

static void add_to_summary(
	struct summary *s, const struct spool_reader *spool, const struct profile *p)
{
	const struct spool_header *h = spool_reader_header(spool);

	s->processes++;
	s->samples += h->counters[SPOOL_COUNT_SAMPLES];
	s->ticks += h->counters[SPOOL_COUNT_TICKS];
	s->lost += h->counters[SPOOL_LOST_BUSY] + h->counters[SPOOL_LOST_MEMORY];
	s->truncated += h->counters[SPOOL_COUNT_TRUNCATED];
	s->cpu_ns += h->counters[SPOOL_COUNT_TICKS] * h->period_ns;
	s->plugins += count_plugins(spool);
	if ((uint64_t)p->duration_ns > s->wall_ns)
		s->wall_ns = (uint64_t)p->duration_ns;
}

int finish_spool(
	const struct spool_reader *spool, const char *path, bool raw, struct summary *summary)
{
	struct profile *p = pipeline_read_spool(spool);
	int r;

	if (!raw)
		pipeline_symbolize(p, NULL);
	r = pipeline_write(p, path);
	if (r) {
		message_errno(r, "cannot write %s", path);
	} else {
		add_to_summary(summary, spool, p);
		if (!summary->file) {
			summary->file = xstrdup(path);
			summary->raw = raw;
			pipeline_report(p, &summary->report);
		}
	}
	profile_free(p);
	return r;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static double per_cent(int64_t part, int64_t whole)
{
	return whole ? 100.0 * (double)part / (double)whole : 100.0;
}

/* The module with the most frames that only have an address. */
static const struct module_report *worst_module(const struct report *report)
{
	const struct module_report *worst = NULL;

	for (size_t i = 0; i < report->modules.count; i++) {
		const struct module_report *m = &report->modules.items[i];

		if (m->frames > m->resolved &&
			(!worst || m->frames - m->resolved > worst->frames - worst->resolved))
			worst = m;
	}
	return worst;
}

static void print_resolved(const struct summary *s)
{
	const struct module_report *worst = worst_module(&s->report);

	if (s->raw)
		message("addresses only; for names: plugprof symbolize %s -o NAMED.pb.gz", s->file);
	else if (!worst)
		message("100%% of frames resolved");
	else
		message("%.1f%% of frames resolved; worst %s (%.0f%%%s%s)",
			per_cent(s->report.resolved, s->report.frames), base_name(worst->path),
			per_cent(worst->resolved, worst->frames), worst->reason[0] ? ": " : "",
			worst->reason);
}

void summary_print(const struct summary *s)
{
	if (s->processes > 1)
		message("%u processes, a profile each; the busiest is named below", s->processes);
	message("%llu samples, %llu lost; %.2f s CPU in %.2f s; %u plugins and libraries loaded "
		"later",
		(unsigned long long)s->samples, (unsigned long long)s->lost,
		(double)s->cpu_ns / 1e9, (double)s->wall_ns / 1e9, s->plugins);
	if (s->ticks == 0)
		message("no samples: the program used less CPU time than one sampling period; "
			"sample more often with -F");
	else
		print_resolved(s);
	message("wrote %s", s->file);
	message("next: go tool pprof -http=: %s", s->file);
}

void summary_free(struct summary *s)
{
	free(s->file);
	report_free(&s->report);
}
