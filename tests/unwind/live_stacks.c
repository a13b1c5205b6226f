/*
 * The agent's stacks against libunwind's, from the same interrupted registers.
 *
 *     live_stacks [--samples N] [--list N] [FOLDER]
 *
 * FOLDER ($SAMPLES) holds the sample plugins.  While their code and live_shapes.c run, a timer
 * interrupts at random moments, and now and then the processor is made to stop at each of the
 * next hundred instructions.  The handler walks the stack by unwind_capture() and by libunwind.
 * Where the two differ, libgcc's unwinder is asked as well: when libgcc and libunwind agree
 * against us, we are wrong, unless both just stop.  Libunwind is opened with RTLD_LOCAL, lest it
 * take libgcc's place.
 *
 * Exit status 1 when one sample in a thousand is one where we are wrong, when one in a hundred
 * differs from libunwind's, or when there are fewer than N.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <getopt.h>
#include <inttypes.h>
#include <libunwind.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <unwind.h>

#include "agent/modules.h"
#include "agent/threads.h"
#include "agent/unwind.h"
#include "agent_here.h"
#include "base/compiler.h"
#include "base/hash.h"
#include "live_shapes.h"

#define DEPTH SPOOL_FRAMES_PER_STACK_MAX
#define BURST 100 /* instructions stopped at one after the other */
#define KEPT_MAX 4000 /* differing samples kept for the report */
#define KEPT_DEPTH 48

/* libunwind and libgcc, as loaded. */
static int (*lu_init)(unw_cursor_t *, unw_context_t *, int);
static int (*lu_step)(unw_cursor_t *);
static int (*lu_get_reg)(unw_cursor_t *, int, unw_word_t *);
static int (*lu_is_signal_frame)(unw_cursor_t *);
static _Unwind_Reason_Code (*gcc_backtrace)(_Unwind_Trace_Fn, void *);
static uintptr_t (*gcc_get_ip)(struct _Unwind_Context *, int *);

struct stack {
	spool_frame frames[DEPTH];
	size_t count;
};

enum verdict { AGREE, OURS_WRONG, LIBUNWIND_WRONG, OURS_GOES_ON, ALL_DIFFER, VERDICTS };

static const char *const verdict_names[VERDICTS] = {
	[AGREE] = "agree",
	[OURS_WRONG] = "libgcc agrees with libunwind",
	[LIBUNWIND_WRONG] = "libgcc agrees with us",
	[OURS_GOES_ON] = "only ours has a root, or says that it has none",
	[ALL_DIFFER] = "three answers",
};

struct kept {
	const char *shape;
	enum verdict verdict;
	size_t at; /* the first frame that differs */
	size_t counts[3];
	spool_frame frames[3][KEPT_DEPTH]; /* ours, libunwind's, libgcc's */
};

static struct {
	uint64_t wanted, list;
} options = { 10000, 10 };

static struct {
	const char *shape;
	uint64_t samples[VERDICTS]; /* of the shape */
	uint64_t truncated;
} now;
static uint64_t totals[VERDICTS], frame_total;
static struct kept kept[KEPT_MAX];
static size_t kept_count;

static timer_t timer;
static bool timer_runs;
static int burst; /* instructions left of one */

/* --- the three stacks of one sample --- */

/* Nothing called from before IP: it is the start of a signal's trampoline or of a coroutine's
 * root.  The agent shows these as they are. */
static bool is_entered(uint64_t ip)
{
	static struct cfi_machine machine;
	struct module_map *map = modules_enter();
	const struct module_span *span = module_map_find(map, ip);
	bool is = false;

	if (span) {
		const struct module_instance *instance = module_instance_at(span->instance);
		const struct cfi_table *table = &instance->module->unwind;
		const uint64_t vaddr = ip - instance->bias;

		is = cfi_find_row(table, vaddr - 1, &machine) ?
			machine.is_signal_frame :
			cfi_find_row(table, vaddr, &machine) && machine.start == vaddr;
	}
	modules_leave(map);
	return is;
}

