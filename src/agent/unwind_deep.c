#include "agent/unwind_deep.h"

#include <string.h>
#include <x86intrin.h>

#include "agent/unwind_walk.h"
#include "base/compiler.h"
#include "base/hash.h"

/* In halves: so far every walk goes, that far one that finds nothing remembered. */
#define SHORT_MAX 12
#define LONG_MAX 4096
#define LONG_MAX_IN_FULL 256 /* where each step takes twenty times as long */
/* Long walks take at most one part of so many of the time. */
#define SHARE_OF_TIME 64

#define ROOT_FRAMES_MAX (2 * (size_t)DEEP_HALF)

struct root_frame {
	uint64_t place, pc; /* the word that holds PC, where its callee returns to */
	spool_frame frame; /* 0: of the agent, which does not show */
};

/* The outermost frames of one stack, as a long walk found them.  A thread that comes while another
 * (or itself, before a signal) is here does without. */
static struct deep_root {
	uint64_t stack_high; /* whose; 0: of stacks that are not a thread's own */
	uint64_t epoch;
	uint64_t rest_until_tsc; /* no long walk before */
	size_t count; /* 0: nothing is known */
	struct root_frame frames[ROOT_FRAMES_MAX]; /* outermost last */
} roots[16];
/* Apart from them, for forks to touch one page. */
static bool is_taken[ARRAY_SIZE(roots)];

static struct deep_root *take_root(uint64_t stack_high)
{
	const size_t index = hash_mix(stack_high) % ARRAY_SIZE(roots);
	struct deep_root *root = &roots[index];

	if (__atomic_exchange_n(&is_taken[index], true, __ATOMIC_ACQUIRE))
		return NULL;
	if (root->stack_high != stack_high) {
		root->stack_high = stack_high;
		root->count = 0;
	}
	return root;
}

static void give_back(struct deep_root *root)
{
	__atomic_store_n(&is_taken[root - roots], false, __ATOMIC_RELEASE);
}

/* The end of the thread's own stack when the walk is on it; else 0. */
static uint64_t own_stack_high(const struct walk *w)
{
	const struct stack_range *readable = &w->scratch->memory.readable;

	return w->sp >= readable->low && w->sp < readable->high ? readable->high : 0;
}

/* Nothing has returned to these frames since. */
static bool is_unchanged(const struct deep_root *root, const struct walk *w)
{
	if (root->count == 0 || root->epoch != w->epoch || root->frames[0].place < w->sp)
		return false;
	for (size_t i = 0; i < root->count; i++) {
		uint64_t word;

		memcpy(&word, (const void *)root->frames[i].place, sizeof(word));
		if (word != root->frames[i].pc)
			return false;
	}
	return true;
}

/* Of the frames from DEEP_FIRST_HALF on, the outermost. */
static void keep_root(struct walk *w)
{
	spool_frame *frames = w->scratch->frames;
	const size_t count = w->count - DEEP_FIRST_HALF;

	frames[DEEP_LEAVES] = spool_frame_note(SPOOL_NOTE_LEFT_OUT, 0);
	if (count <= DEEP_ROOTS)
		return;
	memmove(frames + DEEP_FIRST_HALF, frames + w->count - DEEP_ROOTS,
		DEEP_ROOTS * sizeof(*frames));
	w->count = DEEP_FIRST_HALF + DEEP_ROOTS;
}

static void write_root(struct walk *w, const struct deep_root *root)
{
	w->count = DEEP_FIRST_HALF;
	for (size_t i = 0; i < root->count; i++)
		if (root->frames[i].frame)
			w->scratch->frames[w->count++] = root->frames[i].frame;
	keep_root(w);
	w->scratch->deep.is_remembered = true;
}

static bool end_too_deep(struct walk *w)
{
	w->note = SPOOL_NOTE_TOO_DEEP;
	w->note_module = 0;
	if (!w->tree)
		w->count = DEEP_LEAVES;
	return false;
}

/* The walk is no longer a short one: shall it go on to the root? */
static bool becomes_long(struct walk *w)
{
	struct deep_walk *deep = &w->scratch->deep;
	struct deep_root *root;

	deep->long_stack_high = own_stack_high(w);
	root = take_root(deep->long_stack_high);
	if (!root)
		return end_too_deep(w);
	deep->long_since_tsc = __rdtsc();
	if (is_unchanged(root, w))
		write_root(w, root);
	else if (deep->long_since_tsc < root->rest_until_tsc)
		end_too_deep(w);
	give_back(root);
	return !deep->is_remembered && !w->note;
}

