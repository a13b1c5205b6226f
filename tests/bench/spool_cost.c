/*
 * What a spool says of its handlers: a line "samples N", then "median", "p99", "mean" and
 * "longest" in ns.  Costs are known by quarter powers of two; within one they are taken to be
 * spread evenly.
 *
 *     spool_cost SPOOL
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "spool/spool_reader.h"

/* note_cost() of cpu_sampler.c, the other way round: cycles at the start of BUCKET. */
static double bucket_start(int bucket)
{
	return ldexp(1 + (bucket % 4) / 4.0, SPOOL_COST_FIRST + bucket / 4);
}

static double quantile(const struct spool_header *h, double total, double part)
{
	double below = 0;

	for (int i = 0; i < SPOOL_COST_BUCKETS; i++) {
		const double count = (double)h->handler_cost[i];

		if (count && below + count >= part * total) {
			const double into = (part * total - below) / count;

			return bucket_start(i) + into * (bucket_start(i + 1) - bucket_start(i));
		}
		below += count;
	}
	return 0;
}

int main(int argc, char **argv)
{
	const struct spool_header *h;
	struct spool_reader *reader;
	double total = 0, sum = 0, ns_per_cycle;
	int r = argc == 2 ? spool_reader_open(argv[1], &reader) : -EINVAL;

	if (r < 0) {
		fprintf(stderr, "spool_cost: %s\n", strerror(-r));
		return 1;
	}
	h = spool_reader_header(reader);
	for (int i = 0; i < SPOOL_COST_BUCKETS; i++) {
		const double middle = (bucket_start(i) + bucket_start(i + 1)) / 2;

		total += (double)h->handler_cost[i];
		sum += (double)h->handler_cost[i] * middle;
	}
	printf("journal %lu\n", h->journal_used);
	printf("samples %.0f\n", total);
	if (total) {
		ns_per_cycle = (double)(h->last_monotonic_ns - h->start_monotonic_ns) /
			(double)(h->last_tsc - h->start_tsc);
		printf("median %.0f\n", quantile(h, total, 0.5) * ns_per_cycle);
		printf("p99 %.0f\n", quantile(h, total, 0.99) * ns_per_cycle);
		printf("mean %.0f\n", sum / total * ns_per_cycle);
		printf("longest %.0f\n", quantile(h, total, 1) * ns_per_cycle);
	}
	spool_reader_free(reader);
	return 0;
}
