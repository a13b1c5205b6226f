/*
 * Unwinders beside one another, from the same spot: the agent's own, linked in as in
 * libplugprof.so, libunwind's two and glibc's.
 *
 *     unwinders LIBRARY-OF-DEEP-STACKS WARM-ROUNDS COLD-CALLS THREADS
 *
 * A line per result: what, who, median (warm: minimum) ns, mean ns, frames.
 *
 *   warm   the same stack again and again
 *   cold   after 192 MiB of other memory has been read
 *   first  the first call on a new thread
 *   deep   ours, below 100,000 frames: again and again; mean: the first time, down to the root
 *
 * The stack is FRAMES deep by our own count, all without frame pointers.  libunwind is opened
 * with RTLD_LOCAL, lest its _Unwind_* and backtrace() take the place of libgcc's and glibc's.
 */
#define _GNU_SOURCE
#include <execinfo.h>
#include <libunwind.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>
#include <x86intrin.h>

#include "agent/modules.h"
#include "agent/real.h"
#include "agent/threads.h"
#include "agent/unwind.h"
#include "base/compiler.h"
#include "clocks.h"
#include "deep_stack.h"

#define FRAMES 36
#define FRAMES_MAX 128
#define ROUND_NS 5000000.0 /* short: some round then goes by undisturbed */
#define FLUSH_BYTES ((size_t)192 << 20)

static struct {
	int (*init)(unw_cursor_t *, unw_context_t *, int);
	int (*step)(unw_cursor_t *);
	int (*get_reg)(unw_cursor_t *, int, unw_word_t *);
	int (*backtrace)(void **, int);
} libunwind;

static deep_call_function *deep_call;
static unsigned depth = 1; /* so that the whole stack has FRAMES */
static unsigned warm_rounds, cold_calls, thread_count;
static double ns_per_cycle;
static char *other_memory;

/* --- the unwinders: the frames from CONTEXT, or from where they stand --- */

static size_t ours(ucontext_t *context)
{
	static struct unwind_scratch scratch;

	unwind_registers(context, &scratch.registers);
	return unwind_capture(&scratch, threads_own_stack());
}

static size_t libunwinds_backtrace(ucontext_t *context)
{
	void *pcs[FRAMES_MAX];

	(void)context;
	return (size_t)libunwind.backtrace(pcs, FRAMES_MAX);
}

static size_t libunwinds_steps(ucontext_t *context)
{
	unw_word_t pcs[FRAMES_MAX];
	unw_cursor_t cursor;
	size_t count = 0;

	libunwind.init(&cursor, (unw_context_t *)context, 0);
	do
		libunwind.get_reg(&cursor, UNW_REG_IP, &pcs[count++]);
	while (count < FRAMES_MAX && libunwind.step(&cursor) > 0);
	return count;
}

static size_t glibcs_backtrace(ucontext_t *context)
{
	void *pcs[FRAMES_MAX];

	(void)context;
	return (size_t)backtrace(pcs, FRAMES_MAX);
}

static struct unwinder {
	const char *name;
	size_t (*run)(ucontext_t *context);
	bool is_there;
} unwinders[] = {
	{ "ours", ours, true },
	{ "unw_backtrace", libunwinds_backtrace, false },
	{ "unw_step", libunwinds_steps, false },
	{ "backtrace", glibcs_backtrace, true },
};

static void open_libunwind(void)
{
	void *library = dlopen("libunwind.so.8", RTLD_NOW | RTLD_LOCAL);

	if (!library)
		return;
	*(void **)&libunwind.init = dlsym(library, "_ULx86_64_init_local2");
	*(void **)&libunwind.step = dlsym(library, "_ULx86_64_step");
	*(void **)&libunwind.get_reg = dlsym(library, "_ULx86_64_get_reg");
	*(void **)&libunwind.backtrace = dlsym(library, "unw_backtrace");
	unwinders[1].is_there = libunwind.backtrace;
	unwinders[2].is_there = libunwind.init && libunwind.step && libunwind.get_reg;
}

/* --- what is timed --- */

static void print_result(
	const char *what, const struct unwinder *u, double ns, double mean, size_t frames)
{
	printf("%s %s %.0f %.0f %zu\n", what, u->name, ns, mean, frames);
}

static NOINLINE double run_many(const struct unwinder *u, ucontext_t *context, unsigned count)
{
	const uint64_t start = clock_ns(CLOCK_MONOTONIC);

	for (unsigned i = 0; i < count; i++)
		u->run(context);
	return (double)(clock_ns(CLOCK_MONOTONIC) - start) / count;
}

/* Rounds of all unwinders in turn, so that a disturbed second hits them all. */
static void measure_warm(ucontext_t *context)
{
	double best[ARRAY_SIZE(unwinders)], sum[ARRAY_SIZE(unwinders)] = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(unwinders); i++)
		best[i] = unwinders[i].is_there ? run_many(&unwinders[i], context, 500) : 0;
	for (unsigned round = 0; round < warm_rounds; round++)
		for (size_t i = 0; i < ARRAY_SIZE(unwinders); i++) {
			double ns;

			if (!unwinders[i].is_there)
				continue;
			ns = run_many(&unwinders[i], context, (unsigned)(ROUND_NS / best[i]) + 1);
			best[i] = ns < best[i] ? ns : best[i];
			sum[i] += ns;
		}
	for (size_t i = 0; i < ARRAY_SIZE(unwinders); i++)
		if (unwinders[i].is_there)
			print_result("warm", &unwinders[i], best[i], sum[i] / warm_rounds,
				unwinders[i].run(context));
}