static void add_frame(struct stack *stack, uint64_t ip, bool is_exact)
{
	if (stack->count < DEPTH)
		stack->frames[stack->count++] =
			agent_here_frame(is_exact || is_entered(ip) ? ip : ip - 1);
}

static void take_ours(const ucontext_t *context, struct stack *stack)
{
	static struct unwind_scratch scratch;

	unwind_registers(context, &scratch.registers);
	stack->count = unwind_capture(&scratch, threads_own_stack());
	memcpy(stack->frames, scratch.frames, stack->count * sizeof(stack->frames[0]));
}

static void take_libunwinds(ucontext_t *context, struct stack *stack)
{
	bool is_exact = true;
	unw_cursor_t cursor;
	unw_word_t ip;
	int step;

	stack->count = 0;
	if (lu_init(&cursor, (unw_context_t *)context, UNW_INIT_SIGNAL_FRAME) < 0)
		return;
	do {
		if (lu_get_reg(&cursor, UNW_REG_IP, &ip) < 0 || ip == 0)
			break;
		add_frame(stack, ip, is_exact);
		step = lu_step(&cursor);
		/* Of the frame a step has come to it says whether a signal interrupted it. */
		is_exact = lu_is_signal_frame(&cursor) > 0;
	} while (stack->count < DEPTH && step > 0);
}

struct gcc_walk {
	struct stack *stack;
	uint64_t interrupted_pc;
	bool is_past_handler;
};

static _Unwind_Reason_Code take_one_of_libgccs(struct _Unwind_Context *context, void *argument)
{
	struct gcc_walk *walk = argument;
	int is_exact = 0;
	uint64_t ip = gcc_get_ip(context, &is_exact);

	if (is_exact && ip == walk->interrupted_pc)
		walk->is_past_handler = true;
	if (walk->is_past_handler && ip)
		add_frame(walk->stack, ip, is_exact);
	return _URC_NO_REASON;
}

/* It can only start here and pass through the handler's own frames. */
static void take_libgccs(const ucontext_t *context, struct stack *stack)
{
	struct gcc_walk walk = { .stack = stack,
		.interrupted_pc = (uint64_t)context->uc_mcontext.gregs[REG_RIP] };

	stack->count = 0;
	gcc_backtrace(take_one_of_libgccs, &walk);
}

static bool equal(const struct stack *a, const struct stack *b)
{
	return a->count == b->count &&
		memcmp(a->frames, b->frames, a->count * sizeof(a->frames[0])) == 0;
}

/* OTHER is the start of OURS, which then reaches the root, or says why it cannot where OTHER
 * has lost itself too. */
static bool goes_on(const struct stack *ours, const struct stack *other)
{
	const bool has_note =
		spool_frame_module(ours->frames[ours->count - 1]) == SPOOL_MODULE_NOTE;

	return other->count > 0 && other->count < ours->count &&
		memcmp(ours->frames, other->frames, other->count * sizeof(ours->frames[0])) == 0 &&
		(!has_note || spool_frame_module(other->frames[other->count - 1]) == 0);
}

static enum verdict judge(const struct stack *ours, const struct stack *libunwinds,
	const ucontext_t *context, struct stack *libgccs)
{
	libgccs->count = 0;
	if (equal(ours, libunwinds))
		return AGREE;
	take_libgccs(context, libgccs);
	if (equal(ours, libgccs))
		return LIBUNWIND_WRONG;
	if (goes_on(ours, libunwinds) && goes_on(ours, libgccs))
		return OURS_GOES_ON;
	return equal(libunwinds, libgccs) ? OURS_WRONG : ALL_DIFFER;
}

