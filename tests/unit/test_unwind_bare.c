/*
 * Stacks out of code without unwind tables, and out of an exception's last steps, at every
 * instruction.
 *
 * Each function here runs step by step (the trap flag), and at each step its stack is walked: it
 * must be that of a function with tables that was called from the same place.  The memory below the
 * stack is full of return addresses from before, as where other functions have run.
 */
#define _GNU_SOURCE
#include <check.h>
#include <signal.h>
#include <string.h>
#include <ucontext.h>

#include "agent/threads.h"
#include "agent/unwind.h"
#include "base/compiler.h"
#include "run_suite.h"
#include "unwind/agent_here.h"

__asm__(".text\n"
	"bare_begin:\n"
	"bare_leaf:\n"
	"	xor %eax, %eax\n	vpxor %xmm0, %xmm0, %xmm0\n	inc %eax\n	ret\n"

	/* As x86inc.asm pushes them: rbp is a variable then. */
	"bare_pushes:\n"
	"	push %rbx\n	push %rbp\n	push %r12\n	push %r15\n"
	"	mov $3, %ebp\n"
	"1:	lea (%rax, %rbp, 8), %rbx\n	dec %ebp\n	jnz 1b\n"
	"	pop %r15\n	pop %r12\n	pop %rbp\n	pop %rbx\n	ret\n"

	"bare_frame:\n"
	"	sub $0x1a8, %rsp\n"
	"	mov %rax, 0x20(%rsp)\n	mov $2, %ecx\n"
	"1:	dec %ecx\n	jg 1b\n"
	"	add $0x1a8, %rsp\n	ret\n"

	/* An aligned frame that keeps the old rsp in itself; AVX code of x264, dav1d. */
	"bare_aligned:\n"
	"	push %rbx\n	push %rbp\n"
	"	mov %rsp, %rax\n	sub $0x1e0, %rsp\n	and $-32, %rsp\n"
	"	mov %rax, 0x1c8(%rsp)\n"
	"	mov $0x77, %ebp\n	mov $2, %ecx\n"
	"1:	vpxor %ymm1, %ymm1, %ymm1\n	dec %ecx\n	jnz 1b\n"
	"	vzeroupper\n"
	"	mov 0x1c8(%rsp), %rsp\n	pop %rbp\n	pop %rbx\n	ret\n"

	"bare_framed:\n"
	"	push %rbp\n	mov %rsp, %rbp\n	sub $64, %rsp\n	and $-64, %rsp\n"
	"	nop\n	leave\n	ret\n"

	"bare_framed_with_registers:\n"
	"	push %rbp\n	mov %rsp, %rbp\n	push %rbx\n	push %r12\n"
	"	sub $0x88, %rsp\n"
	"	xor %ebx, %ebx\n"
	"	lea -16(%rbp), %rsp\n	pop %r12\n	pop %rbx\n	pop %rbp\n	ret\n"

	/* rbp saved by MOV, as perlasm has it. */
	"bare_moves:\n"
	"	sub $56, %rsp\n	mov %rbx, 40(%rsp)\n	mov %rbp, 48(%rsp)\n"
	"	mov $9, %rbp\n	mov %rbp, 8(%rsp)\n	xor %ebp, %ebp\n	mov 8(%rsp), %rbp\n"
	"	mov 48(%rsp), %rbp\n	mov 40(%rsp), %rbx\n	add $56, %rsp\n	ret\n"

	/* Tested on top, jumps back, leaves by one of two exits or another function's. */
	"bare_jumps:\n"
	"	push %rbp\n	mov $3, %ebp\n"
	"1:	test %ebp, %ebp\n	jz 2f\n	cmp $77, %ebp\n	je 3f\n"
	"	dec %ebp\n	jmp 1b\n"
	"3:	pop %rbp\n	ret\n"
	"2:	pop %rbp\n	jmp bare_leaf\n"

	"bare_outer:\n"
	"	push %rbp\n	push %rbx\n	sub $40, %rsp\n	mov $1, %ebp\n"
	"	call bare_inner\n"
	"	add $40, %rsp\n	pop %rbx\n	pop %rbp\n	ret\n"
	"bare_inner:\n"
	"	push %rbp\n	mov $2, %ebp\n	pop %rbp\n	ret\n"

	/* Where it goes on nobody can read. */
	"bare_table:\n"
	"	sub $0x108, %rsp\n	lea 1f(%rip), %rax\n	jmp *%rax\n"
	"	ud2\n"
	"1:	add $0x108, %rsp\n	ret\n"
	"bare_end:	nop\n"

	/* Has run before, and left its return address everywhere. */
	"others: .cfi_startproc\n"
	"	.cfi_def_cfa_offset 16\n	call *%rax\n"
	"others_back: nop\n"
	"	.cfi_endproc\n"

	/* What is called goes on at the pad.  With tables, which say of the place before the
	 * pad that there is no frame any more. */
	"has_pad: .cfi_startproc\n"
	"	sub $40, %rsp\n	.cfi_def_cfa_offset 48\n"
	"	call goes_to_pad\n"
	"	.cfi_remember_state\n"
	"	add $40, %rsp\n	.cfi_def_cfa_offset 8\n	ret\n"
	"	.cfi_restore_state\n"
	"pad:	add $40, %rsp\n	.cfi_def_cfa_offset 8\n	ret\n"
	"	.cfi_endproc\n");
