#define _GNU_SOURCE
#include "live_shapes.h"

#include <alloca.h>
#include <ctype.h>
#include <search.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>
#include <wchar.h>

#include "base/compiler.h"
#include "base/hash.h"

#define KEPT __attribute__((noinline, noclone))

static KEPT uint64_t grind(uint64_t seed)
{
	for (int i = 0; i < 2000; i++)
		seed = hash_mix(seed + 1);
	return seed;
}

/* --- libc that calls back, libc that is assembler --- */

static int compare(const void *a, const void *b)
{
	const uint64_t left = hash_mix(*(const uint64_t *)a);
	const uint64_t right = hash_mix(*(const uint64_t *)b);

	return left < right ? -1 : left > right;
}

KEPT uint64_t shape_sort(uint64_t seed)
{
	uint64_t values[500];

	for (size_t i = 0; i < ARRAY_SIZE(values); i++)
		values[i] = seed = hash_mix(seed + i);
	qsort(values, ARRAY_SIZE(values), sizeof(values[0]), compare);
	return values[0];
}

KEPT uint64_t shape_strings(uint64_t seed)
{
	static char from[40000], to[40000];

	memset(from, (int)(1 + seed % 100), sizeof(from) - 1);
	memcpy(to, from, sizeof(to));
	return strlen(to) + (uint64_t)memcmp(from, to, sizeof(to)) + (memchr(to, 0, 1) != NULL);
}

KEPT uint64_t shape_format(uint64_t seed)
{
	char text[200];

	for (int i = 0; i < 50; i++)
		snprintf(text, sizeof(text), "%zu %#lx %g %s", (size_t)i, (long)seed,
			(double)seed / 3, "text");
	return (uint64_t)text[0];
}

/* --- frames --- */

static KEPT uint64_t changing_frame(uint64_t seed)
{
	char *memory = alloca(seed % 1000 + 1);

	memset(memory, 1, seed % 1000 + 1);
	return grind(seed) + (uint64_t)memory[seed % 1000];
}

static KEPT uint64_t realigned_frame(uint64_t seed)
{
	uint64_t values[16] __attribute__((aligned(64)));

	for (size_t i = 0; i < ARRAY_SIZE(values); i++)
		values[i] = changing_frame(seed + i);
	return values[seed % ARRAY_SIZE(values)];
}

/* Six arguments are in registers, so the realigned frame also has to find the others. */
static KEPT uint64_t both(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e,
	uint64_t f, uint64_t g, uint64_t h)
{
	char *memory = alloca(a % 100 + 1);
	uint64_t values[8] __attribute__((aligned(64))) = { a, b, c, d, e, f, g, h };

	memory[a % 100] = 1;
	return realigned_frame(values[a % 8]) + (uint64_t)memory[a % 100] + g + h;
}

KEPT uint64_t shape_alloca(uint64_t seed)
{
	return both(seed, 2, 3, 4, 5, 6, 7, 8) + 1;
}

static KEPT uint64_t recurse(uint64_t seed, int depth)
{
	return depth ? recurse(hash_mix(seed), depth - 1) + seed : grind(seed);
}

KEPT uint64_t shape_recursion(uint64_t seed)
{
	return recurse(seed, 150) + 1;
}

/* rbp is a number here, and the stack moves between any two instructions. */
__asm__(".text\n"
	".type hand_made, @function\n"
	"hand_made:\n"
	".cfi_startproc\n"
	"	push %rbp\n"
	"	.cfi_adjust_cfa_offset 8\n"
	"	.cfi_rel_offset rbp, 0\n"
	"	push %rbx\n"
	"	.cfi_adjust_cfa_offset 8\n"
	"	.cfi_rel_offset rbx, 0\n"
	"	mov $3000, %ebx\n"
	"	xor %ebp, %ebp\n"
	"1:	push %rdi\n"
	"	.cfi_adjust_cfa_offset 8\n"
	"	push %rdi\n"
	"	.cfi_adjust_cfa_offset 8\n"
	"	add %rdi, %rbp\n"
	"	pop %rdi\n"
	"	.cfi_adjust_cfa_offset -8\n"
	"	call 2f\n"
	"	pop %rdi\n"
	"	.cfi_adjust_cfa_offset -8\n"
	"	dec %ebx\n"
	"	jnz 1b\n"
	"	mov %rbp, %rax\n"
	"	.cfi_remember_state\n"
	"	pop %rbx\n"
	"	.cfi_adjust_cfa_offset -8\n"
	"	.cfi_restore rbx\n"
	"	pop %rbp\n"
	"	.cfi_adjust_cfa_offset -8\n"
	"	.cfi_restore rbp\n"
	"	ret\n"
	"	.cfi_restore_state\n"
	".cfi_endproc\n"
	"2:\n"
	".cfi_startproc\n"
	"	xor %rbp, %rdi\n"
	"	imul $77, %rdi, %rdi\n"
	"	ret\n"
	".cfi_endproc\n"
	".size hand_made, . - hand_made\n");
