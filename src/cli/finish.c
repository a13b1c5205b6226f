#include "cli/finish.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "cli/message.h"
#include "cli/pipeline.h"
#include "cli/plugins.h"

#define PLUGINS_NAMED_MAX 3 /* in the summary's one line */

bool spool_wants_raw(const struct spool_reader *spool)
{
	return strcmp(spool_reader_text(spool, SPOOL_TEXT_OPTIONS), "raw") == 0;
}

static uint32_t count_plugins(const struct spool_reader *spool)
{
	struct plugins plugins;
	uint32_t count;

	plugins_find(&plugins, spool);
	count = plugins.count;
	plugins_free(&plugins);
	return count;
}

static void add_to_summary(
	struct summary *s, const struct spool_reader *spool, const struct profile *p)
{
	const struct spool_header *h = spool_reader_header(spool);

	s->processes++;
	s->ticks += h->counters[SPOOL_COUNT_TICKS];
	s->lost += h->counters[SPOOL_LOST_BUSY] + h->counters[SPOOL_LOST_MEMORY];
	s->truncated += h->counters[SPOOL_COUNT_TRUNCATED];
	s->refused += h->counters[SPOOL_COUNT_TIMERS_REFUSED];
	s->cpu_ns += h->counters[SPOOL_COUNT_TICKS] * h->period_ns;
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
			summary->plugins = count_plugins(spool);
			report_make(p, &summary->report);
		}
	}
	profile_free(p);
	return r;
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
		message("%.1f%% of frames resolved; worst %s (%.0f%% named%s%s)",
			per_cent(s->report.resolved, s->report.frames), path_base_name(worst->path),
			per_cent(worst->resolved, worst->frames), worst->reason[0] ? ": " : "",
			worst->reason);
}

/* "3 plugins; codec.so 46%, shapes.so 25%": what the person came for. */
static void print_plugins(const struct summary *s)
{
	char shares[256] = "";
	size_t used = 0;

	for (size_t i = 0; i < s->report.plugins.count && i < PLUGINS_NAMED_MAX; i++) {
		const struct plugin_report *p = &s->report.plugins.items[i];
		int length = snprintf(shares + used, sizeof(shares) - used, "%s %.80s %.0f%%",
			i ? "," : ":", p->name, per_cent(p->value, s->report.value));

		if (length > 0 && used + (size_t)length < sizeof(shares))
			used += (size_t)length;
	}
	if (s->plugins == 0) {
		message("no plugins were loaded");
		return;
	}
	message("%u plugin%s%s%s", s->plugins, s->plugins == 1 ? "" : "s", shares,
		s->report.plugins.count > PLUGINS_NAMED_MAX ? ", ..." : "");
}

void summary_print_libraries(const struct summary *s)
{
	for (size_t i = 0; i < s->report.modules.count && !s->raw; i++) {
		const struct module_report *m = &s->report.modules.items[i];

		message("%5.1f%% of %lld frames named in %s%s%s",
			per_cent(m->resolved, m->frames), (long long)m->frames, m->path,
			m->reason[0] ? ": " : "", m->reason);
	}
}

void summary_print(const struct summary *s)
{
	char processes[64] = "";

	if (s->processes > 1)
		snprintf(processes, sizeof(processes),
			" in %u processes, a file each, the busiest below", s->processes);
	message("%llu samples, %llu lost; %.2f s CPU in %.2f s%s", (unsigned long long)s->ticks,
		(unsigned long long)s->lost, (double)s->cpu_ns / 1e9, (double)s->wall_ns / 1e9,
		processes);
	print_plugins(s);
	if (s->ticks == 0 && s->refused)
		message("no samples: no timer could be had; raise the limit of pending signals "
			"(ulimit -i)");
	else if (s->ticks == 0)
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