static void flush_caches(void)
{
	for (size_t i = 0; i < FLUSH_BYTES; i += 64)
		other_memory[i]++;
}

static NOINLINE double run_once(const struct unwinder *u, ucontext_t *context)
{
	unsigned ignored;
	uint64_t start;

	_mm_lfence();
	start = __rdtsc();
	u->run(context);
	return (double)(__rdtscp(&ignored) - start) * ns_per_cycle;
}

static void measure_cold(ucontext_t *context)
{
	for (size_t i = 0; i < ARRAY_SIZE(unwinders); i++) {
		double ns[cold_calls], sum = 0;

		if (!unwinders[i].is_there)
			continue;
		for (unsigned call = 0; call < cold_calls; call++) {
			flush_caches();
			sum += ns[call] = run_once(&unwinders[i], context);
		}
		print_result("cold", &unwinders[i], median_of(ns, cold_calls), sum / cold_calls,
			unwinders[i].run(context));
	}
}

/* --- where it is timed: below the deep stack --- */

struct call {
	void (*measure)(ucontext_t *context);
	const struct unwinder *unwinder;
	size_t frames;
	double ns;
};

static void at_leaf(void *argument)
{
	struct call *call = argument;
	ucontext_t context;

	getcontext(&context);
	if (call->measure) {
		call->measure(&context);
	} else {
		call->ns = run_once(call->unwinder, &context);
		call->frames = call->unwinder->run(&context);
	}
}

static void *on_new_thread(void *argument)
{
	threads_set_own_stack(threads_created_stack((uint64_t)8 << 20));
	deep_call(0, depth, at_leaf, argument);
	return NULL;
}

static void measure_first(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(unwinders); i++) {
		struct call call = { .unwinder = &unwinders[i] };
		double ns[thread_count], sum = 0;
		pthread_t thread;

		if (!unwinders[i].is_there)
			continue;
		for (unsigned t = 0; t < thread_count; t++) {
			if (pthread_create(&thread, NULL, on_new_thread, &call) != 0)
				exit(1);
			pthread_join(thread, NULL);
			sum += ns[t] = call.ns;
		}
		print_result("first", &unwinders[i], median_of(ns, thread_count),
			sum / thread_count, call.frames);
	}
}

#define DEEP_FRAMES 100000
#define DEEP_STACK_BYTES ((uint64_t)64 << 20)

static void measure_deep(ucontext_t *context)
{
	const double first = run_once(&unwinders[0], context);
	double ns = 0;

	for (unsigned round = 0; round < warm_rounds; round++) {
		const double now = run_many(&unwinders[0], context, 200);

		ns = round == 0 || now < ns ? now : ns;
	}
	print_result("deep", &unwinders[0], ns, first, DEEP_FRAMES);
}

static void *below_many_frames(void *argument)
{
	struct call call = { .measure = measure_deep };

	threads_set_own_stack(threads_created_stack(DEEP_STACK_BYTES));
	deep_call(0, DEEP_FRAMES, at_leaf, &call);
	return argument;
}

static void measure_on_deep_stack(void)
{
	pthread_attr_t attributes;
	pthread_t thread;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, DEEP_STACK_BYTES);
	if (pthread_create(&thread, &attributes, below_many_frames, NULL) != 0)
		exit(1);
	pthread_join(thread, NULL);
}

/* --- setting up --- */

static void measure_clock(void)
{
	const uint64_t start = clock_ns(CLOCK_MONOTONIC), cycles = __rdtsc();

	usleep(50000);
	ns_per_cycle = (double)(clock_ns(CLOCK_MONOTONIC) - start) / (double)(__rdtsc() - cycles);
}

/* As agent.c starts, without the sampling. */
static void start_agent(void)
{
	static struct spool_writer spool;
	char folder[] = "/dev/shm/plugprof-bench.XXXXXX", path[200];
	const struct spool_identity identity = { .period_ns = 10101010 };

	real_start();
	if (!mkdtemp(folder) || spool_create(&spool, folder, &identity, path, sizeof(path)) < 0) {
		fputs("cannot make a spool in /dev/shm\n", stderr);
		exit(1);
	}
	unlink(path);
	rmdir(folder);
	modules_start(&spool);
	threads_set_own_stack(threads_main_stack());
}

static unsigned number(const char *text)
{
	return (unsigned)strtoul(text, NULL, 10);
}

int main(int argc, char **argv)
{
	struct call call = { .unwinder = &unwinders[0] };

	if (argc != 5)
		return 2;
	deep_call = deep_open(argv[1]);
	warm_rounds = number(argv[2]);
	cold_calls = number(argv[3]);
	thread_count = number(argv[4]);
	open_libunwind();
	start_agent();
	measure_clock();
	other_memory = malloc(FLUSH_BYTES);
	memset(other_memory, 1, FLUSH_BYTES);

	deep_call(0, depth, at_leaf, &call);
	depth += FRAMES - (unsigned)call.frames;
	call.measure = measure_warm;
	deep_call(0, depth, at_leaf, &call);
	call.measure = measure_cold;
	deep_call(0, depth, at_leaf, &call);
	measure_first();
	measure_on_deep_stack();
	return 0;
}
