#include "cli/finish.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "cli/heap_unseen.h"
#include "cli/labels_unseen.h"
#include "cli/message.h"
#include "cli/output_name.h"
#include "cli/pipeline.h"
#include "cli/places.h"
#include "cli/plugins.h"
#include "cli/size_text.h"

#define PLUGINS_NAMED_MAX 3 /* in the summary's one line */

bool spool_wants_raw(const struct spool_reader *spool)
{
	return strcmp(spool_reader_text(spool, SPOOL_TEXT_OPTIONS), "raw") == 0;
}

char *finish_name(const struct spool_reader *spool, const char *template, bool is_ours)
{
	char *name = output_name_expand(template, spool, is_ours);
	char *heap_name;

	if (spool_reader_has_cpu(spool))
		return name;
	heap_name = output_name_of_heap(name, false);
	free(name);
	return heap_name;
}

uint32_t finish_count_plugins(const struct spool_reader *spool)
{
	struct plugins plugins;
	uint32_t count;

	plugins_find(&plugins, spool);
	count = plugins.count;
	plugins_free(&plugins);
	return count;
}

void summary_add(struct summary *s, const struct spool_reader *spool)
{
	const struct spool_header *h = spool_reader_header(spool);

	s->processes++;
	s->ticks += h->counters[SPOOL_COUNT_TICKS];
	s->lost += h->counters[SPOOL_LOST_BUSY] + h->counters[SPOOL_LOST_MEMORY];
	s->truncated += h->counters[SPOOL_COUNT_TRUNCATED];
	s->refused += h->counters[SPOOL_COUNT_TIMERS_REFUSED];
	s->cpu_ns += h->counters[SPOOL_COUNT_TICKS] * h->period_ns;
	s->heap_lost += h->counters[SPOOL_LOST_HEAP_BUSY] + h->counters[SPOOL_LOST_HEAP_MEMORY];
	s->live_lost += h->counters[SPOOL_LOST_LIVE];
	if (!s->heap_unseen && spool_reader_heap_rate(spool))
		s->heap_unseen = heap_unseen(spool);
	if (!s->labels_unseen)
		s->labels_unseen = labels_unseen(spool);
}

/* Of the sample types that pipeline_read_heap() makes. */
void summary_add_heap(struct summary *s, const struct profile *p)
{
	for (size_t i = 0; i < p->samples.count; i++) {
		const struct profile_sample *sample = &p->samples.items[i];
		const int64_t *values = &p->values.items[sample->first_value];

		s->allocated_bytes += values[1];
		s->in_use_objects += values[2];
		s->in_use_bytes += values[3];
		if (profile_label_text(p, sample, PIPELINE_UNLOADED_LABEL))
			s->unloaded_bytes += values[3];
	}
}

int finish_profile(struct profile *p, const char *path, unsigned int flags, bool is_first,
	struct summary *summary)
{
	enum places_detail detail =
		is_first && flags & FINISH_TELL_PLACES ? PLACES_ALL : PLACES_NONE;
	int r;

	if (!(flags & FINISH_RAW))
		pipeline_symbolize_with(p, NULL, places_tell, &detail);
	r = pipeline_write(p, path);
	if (r) {
		message_errno(r, "cannot write %s", path);
	} else {
		if ((uint64_t)p->duration_ns > summary->wall_ns)
			summary->wall_ns = (uint64_t)p->duration_ns;
		if (is_first) {
			summary->file = xstrdup(path);
			summary->raw = flags & FINISH_RAW;
			report_make(p, &summary->report);
		}
	}
	profile_free(p);
	return r;
}

static int finish_heap(const struct spool_reader *spool, const char *path, unsigned int flags,
	bool is_first, struct summary *summary)
{
	struct profile *p = pipeline_read_heap(spool);

	summary_add_heap(summary, p);
	return finish_profile(p, path, flags, is_first, summary);
}

/* The heap profile's name beside a CPU profile; NULL: that goes to a device or pipe, which takes
 * one. */
static char *heap_path_beside(
	const struct spool_reader *spool, const char *path, unsigned int flags)
{
	char *name, *unused;

	if (!output_name_is_file(path))
		return NULL;
	name = output_name_of_heap(path, true);
	if (flags & FINISH_REPLACE)
		return name;
	unused = output_name_unused(name, spool_reader_header(spool)->pid);
	free(name);
	return unused;
}

int finish_spool(const struct spool_reader *spool, const char *path, unsigned int flags,
	struct summary *summary)
{
	const uint64_t *counters = spool_reader_header(spool)->counters;
	const bool is_first = !summary->file, has_cpu = spool_reader_has_cpu(spool);
	char *heap_path = NULL;
	int r = 0;

	if (has_cpu && (counters[SPOOL_COUNT_SAMPLES] || (flags & FINISH_EVEN_EMPTY)))
		r = finish_profile(pipeline_read_spool(spool), path, flags, is_first, summary);
	if (r == 0 && spool_reader_heap_rate(spool) &&
		(counters[SPOOL_COUNT_HEAP_SAMPLES] || !has_cpu)) {
		heap_path = has_cpu ? heap_path_beside(spool, path, flags) : xstrdup(path);
		if (heap_path)
			r = finish_heap(spool, heap_path, flags, !summary->file, summary);
	}
	if (r == 0)
		summary_add(summary, spool);
	if (r == 0 && !is_first)
		*VEC_PUSH(&summary->others) = xstrdup(path);
	if (r == 0 && is_first && summary->file) {
		summary->has_cpu = has_cpu;
		summary->plugins = finish_count_plugins(spool);
		if (heap_path && strcmp(heap_path, summary->file) != 0)
			summary->heap_file = xstrdup(heap_path);
	}
	free(heap_path);
	return r;
}