extern const char bare_begin[], bare_end[];
void bare_leaf(void), bare_pushes(void), bare_frame(void), bare_aligned(void), bare_framed(void),
	bare_framed_with_registers(void), bare_moves(void), bare_jumps(void), bare_outer(void),
	bare_table(void), has_pad(void), goes_to_pad(void);
extern char pad[];

/* As _Unwind_RaiseException ends. */
#define PAD_SECTION "goes_to_pad_code"
extern const char __start_goes_to_pad_code[], __stop_goes_to_pad_code[];
__attribute__((noipa, optimize("no-omit-frame-pointer"), section(PAD_SECTION))) void goes_to_pad(
	void)
{
	__builtin_eh_return(0, pad);
}

/* UNKNOWN steps may end in a note: a frame that is half aligned, a jump to anywhere. */
static const struct fixture {
	const char *name;
	void (*function)(void);
	size_t steps_min, unknown_max;
} fixtures[] = {
	{ "bare_leaf", bare_leaf, 4, 0 },
	{ "bare_pushes", bare_pushes, 18, 0 },
	{ "bare_frame", bare_frame, 8, 0 },
	{ "bare_aligned", bare_aligned, 18, 4 },
	{ "bare_framed", bare_framed, 7, 0 },
	{ "bare_framed_with_registers", bare_framed_with_registers, 11, 0 },
	{ "bare_moves", bare_moves, 11, 0 },
	{ "bare_jumps", bare_jumps, 20, 0 },
	{ "bare_outer", bare_outer, 13, 0 },
	{ "bare_table", bare_table, 5, 3 },
	{ "goes_to_pad", has_pad, 8, 0 },
};

static struct unwind_scratch scratch;
static spool_frame expected[SPOOL_FRAMES_PER_STACK_MAX];
static size_t expected_count;
static size_t step_count, unknown_count, wrong_count;
static uint64_t wrong_pc;

/* The callers of what the call site has called; behind them, to the root, all is the same. */
__attribute__((noipa)) static void note_callers(void)
{
	unwind_registers_here(&scratch.registers);
	expected_count = unwind_capture(&scratch, threads_own_stack()) - 1;
	memcpy(expected, scratch.frames + 1, expected_count * sizeof(*expected));
}

static void check_step(uint64_t pc, size_t count)
{
	step_count++;
	if (unwind_is_truncated(&scratch, count)) {
		unknown_count++;
	} else if (count <= expected_count || count > expected_count + 2 ||
		memcmp(scratch.frames + count - expected_count, expected,
			expected_count * sizeof(*expected)) != 0) {
		wrong_count++;
		wrong_pc = pc;
	}
}

static bool is_between(uint64_t pc, const char *start, const char *end)
{
	return pc >= (uint64_t)start && pc < (uint64_t)end;
}

