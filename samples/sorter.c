/*
 * A plain C program without plugins, with libc between its frames: a round
 * copies strings (memcpy), measures them (strlen) and sorts them by a key that
 * is costly to make (qsort with a callback).
 *
 *     start_thread > sorter_worker > sorter_work > sorter_pass
 *       > sorter_sort > (libc's own frames) > sorter_compare > sorter_key
 *       > sorter_copy > memcpy
 *       > sorter_measure > strlen
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "work.h"

#define ENTRY_COUNT 256
#define TEXT_BYTES 4096
#define KEY_STEPS 50
#define COPY_REPEAT 8
#define MEASURE_REPEAT 8
#define THREAD_COUNT_MAX 64

struct entry {
	uint64_t seed;
	char *text;
};

struct job {
	pthread_t thread;
	double cpu_seconds;
	uint64_t round_count;
	unsigned number;
	uint64_t checksum;
	bool differs;
	struct entry entries[ENTRY_COUNT];
	char texts[ENTRY_COUNT][TEXT_BYTES];
};

static char originals[ENTRY_COUNT][TEXT_BYTES];
static size_t original_sizes[ENTRY_COUNT];	/* bytes, with the final 0 */

static KEPT uint64_t sorter_key(const struct entry *entry)
{
	return WORK_STEPS(entry->seed, KEY_STEPS);
}

static KEPT int sorter_compare(const void *a, const void *b)
{
	uint64_t key_a = sorter_key(a), key_b = sorter_key(b);

	return (key_a > key_b) - (key_a < key_b);
}

/* The checksum is of the order alone: how many comparisons it took is libc's
 * affair. */
static KEPT uint64_t sorter_sort(struct job *job, uint64_t round)
{
	uint64_t sum = 0;

	for (uint64_t i = 0; i < ENTRY_COUNT; i++)
		job->entries[i] = (struct entry){ round * ENTRY_COUNT + i, job->texts[i] };
	qsort(job->entries, ENTRY_COUNT, sizeof(job->entries[0]), sorter_compare);
	for (uint64_t i = 0; i < ENTRY_COUNT; i++)
		sum = sum * 31 + job->entries[i].seed;
	return sum;
}

static KEPT void sorter_copy(struct job *job)
{
	for (int n = 0; n < COPY_REPEAT; n++)
		for (size_t i = 0; i < ENTRY_COUNT; i++)
			memcpy(job->texts[i], originals[i], original_sizes[i]);
}

static KEPT uint64_t sorter_measure(const struct job *job)
{
	uint64_t sum = 0;

	for (int n = 0; n < MEASURE_REPEAT; n++)
		for (size_t i = 0; i < ENTRY_COUNT; i++)
			sum += strlen(job->texts[i]);
	return sum;
}

static KEPT uint64_t sorter_pass(struct job *job)
{
	uint64_t sum = 0;

	for (uint64_t round = 0; round < job->round_count; round++) {
		sorter_copy(job);
		sum += sorter_measure(job);
		sum += sorter_sort(job, round);
	}
	return sum;
}

static KEPT void sorter_work(struct job *job)
{
	const double end = work_thread_cpu_seconds() + job->cpu_seconds;

	job->checksum = sorter_pass(job);
	while (job->cpu_seconds > 0 && work_thread_cpu_seconds() < end)
		if (sorter_pass(job) != job->checksum)
			job->differs = true;
}

static KEPT void *sorter_worker(void *argument)
{
	struct job *job = argument;
	char name[16];

	snprintf(name, sizeof(name), "sorter-%u", job->number);
	pthread_setname_np(pthread_self(), name);
	sorter_work(job);
	return job;
}

static void make_originals(void)
{
	for (size_t i = 0; i < ENTRY_COUNT; i++) {
		original_sizes[i] = TEXT_BYTES - i;
		memset(originals[i], 'a' + (int)(i % 26), original_sizes[i] - 1);
	}
}

static void usage(void)
{
	fputs("usage: sorter [-t CPU_SECONDS_PER_THREAD] [-n THREADS] [-r ROUNDS]\n", stderr);
	exit(2);
}

int main(int argc, char **argv)
{
	static struct job jobs[THREAD_COUNT_MAX];
	unsigned thread_count = 2;
	uint64_t round_count = 10, sum = 0;
	double cpu_seconds = 0;
	int c;

	while ((c = getopt(argc, argv, "t:n:r:")) != -1) {
		switch (c) {
		case 't': cpu_seconds = strtod(optarg, NULL); break;
		case 'n': thread_count = (unsigned)strtoul(optarg, NULL, 10); break;
		case 'r': round_count = strtoull(optarg, NULL, 10); break;
		default: usage();
		}
	}
	if (optind != argc || thread_count < 1 || thread_count > THREAD_COUNT_MAX)
		usage();
	make_originals();
	for (unsigned n = 0; n < thread_count; n++) {
		jobs[n].cpu_seconds = cpu_seconds;
		jobs[n].round_count = round_count;
		jobs[n].number = n;
		if (pthread_create(&jobs[n].thread, NULL, sorter_worker, &jobs[n]) != 0)
			return 2;
	}
	for (unsigned n = 0; n < thread_count; n++) {
		pthread_join(jobs[n].thread, NULL);
		if (jobs[n].differs) {
			fputs("sorter: checksum differs between passes\n", stderr);
			return 2;
		}
		sum += jobs[n].checksum;
	}
	printf("checksum %016" PRIx64 "\n", sum);
	return 0;
}