static void keep(enum verdict verdict, const struct stack *stacks)
{
	struct kept *k = &kept[kept_count];

	if (kept_count == KEPT_MAX)
		return;
	kept_count++;
	k->shape = now.shape;
	k->verdict = verdict;
	for (k->at = 0; k->at < stacks[0].count && k->at < stacks[1].count &&
		stacks[0].frames[k->at] == stacks[1].frames[k->at];)
		k->at++;
	for (int i = 0; i < 3; i++) {
		k->counts[i] = stacks[i].count;
		memcpy(k->frames[i], stacks[i].frames, sizeof(k->frames[i]));
	}
}

static void take_sample(ucontext_t *context)
{
	static struct stack stacks[3];
	enum verdict verdict;

	take_ours(context, &stacks[0]);
	take_libunwinds(context, &stacks[1]);
	verdict = judge(&stacks[0], &stacks[1], context, &stacks[2]);
	now.samples[verdict]++;
	frame_total += stacks[0].count;
	now.truncated += spool_frame_module(stacks[0].frames[stacks[0].count - 1]) ==
		SPOOL_MODULE_NOTE;
	if (verdict != AGREE)
		keep(verdict, stacks);
}

/* --- when --- */

static uint64_t random_below(uint64_t bound)
{
	static uint64_t state;

	return hash_mix(++state) % bound;
}

static void arm(void)
{
	const struct itimerspec soon = { .it_value.tv_nsec = 1000 + (long)random_below(200000) };

	timer_settime(timer, 0, &soon, NULL);
}

#define TRAP_FLAG 0x100

static void on_tick(int number, siginfo_t *info, void *argument)
{
	ucontext_t *context = argument;

	if (!timer_runs)
		return;
	take_sample(context);
	if (random_below(50) == 0) {
		burst = BURST;
		context->uc_mcontext.gregs[REG_EFL] |= TRAP_FLAG;
	} else {
		arm();
	}
}

static void on_instruction(int number, siginfo_t *info, void *argument)
{
	ucontext_t *context = argument;

	take_sample(context);
	if (--burst > 0)
		return;
	context->uc_mcontext.gregs[REG_EFL] &= ~(greg_t)TRAP_FLAG;
	if (timer_runs)
		arm();
}

static void set_handler(int number, void (*handler)(int, siginfo_t *, void *))
{
	struct sigaction action = { .sa_sigaction = handler,
		.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART };

	sigfillset(&action.sa_mask);
	sigaction(number, &action, NULL);
}

static void start_ticks(void)
{
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGRTMIN + 3 };

	event._sigev_un._tid = gettid();
	timer_create(CLOCK_MONOTONIC, &event, &timer);
	timer_runs = true;
	arm();
}

static void stop_ticks(void)
{
	timer_runs = false;
	timer_delete(timer);
}

/* The next COUNT instructions stop, from the return of this on. */
void step(void);
__asm__(".text\n"
	".type step, @function\n"
	"step:\n"
	".cfi_startproc\n"
	"	pushf\n"
	"	.cfi_adjust_cfa_offset 8\n"
	"	orl $0x100, (%rsp)\n"
	"	popf\n"
	"	.cfi_adjust_cfa_offset -8\n"
	"	ret\n"
	".cfi_endproc\n"
	".size step, . - step\n");

/* --- what runs --- */

struct shape {
	const char *name;
	uint64_t (*run)(uint64_t seed); /* NULL: a plugin's */
	bool in_thread;
};

static const struct shape shapes[] = {
	{ "plugin_codec.so", NULL, false },
	{ "plugin_nofp.so", NULL, false },
	{ "plugin_shapes.so", NULL, false },
	{ "plugin_chain.so", NULL, true },
	{ "plugin_thrower.so", NULL, true },
	{ "plugin_heap.so", NULL, false },
	{ "sort", shape_sort, false },
	{ "strings", shape_strings, false },
	{ "alloca", shape_alloca, true },
	{ "recursion", shape_recursion, false },
	{ "jump", shape_jump, false },
	{ "coroutine", shape_coroutine, false },
	{ "handler", shape_handler, false },
	{ "wait", shape_wait, true },
	{ "format", shape_format, false },
	{ "hand made", shape_hand_made, false },
};