uint64_t hand_made(uint64_t seed);

KEPT uint64_t shape_hand_made(uint64_t seed)
{
	return hand_made(seed) + 1;
}

/* --- other ways than call and return --- */

static jmp_buf back;

static KEPT uint64_t leap(uint64_t seed, int depth)
{
	if (depth > 0)
		seed = leap(grind(seed), depth - 1) + 1;
	if (depth < 100)
		longjmp(back, 1);
	return seed;
}

KEPT uint64_t shape_jump(uint64_t seed)
{
	if (setjmp(back) == 0)
		leap(seed, 5);
	return grind(seed);
}

static ucontext_t outside, inside;
static uint64_t coroutine_value;

static KEPT void coroutine(void)
{
	for (;;) {
		coroutine_value = realigned_frame(coroutine_value);
		swapcontext(&inside, &outside);
	}
}

KEPT uint64_t shape_coroutine(uint64_t seed)
{
	static char stack[65536 * 4];

	if (!inside.uc_stack.ss_sp) {
		getcontext(&inside);
		inside.uc_stack.ss_sp = stack;
		inside.uc_stack.ss_size = sizeof(stack);
		makecontext(&inside, coroutine, 0);
	}
	coroutine_value = seed;
	swapcontext(&outside, &inside);
	return coroutine_value;
}

static volatile uint64_t handler_value;

static void on_signal(int number)
{
	handler_value = realigned_frame(handler_value);
}

static KEPT uint64_t interrupted(uint64_t seed)
{
	handler_value = seed;
	raise(SIGUSR1);
	return grind(handler_value);
}

KEPT uint64_t shape_handler(uint64_t seed)
{
	static char stack[65536 * 4];
	const stack_t alternate = { .ss_sp = stack, .ss_size = sizeof(stack) };
	const struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_ONSTACK };
	uint64_t value;
	stack_t old;

	sigaltstack(&alternate, &old);
	sigaction(SIGUSR1, &action, NULL);
	value = interrupted(seed);
	sigaltstack(&old, NULL);
	return value;
}

KEPT uint64_t shape_wait(uint64_t seed)
{
	const struct timespec a_moment = { .tv_nsec = 100000 };

	nanosleep(&a_moment, NULL);
	return (uint64_t)getppid() + seed;
}

KEPT uint64_t shape_first_calls(uint64_t seed)
{
	char text[40] = "first calls, one two three";
	char *rest = text;
	wchar_t wide[40];

	seed += strspn(text, "first") + strcspn(text, ",") + (strpbrk(text, "o") != NULL);
	seed += (uint64_t)(strsep(&rest, ",") - text) + (uint64_t)strtol("12", NULL, 10);
	seed += (strcasestr(text, "FIR") != NULL) + mbstowcs(wide, text, 40) + wcslen(wide);
	seed += (uint64_t)div(7, 2).quot + (uint64_t)strverscmp("a1", "a2") + (uint64_t)ffsl(8);
	seed += (uint64_t)strtod("1.5", NULL) + (uint64_t)isatty(0) + (uint64_t)getpgrp();
	strfry(text);
	memfrob(text, sizeof(text));
	swab(text, text + 20, 10);
	return seed + (uint64_t)l64a(5)[0] + (uint64_t)a64l("9") +
	       (lfind(&seed, &seed, &(size_t){1}, sizeof(seed), compare) != NULL);
}