int finish_snapshot(const struct spool_reader *spool, const char *path, unsigned int flags,
	struct summary *summary)
{
	int r = finish_heap(spool, path, flags, true, summary);

	if (r == 0) {
		summary_add(summary, spool);
		summary->plugins = finish_count_plugins(spool);
	}
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
		int length;

		if (p->value == 0)
			break;
		length = snprintf(shares + used, sizeof(shares) - used, "%s %.80s %.0f%%",
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

/* "59.7 MiB in 16594 objects in use", and what is to be known of that; the caller's to free(). */
static char *describe_in_use(const struct summary *s)
{
	char size[32], held[80] = "", missing[96] = "";

	if (s->unloaded_bytes)
		snprintf(held, sizeof(held), " (%s of it held by unloaded plugins)",
			size_text(s->unloaded_bytes, size, sizeof(size)));
	if (s->live_lost)
		snprintf(missing, sizeof(missing),
			" (no place for %llu more: raise --heap-interval)",
			(unsigned long long)s->live_lost);
	return xasprintf("%s%s in %lld objects in use%s%s", s->live_lost ? "more than " : "",
		size_text(s->in_use_bytes, size, sizeof(size)), (long long)s->in_use_objects,
		missing, held);
}

/* PROCESSES: behind the first line about them all. */
static void print_heap(const struct summary *s, const char *processes)
{
	char allocated[32], lost[64] = "", *in_use = describe_in_use(s);

	if (s->heap_lost)
		snprintf(lost, sizeof(lost), ", %llu samples lost",
			(unsigned long long)s->heap_lost);
	message("heap: %s, %s allocated%s%s%s%s", in_use,
		size_text(s->allocated_bytes, allocated, sizeof(allocated)), lost, processes,
		s->heap_file ? "; wrote " : "", s->heap_file ? s->heap_file : "");
	if (s->heap_unseen)
		message("not seen: %s", s->heap_unseen);
	free(in_use);
}

static void print_samples(const struct summary *s)
{
	char processes[64] = "";

	if (s->processes > 1)
		snprintf(processes, sizeof(processes), " in %u processes, %s", s->processes,
			s->is_sum ? "added up" : "a file each, the busiest below");
	if (s->has_cpu)
		message("%llu samples, %llu lost; %.2f s CPU in %.2f s%s",
			(unsigned long long)s->ticks, (unsigned long long)s->lost,
			(double)s->cpu_ns / 1e9, (double)s->wall_ns / 1e9, processes);
	if (s->heap_file || s->heap_unseen || !s->has_cpu)
		print_heap(s, s->has_cpu ? "" : processes);
	if (s->labels_unseen)
		message("not seen: %s", s->labels_unseen);
}

#define FILES_NAMED_MAX 3 /* beside the first */

static void print_files(const struct summary *s)
{
	char *names = xstrdup("");

	if (s->others.count > FILES_NAMED_MAX) {
		message("wrote %s and %zu more (-v names them); all in one: record --merge, or "
			"plugprof merge",
			s->file, s->others.count);
	} else {
		for (size_t i = 0; i < s->others.count; i++) {
			char *longer = xasprintf(
				"%s, %s", names, path_base_name(s->others.items[i]));

			free(names);
			names = longer;
		}
		message("wrote %s%s%s", s->file, names,
			s->others.count ? "; all in one: record --merge, or plugprof merge" : "");
	}
	free(names);
}

void summary_print_others(const struct summary *s)
{
	for (size_t i = 0; i < s->others.count; i++)
		message("wrote %s", s->others.items[i]);
}

void summary_print(const struct summary *s)
{
	print_samples(s);
	print_plugins(s);
	if (!s->has_cpu && s->allocated_bytes == 0 && !s->heap_unseen)
		message("no samples: the program allocated less than one sampling interval; sample "
			"more often with --heap-interval");
	else if (s->has_cpu && s->ticks == 0 && s->refused)
		message("no samples: no timer could be had; raise the limit of pending signals "
			"(ulimit -i)");
	else if (s->has_cpu && s->ticks == 0)
		message("no samples: the program used less CPU time than one sampling period; "
			"sample more often with -F");
	else
		print_resolved(s);
	print_files(s);
	/* What is held by nobody is no small thing, and it is in this file. */
	if (s->unloaded_bytes && !s->has_cpu && (s->is_sum || s->others.count == 0))
		message("next: plugprof leaks %s", s->file);
	else
		message("next: go tool pprof -http=: %s", s->file);
}

void summary_free(struct summary *s)
{
	free(s->file);
	free(s->heap_file);
	free(s->heap_unseen);
	free(s->labels_unseen);
	for (size_t i = 0; i < s->others.count; i++)
		free(s->others.items[i]);
	VEC_FREE(&s->others);
	report_free(&s->report);
}