static void on_step(int number, siginfo_t *info, void *context)
{
	const ucontext_t *c = context;
	const uint64_t pc = (uint64_t)c->uc_mcontext.gregs[REG_RIP];

	(void)number;
	(void)info;
	if (!is_between(pc, bare_begin, bare_end) &&
		!is_between(pc, __start_goes_to_pad_code, __stop_goes_to_pad_code))
		return;
	unwind_registers(c, &scratch.registers);
	check_step(pc, unwind_capture(&scratch, threads_own_stack()));
}

/* One call site for all, in a frame that only rbp leads out of. */
__attribute__((noipa, optimize("no-omit-frame-pointer"))) static void call(
	void (*function)(void), uint64_t flags)
{
	char *volatile room = __builtin_alloca(flags / 4 + 64);

	__asm__ volatile("lea others_back(%%rip), %%rax\n"
			 "	mov $-4096, %%rcx\n"
			 "1:	mov %%rax, (%%rsp, %%rcx)\n	add $8, %%rcx\n	jnz 1b\n"
			 "	pushfq\n	or %1, (%%rsp)\n	popfq\n"
			 "	call *%0\n"
			 "	pushfq\n	andq $~0x100, (%%rsp)\n	popfq"
			 :
			 : "r"(function), "r"(flags)
			 : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "memory",
			 "cc", "xmm0", "xmm1");
	(void)room;
}

START_TEST(every_instruction_without_tables_leads_to_its_caller)
{
	static char memory[65536];
	const stack_t alternate = { .ss_sp = memory, .ss_size = sizeof(memory) };
	const struct sigaction action = { .sa_sigaction = on_step,
		.sa_flags = SA_SIGINFO | SA_ONSTACK };
	const struct fixture *f = &fixtures[_i];

	ck_assert(__builtin_cpu_supports("avx"));
	sigaltstack(&alternate, NULL);
	sigaction(SIGTRAP, &action, NULL);
	/* Once with tables; then twice, as rules are looked up and remembered. */
	for (int round = 0; round < 3; round++) {
		step_count = unknown_count = wrong_count = 0;
		call(round == 0 ? note_callers : f->function, round == 0 ? 0 : 0x100);
		ck_assert_uint_gt(expected_count, 6);
		ck_assert_msg(wrong_count == 0, "%s: %zu of %zu steps have another caller, +%#lx",
			f->name, wrong_count, step_count, wrong_pc - (uint64_t)f->function);
		ck_assert_msg(unknown_count <= f->unknown_max, "%s: %zu of %zu steps end early",
			f->name, unknown_count, step_count);
		ck_assert_uint_ge(step_count, round == 0 ? 0 : f->steps_min);
	}
}
END_TEST

/* --- instructions --- */

static const struct encoding {
	const char *bytes;
	uint8_t size; /* 0: no instruction */
} encodings[] = {
	{ "\x90", 1 }, { "\xc3", 1 }, { "\xf3\xc3", 2 }, { "\x41\x57", 2 },
	{ "\x48\x83\xec\x28", 4 },
	{ "\x48\x81\xec\xa0\x01\x00\x00", 7 }, { "\x48\x8b\x64\x24\x28", 5 },
	{ "\x48\x8b\xa4\x24\x80\x01\x00\x00", 8 }, { "\x8b\x04\x25\x10\x00\x00\x00", 7 },
	{ "\x48\x8b\x05\x10\x00\x00\x00", 7 }, { "\x66\xb8\x34\x12", 4 },
	{ "\x48\xb8\x01\x02\x03\x04\x05\x06\x07\x08", 10 }, { "\xb8\x01\x02\x03\x04", 5 },
	{ "\xa1\x01\x02\x03\x04\x05\x06\x07\x08", 9 }, { "\xc8\x10\x00\x00", 4 },
	{ "\xf7\xc1\x01\x00\x00\x00", 6 }, { "\xf7\xd9", 2 }, { "\xf6\xc1\x01", 3 },
	{ "\x66\xf7\xc1\x01\x00", 5 }, { "\x0f\x84\x01\x00\x00\x00", 6 },
	{ "\x66\x0f\x70\xc0\x1b", 5 }, { "\x66\x0f\x38\x00\xc1", 5 },
	{ "\x66\x0f\x3a\x0f\xc1\x08", 6 }, { "\xc5\xf8\x77", 3 }, { "\xc5\xfd\x7f\x04\x24", 5 },
	{ "\xc4\xe2\x7d\x1d\xc0", 5 }, { "\xc4\xe3\x7d\x39\xe3\x01", 6 },
	{ "\xc5\xfd\x70\xc0\x1b", 5 }, { "\x62\xf1\x7d\x48\x6f\x44\x24\x01", 8 },
	{ "\x62\xf3\x7d\x48\x25\xc0\xff", 7 }, { "\x0f\x1f\x44\x00\x00", 5 },
	{ "\xf3\x0f\x1e\xfa", 4 }, { "\xe8\x01\x02\x03\x04", 5 }, { "\x66\x90", 2 },
	{ "\x06", 0 }, { "\xd6", 0 }, { "\x0f\x04", 0 },
};