static const char *folder;
static uint64_t result; /* of all the work, so that none of it is left out */

/* The entry point a plugin has for the samples' host: samples/plugin.h. */
static uint64_t (*open_plugin(const char *name))(uint64_t)
{
	char path[4096];
	void *handle;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	handle = dlopen(path, RTLD_LAZY | RTLD_LOCAL);
	if (!handle) {
		fprintf(stderr, "live_stacks: %s\n", dlerror());
		exit(2);
	}
	return (uint64_t (*)(uint64_t))dlsym(handle, "plugin_run");
}

static uint64_t samples_of_shape(void)
{
	uint64_t sum = 0;

	for (int i = 0; i < VERDICTS; i++)
		sum += now.samples[i];
	return sum;
}

static void run(const struct shape *shape)
{
	uint64_t (*work)(uint64_t) = shape->run ? shape->run : open_plugin(shape->name);
	const uint64_t wanted = options.wanted / ARRAY_SIZE(shapes) + 1;

	start_ticks();
	while (samples_of_shape() < wanted)
		result += work(shape->run ? result : 1);
	stop_ticks();
}

static void *run_in_thread(void *argument)
{
	threads_set_own_stack(threads_created_stack((uint64_t)8 << 20));
	run(argument);
	return NULL;
}

static void report_shape(void)
{
	printf("%-18s %6" PRIu64 " samples, %" PRIu64 " differ, %" PRIu64 " without root\n",
		now.shape, samples_of_shape(), samples_of_shape() - now.samples[AGREE],
		now.truncated);
	for (int i = 0; i < VERDICTS; i++) {
		totals[i] += now.samples[i];
		now.samples[i] = 0;
	}
	now.truncated = 0;
}

static void run_shape(const struct shape *shape)
{
	pthread_t thread;

	now.shape = shape->name;
	if (shape->in_thread) {
		pthread_create(&thread, NULL, run_in_thread, (void *)shape);
		pthread_join(thread, NULL);
	} else {
		run(shape);
	}
	report_shape();
}

/* Every instruction of some calls through a PLT that is not bound yet. */
static void run_first_calls(void)
{
	now.shape = "first calls";
	burst = 20000;
	step();
	result += shape_first_calls(result);
	burst = 1;
	report_shape();
}

/* --- report --- */

static void print_frame(spool_frame frame)
{
	uint32_t id = spool_frame_module(frame);
	const struct module_instance *instance = NULL;
	Dl_info info;

	for (uint32_t i = 0; id && id != SPOOL_MODULE_NOTE && i < 1000 && !instance; i++)
		if (module_instance_at(i)->module && module_instance_at(i)->module->id == id)
			instance = module_instance_at(i);
	if (id == SPOOL_MODULE_NOTE)
		printf("  note %" PRIu64, spool_frame_vaddr(frame) >> 32);
	else if (instance && dladdr((void *)(spool_frame_vaddr(frame) + instance->bias), &info))
		printf("  %s+%#" PRIx64 "(%s)", strrchr(info.dli_fname, '/') + 1,
			spool_frame_vaddr(frame), info.dli_sname ? info.dli_sname : "?");
	else
		printf("  %u+%#" PRIx64, id, spool_frame_vaddr(frame));
}

/* The frames around the first that differs. */
static void print_difference(const struct kept *k)
{
	static const char *const names[] = { "ours", "libunwind", "libgcc" };
	const size_t first = k->at < 4 ? 0 : k->at - 4;

	printf("%s: %s, from frame %zu on\n", k->shape, verdict_names[k->verdict], k->at);
	for (int i = 0; i < 3; i++) {
		printf("  %-10s%3zu:", names[i], k->counts[i]);
		for (size_t n = first; n < k->counts[i] && n < first + 7 && n < KEPT_DEPTH; n++)
			print_frame(k->frames[i][n]);
		printf("\n");
	}
}