static void begin_half(struct walk *w)
{
	struct deep_half *half = &w->scratch->deep.halves[w->count != DEEP_FIRST_HALF];

	half->pc = w->pc;
	half->sp = w->sp;
	half->rbp = w->rbp;
	half->pc_is_exact = w->pc_is_exact;
	half->all_registers = w->all_registers;
	half->registers = w->scratch->registers;
	w->limit = w->count + DEEP_HALF;
}

void deep_begin(struct walk *w)
{
	w->scratch->deep.begun = 0;
	w->limit = DEEP_FIRST_HALF;
}

bool deep_goes_on(struct walk *w)
{
	struct deep_walk *deep = &w->scratch->deep;

	if (w->tree)
		return end_too_deep(w);
	if (deep->begun == 0)
		deep->is_second_time = deep->is_remembered = false;
	deep->begun++;
	if (deep->is_second_time ||
		deep->begun == (w->in_full ? LONG_MAX_IN_FULL : LONG_MAX))
		return end_too_deep(w);
	if (deep->begun == SHORT_MAX && !becomes_long(w))
		return false;
	if (w->count == DEEP_FIRST_HALF + 2 * DEEP_HALF)
		w->count = DEEP_FIRST_HALF;
	begin_half(w);
	return true;
}

bool deep_steps_back(struct walk *w)
{
	struct deep_walk *deep = &w->scratch->deep;
	const bool is_lower = w->limit == DEEP_FIRST_HALF + DEEP_HALF;
	const struct deep_half *older = &deep->halves[is_lower];

	if (deep->begun <= 2 || deep->is_remembered)
		return false;
	deep->root = NULL;
	if (w->note == SPOOL_NOTE_TOO_DEEP) {
		deep_end(w);
		return false;
	}
	w->pc = older->pc;
	w->sp = older->sp;
	w->rbp = older->rbp;
	w->pc_is_exact = older->pc_is_exact;
	w->all_registers = older->all_registers;
	w->scratch->registers = older->registers;
	w->switches = 0;
	w->note = 0;
	w->count = DEEP_FIRST_HALF;
	w->limit = SPOOL_FRAMES_PER_STACK_MAX - 1;
	deep->is_second_time = true;
	if (deep->begun > SHORT_MAX && own_stack_high(w))
		deep->root = take_root(own_stack_high(w));
	if (deep->root)
		deep->root->count = 0;
	return true;
}

void deep_note_frame(struct walk *w, uint64_t pc, uint64_t sp, spool_frame frame)
{
	const struct stack_range *readable = &w->scratch->memory.readable;
	const uint64_t place = sp - 8;
	struct deep_root *root = w->scratch->deep.root;
	uint64_t word;

	if (!root)
		return;
	if (place >= readable->low && place < readable->high && root->count < ROOT_FRAMES_MAX) {
		memcpy(&word, (const void *)place, sizeof(word));
		if (word == pc) {
			root->frames[root->count++] = (struct root_frame){ place, pc, frame };
			return;
		}
	}
	root->count = 0;
	give_back(root);
	w->scratch->deep.root = NULL;
}

/* The next long walk may come when this one has had its share of the time. */
static void rest(const struct deep_walk *deep)
{
	struct deep_root *root = take_root(deep->long_stack_high);
	const uint64_t now = __rdtsc();

	if (!root)
		return;
	root->rest_until_tsc = now + SHARE_OF_TIME * (now - deep->long_since_tsc);
	give_back(root);
}

void deep_end(struct walk *w)
{
	struct deep_walk *deep = &w->scratch->deep;

	if (deep->root) {
		deep->root->epoch = w->epoch;
		if (w->note)
			deep->root->count = 0;
		give_back(deep->root);
	}
	if (deep->begun > SHORT_MAX)
		rest(deep);
	if (w->note != SPOOL_NOTE_TOO_DEEP)
		keep_root(w);
}

void deep_restart_in_child(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(roots); i++)
		if (is_taken[i])
			is_taken[i] = false;
}