START_TEST(instructions_are_as_long_as_they_are)
{
	for (size_t n = 0; n < ARRAY_SIZE(encodings); n++) {
		uint8_t code[INSTRUCTION_READS] = { 0 };
		struct instruction i;
		bool is_one;

		memcpy(code, encodings[n].bytes, encodings[n].size ? encodings[n].size : 2);
		is_one = instruction_read(code, &i);
		ck_assert_msg((is_one ? i.size : 0) == encodings[n].size,
			"encoding %zu: %d bytes", n, is_one ? i.size : 0);
	}
}
END_TEST

static bool is_within(void *context, uint64_t address)
{
	return address - (uint64_t)context <= 4096 - INSTRUCTION_READS;
}

START_TEST(a_word_too_far_away_is_none_of_the_frame)
{
	/* pop rax; mov [rsp + 0x7fffffff], rbp; mov rbp, [rsp + 0x7fffffff]; ret */
	static const char text[] = "\x58\x48\x89\xac\x24\xff\xff\xff\x7f"
				   "\x48\x8b\xac\x24\xff\xff\xff\x7f\xc3";
	static uint8_t code[4096];
	struct code_exit_way way = { .low = (uint64_t)code,
		.high = (uint64_t)(code + sizeof(code)),
		.is_readable = is_within,
		.context = code,
		.left = 64 };
	struct code_exit exit;

	memcpy(code, text, sizeof(text));
	ck_assert(code_exit_find(&way, (uint64_t)code, &exit));
	ck_assert_int_eq(exit.offset, 8);
	ck_assert(!exit.restores_rbp);
}
END_TEST

START_TEST(any_bytes_at_all_are_survived)
{
	static uint8_t code[4096];
	static struct code_exit_way way;
	struct code_exit exit;
	uint64_t random = 88172645463325252u, found = 0;

	way.low = (uint64_t)code;
	way.high = (uint64_t)(code + sizeof(code));
	way.is_readable = is_within;
	way.context = code;
	for (int round = 0; round < 3000; round++) {
		for (size_t i = 0; i < sizeof(code); i++) {
			random ^= random << 13;
			random ^= random >> 7;
			random ^= random << 17;
			code[i] = (uint8_t)(random >> 32);
		}
		for (size_t at = 0; at < 64; at++) {
			way.left = 4096;
			found += code_exit_find(&way, (uint64_t)code + at, &exit);
		}
	}
	ck_assert_uint_gt(found, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("unwind_bare");
	TCase *steps = tcase_create("steps");
	TCase *code = tcase_create("code");

	agent_here_start();
	tcase_add_loop_test(steps, every_instruction_without_tables_leads_to_its_caller, 0,
		(int)ARRAY_SIZE(fixtures));
	suite_add_tcase(suite, steps);
	tcase_add_test(code, instructions_are_as_long_as_they_are);
	tcase_add_test(code, a_word_too_far_away_is_none_of_the_frame);
	tcase_add_test(code, any_bytes_at_all_are_survived);
	tcase_set_timeout(code, 60);
	suite_add_tcase(suite, code);
	return run_suite(suite);
}
