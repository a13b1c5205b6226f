/*
 * A fuzz target over many small changes of its corpus, the same in every run: quick and repeatable
 * enough for a test, as libFuzzer is not.  Linked with one fuzz_*.c.
 *
 *     mutate_TARGET [-n MUTANTS] [-s SEED] [-t SECONDS] FILE...
 *
 * Mutant N is of the file N modulo their number.  Each may use SECONDS of CPU time and 1 GiB of
 * memory.  What goes wrong is said with the mutant's number, and its bytes are left in
 * mutant-N.  Status 1 then.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/xalloc.h"

#define MEMORY_MAX_KIB (1L << 20)
#define CHANGES_MAX 8
#define GROWTH_MAX 4096 /* bytes that a mutant may have more than its file */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* Of targets whose input has checksums. */
__attribute__((weak)) size_t LLVMFuzzerCustomMutator(
	uint8_t *data, size_t size, size_t max_size, unsigned int seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

static uint64_t random_state;
static struct {
	unsigned long number;
	const char *file;
	const uint8_t *data;
	size_t size;
	bool is_running;
} mutant;

/* splitmix64 */
static uint64_t next_random(void)
{
	random_state += UINT64_C(0x9e3779b97f4a7c15);
	return hash_mix(random_state);
}

static size_t below(size_t limit)
{
	return limit ? next_random() % limit : 0;
}

/* One change: a bit, a byte, a word that is on the edge of something, a piece of it elsewhere. */
static void change(uint8_t *data, size_t size)
{
	static const uint64_t edges[] = { 0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fffffff,
		0x80000000, 0xffffffff, UINT64_C(0x7fffffffffffffff), UINT64_MAX };
	const size_t at = below(size);
	const size_t left = size - at;
	const size_t width = (size_t)1 << below(4);
	const size_t piece = below(left < 64 ? left : 64);

	switch (below(5)) {
	case 0:
		data[at] ^= (uint8_t)(1u << below(8));
		break;
	case 1:
		data[at] = (uint8_t)next_random();
		break;
	case 2:
		memcpy(data + at, &edges[below(sizeof(edges) / sizeof(edges[0]))],
			width < left ? width : left);
		break;
	case 3:
		data[at] += (uint8_t)(below(2) ? 1 : -1);
		break;
	default:
		memmove(data + at, data + below(size - piece), piece);
		break;
	}
}

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size)
{
	const size_t changes = 1 + below(CHANGES_MAX);

	(void)max_size;
	for (size_t i = 0; i < changes && size; i++)
		change(data, size);
	return below(32) == 0 ? below(size) : size; /* some are cut short */
}

/* Signal-safe enough for the last words of a process. */
static void give_up(const char *what)
{
	char name[64], text[512];
	int descriptor, length;

	snprintf(name, sizeof(name), "mutant-%lu", mutant.number);
	length = snprintf(text, sizeof(text), "%s: mutant %lu of %s, left in %s\n", what,
		mutant.number, mutant.file, name);
	if (write(STDERR_FILENO, text, (size_t)length) < 0)
		_exit(2);
	descriptor = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (descriptor < 0 || write(descriptor, mutant.data, mutant.size) < 0)
		_exit(2);
	_exit(1);
}

static void on_signal(int signal_number)
{
	give_up(signal_number == SIGVTALRM ? "it takes too long" : "it does not hold");
}

static void on_exit_within(void)
{
	if (mutant.is_running)
		give_up("the process ended");
}

#ifdef __SANITIZE_ADDRESS__
void __sanitizer_set_death_callback(void (*callback)(void));

static void on_death(void)
{
	give_up("the sanitizer has found something");
}
#endif

static void run(const struct file_bytes *file, long seconds)
{
	const struct itimerval limit = { .it_value = { .tv_sec = seconds } };
	const struct itimerval none = { .it_value = { 0, 0 } };
	const size_t max_size = file->size + GROWTH_MAX;
	uint8_t *data = xmalloc(max_size);
	struct rusage usage;

	memcpy(data, file->data, file->size);
	mutant.data = data;
	mutant.size = LLVMFuzzerCustomMutator
		? LLVMFuzzerCustomMutator(
			  data, file->size, max_size, (unsigned int)next_random())
		: LLVMFuzzerMutate(data, file->size, max_size);
	mutant.is_running = true;
	setitimer(ITIMER_VIRTUAL, &limit, NULL);
	LLVMFuzzerTestOneInput(mutant.data, mutant.size);
	setitimer(ITIMER_VIRTUAL, &none, NULL);
	mutant.is_running = false;
	getrusage(RUSAGE_SELF, &usage);
	if (usage.ru_maxrss > MEMORY_MAX_KIB)
		give_up("it takes too much memory");
	free(data);
}

int main(int argc, char **argv)
{
	unsigned long count = 1000, seed = 1;
	long seconds = 1;
	int option;

	while ((option = getopt(argc, argv, "n:s:t:")) != -1)
		switch (option) {
		case 'n':
			count = strtoul(optarg, NULL, 10);
			break;
		case 's':
			seed = strtoul(optarg, NULL, 10);
			break;
		case 't':
			seconds = strtol(optarg, NULL, 10);
			break;
		default:
			return 2;
		}
	if (!argv[optind])
		return 2;
	signal(SIGVTALRM, on_signal);
	signal(SIGABRT, on_signal);
	atexit(on_exit_within);
#ifdef __SANITIZE_ADDRESS__
	__sanitizer_set_death_callback(on_death);
#endif
	for (mutant.number = 0; mutant.number < count; mutant.number++) {
		struct file_bytes file;

		mutant.file = argv[optind + (int)(mutant.number % (unsigned int)(argc - optind))];
		random_state = hash_mix(seed) + mutant.number;
		if (file_map(mutant.file, &file) < 0)
			continue; /* an empty one */
		run(&file, seconds);
		file_unmap(&file);
	}
	printf("%lu mutants of %d files\n", count, argc - optind);
	return 0;
}