static bool same_kind(const struct kept *a, const struct kept *b)
{
	if (a->verdict != b->verdict || a->shape != b->shape)
		return false;
	if (a->at == 0 || b->at == 0 || a->at > KEPT_DEPTH || b->at > KEPT_DEPTH)
		return a->at == b->at;
	return a->frames[0][a->at - 1] == b->frames[0][b->at - 1];
}

/* Each kind once: the last common frame tells it. */
static void print_differences(void)
{
	size_t printed = 0;

	for (size_t i = 0; i < kept_count; i++) {
		size_t same = 0;
		bool is_first = true;

		for (size_t n = 0; n < kept_count; n++) {
			if (!same_kind(&kept[i], &kept[n]))
				continue;
			same++;
			is_first &= n >= i;
		}
		if (!is_first || printed++ >= options.list)
			continue;
		printf("%zu times: ", same);
		print_difference(&kept[i]);
	}
}

static int report(void)
{
	uint64_t samples = 0;

	print_differences();
	for (int i = 0; i < VERDICTS; i++)
		samples += totals[i];
	printf("%" PRIu64 " samples of %.1f frames: %.3f %% as libunwind", samples,
		(double)frame_total / (double)samples,
		100.0 * (double)totals[AGREE] / (double)samples);
	for (int i = AGREE + 1; i < VERDICTS; i++)
		printf("; %" PRIu64 " %s", totals[i], verdict_names[i]);
	printf("\n");
	return samples < options.wanted || 1000 * totals[OURS_WRONG] > samples ||
			100 * (samples - totals[AGREE]) > samples ?
		EXIT_FAILURE :
		EXIT_SUCCESS;
}

/* --- start --- */

static void *need(void *library, const char *name)
{
	void *found = library ? dlsym(library, name) : NULL;

	if (!found) {
		fprintf(stderr, "live_stacks: %s: %s\n", name, dlerror());
		exit(77); /* automake: skipped */
	}
	return found;
}

static void find_the_others(void)
{
	void *libunwind = dlopen("libunwind.so.8", RTLD_NOW | RTLD_LOCAL);
	void *libgcc = dlopen("libgcc_s.so.1", RTLD_NOW | RTLD_LOCAL);

	*(void **)&lu_init = need(libunwind, "_ULx86_64_init_local2");
	*(void **)&lu_step = need(libunwind, "_ULx86_64_step");
	*(void **)&lu_get_reg = need(libunwind, "_ULx86_64_get_reg");
	*(void **)&lu_is_signal_frame = need(libunwind, "_ULx86_64_is_signal_frame");
	*(void **)&gcc_backtrace = need(libgcc, "_Unwind_Backtrace");
	*(void **)&gcc_get_ip = need(libgcc, "_Unwind_GetIPInfo");
}

static void usage(void)
{
	fputs("usage: live_stacks [--samples N] [--list N] [FOLDER]\n", stderr);
	exit(2);
}

int main(int argc, char **argv)
{
	const struct option table[] = {
		{ "samples", required_argument, NULL, 's' },
		{ "list", required_argument, NULL, 'l' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", table, NULL)) != -1) {
		if (c != 's' && c != 'l')
			usage();
		*(c == 's' ? &options.wanted : &options.list) = strtoull(optarg, NULL, 10);
	}
	folder = optind < argc ? argv[optind] : getenv("SAMPLES");
	if (!folder)
		usage();
	find_the_others();
	agent_here_start();
	set_handler(SIGRTMIN + 3, on_tick);
	set_handler(SIGTRAP, on_instruction);
	run_first_calls();
	for (size_t i = 0; i < ARRAY_SIZE(shapes); i++)
		run_shape(&shapes[i]);
	return report();
}
