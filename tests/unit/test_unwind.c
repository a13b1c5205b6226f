#define _GNU_SOURCE
#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "agent/modules.h"
#include "agent/threads.h"
#include "agent/unwind.h"
#include "base/compiler.h"
#include "base/hash.h"
#include "run_suite.h"
#include "unwind/agent_here.h"

/* Code to be in, by name.  None of it ever runs.  A call's return address is at NAME_back. */
__asm__(".text\n"
	/* Has pushed nothing: the return address is at rsp. */
	"leaf:	.cfi_startproc\n"
	"	nop\n	nop\n"
	"	.cfi_endproc\n"
	/* 24 bytes of frame: CFA = rsp + 32. */
	"middle: .cfi_startproc\n"
	"	.cfi_def_cfa_offset 32\n"
	"	call leaf\n"
	"middle_back: nop\n"
	"	.cfi_endproc\n"
	/* CFA = rbp + 16, rbp saved there. */
	"framed: .cfi_startproc\n"
	"	.cfi_def_cfa 6, 16\n	.cfi_offset 6, -16\n"
	"	call leaf\n"
	"framed_back: nop\n"
	"	.cfi_endproc\n"
	/* CFA = rbx + 8, as in the lazy binder. */
	"by_rbx: .cfi_startproc\n"
	"	.cfi_def_cfa 3, 8\n"
	"	call leaf\n"
	"by_rbx_back: nop\n"
	"	.cfi_endproc\n"
	"root:	.cfi_startproc\n"
	"	.cfi_undefined 16\n"
	"	call leaf\n"
	"root_back: nop\n"
	"	.cfi_endproc\n"
	/* Without unwind information: with a frame, and a leaf that is called directly. */
	"bare:	push %rbp\n	mov %rsp, %rbp\n"
	"	call bare_leaf\n"
	"bare_back: nop\n"
	"	.skip 100, 0x90\n"
	"bare_leaf: nop\n	nop\n"
	"	.skip 100, 0x90\n"
	/* A function that is returned to at its very first byte, with nothing before it. */
	"hand_made_root: .cfi_startproc\n"
	"	nop\n"
	"	.cfi_endproc\n");
extern const char leaf[], middle_back[], framed_back[], by_rbx_back[], root_back[], bare[],
	bare_back[], bare_leaf[], hand_made_root[];

static struct unwind_scratch scratch;
static uint64_t stack[4096] __attribute__((aligned(16)));
static const struct stack_range not_known;

static size_t capture(uint64_t pc, uint64_t rsp, uint64_t rbp)
{
	scratch.registers.valid = (1u << CFI_REGISTERS) - 1;
	scratch.registers.value[CFI_RA] = pc;
	scratch.registers.value[CFI_RSP] = rsp;
	scratch.registers.value[CFI_RBP] = rbp;
	return unwind_capture(&scratch, not_known);
}

static uint64_t at(const char *code)
{
	return (uint64_t)code;
}

static uint64_t address_of(const uint64_t *word)
{
	return (uint64_t)word;
}

static uint32_t own_id(void)
{
	return spool_frame_module(agent_here_frame(at(leaf)));
}

/* The frames are those of these pcs: the first exact, the others returned to. */
static void expect(size_t count, const uint64_t *pcs, size_t expected_count)
{
	for (size_t i = 0; i < count && i < expected_count; i++)
		ck_assert_msg(scratch.frames[i] == agent_here_frame(pcs[i] - (i > 0)),
			"frame %zu is %#lx", i, (long)scratch.frames[i]);
	ck_assert_uint_eq(count, expected_count);
}

#define EXPECT(count, ...)                                                                      \
	expect(count, (const uint64_t[]){ __VA_ARGS__ },                                        \
		ARRAY_SIZE(((const uint64_t[]){ __VA_ARGS__ })))

static enum spool_note last_note(size_t count)
{
	spool_frame last = scratch.frames[count - 1];

	return spool_frame_module(last) == SPOOL_MODULE_NOTE ? spool_frame_vaddr(last) >> 32 : 0;
}

static uint32_t last_argument(size_t count)
{
	return (uint32_t)scratch.frames[count - 1];
}

/* --- stacks that are whole --- */

START_TEST(the_leaf_is_exact_and_its_callers_are_where_they_called)
{
	stack[0] = at(middle_back);
	stack[1 + 3] = at(root_back);
	EXPECT(capture(at(leaf), address_of(stack), 0), at(leaf), at(middle_back), at(root_back));
	ck_assert(!unwind_is_truncated(&scratch, 3));
}
END_TEST

START_TEST(a_frame_found_by_rbp_gives_its_callers_rbp)
{
	stack[0] = at(framed_back);
	stack[10] = address_of(&stack[20]); /* rbp of the first, saved by it */
	stack[11] = at(framed_back);
	stack[20] = 77;
	stack[21] = at(root_back);
	EXPECT(capture(at(leaf), address_of(stack), address_of(&stack[10])), at(leaf),
		at(framed_back), at(framed_back), at(root_back));
}
END_TEST

START_TEST(a_frame_found_by_another_register_has_it_carried_along)
{
	stack[0] = at(middle_back);
	stack[1 + 3] = at(by_rbx_back);
	stack[30] = at(middle_back);
	stack[31 + 3] = at(root_back);
	scratch.registers.value[CFI_RBX] = address_of(&stack[30]);
	EXPECT(capture(at(leaf), address_of(stack), 0), at(leaf), at(middle_back), at(by_rbx_back),
		at(middle_back), at(root_back));
}
END_TEST

START_TEST(a_return_address_of_zero_is_a_root)
{
	stack[0] = at(middle_back);
	stack[1 + 3] = 0;
	EXPECT(capture(at(leaf), address_of(stack), 0), at(leaf), at(middle_back));
}
END_TEST

START_TEST(a_return_to_the_very_start_of_a_function_is_a_root)
{
	stack[0] = at(hand_made_root);
	ck_assert_uint_eq(capture(at(leaf), address_of(stack), 0), 2);
	ck_assert_uint_eq(scratch.frames[1], agent_here_frame(at(hand_made_root)));
}
END_TEST

START_TEST(code_without_unwind_information_is_left_along_rbp)
{
	stack[0] = at(bare_back);
	stack[5] = address_of(&stack[9]);
	stack[6] = at(bare_back);
	stack[9] = 0;
	stack[10] = at(root_back);
	EXPECT(capture(at(leaf), address_of(stack), address_of(&stack[5])), at(leaf), at(bare_back),
		at(bare_back), at(root_back));
}
END_TEST

START_TEST(a_leaf_without_unwind_information_keeps_its_caller)
{
	stack[0] = at(bare_back);
	stack[5] = 0;
	stack[6] = at(root_back);
	EXPECT(capture(at(bare_leaf), address_of(stack), address_of(&stack[5])), at(bare_leaf),
		at(bare_back), at(root_back));
}
END_TEST

START_TEST(a_call_through_a_null_or_wild_pointer_shows_who_called)
{
	static const uint64_t wild[] = { 0, 8, 0x10000, 0x123456789000, 0xdead00000000beef,
		UINT64_MAX };
	size_t count;

	stack[0] = at(middle_back);
	stack[1 + 3] = at(root_back);
	count = capture(wild[_i], address_of(stack), 0x1234567);
	ck_assert_uint_eq(scratch.frames[0], spool_frame_of(0, wild[_i]));
	ck_assert_uint_eq(count, 3);
	ck_assert_uint_eq(scratch.frames[1], agent_here_frame(at(middle_back) - 1));
}
END_TEST

START_TEST(generated_code_with_frame_pointers_is_passed_through)
{
	uint8_t *code = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(code, MAP_FAILED);
	stack[5] = address_of(&stack[9]);
	stack[6] = (uint64_t)code + 500;
	stack[9] = 0;
	stack[10] = at(root_back);
	EXPECT(capture((uint64_t)code + 100, address_of(stack), address_of(&stack[5])),
		(uint64_t)code + 100, (uint64_t)code + 500, at(root_back));
}
END_TEST

static size_t handler_count;

static void on_signal(int number, siginfo_t *info, void *context)
{
	unwind_registers(context, &scratch.registers);
	handler_count = unwind_capture(&scratch, threads_own_stack());
}

static __attribute__((noinline)) void interrupted(void)
{
	raise(SIGUSR2);
	__asm__ volatile(""); /* no tail call */
}

START_TEST(a_real_stack_leads_to_the_start_of_the_program)
{
	const struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };
	bool seen = false;

	sigaction(SIGUSR2, &action, NULL);
	interrupted();
	ck_assert_uint_gt(handler_count, 8);
	ck_assert(!unwind_is_truncated(&scratch, handler_count));
	for (size_t i = 0; i < handler_count; i++)
		seen |= scratch.frames[i] - agent_here_frame((uint64_t)interrupted) < 64;
	ck_assert(seen);
	/* _start */
	ck_assert_uint_eq(spool_frame_module(scratch.frames[handler_count - 1]), own_id());
}
END_TEST

/* --- stacks that are not --- */

START_TEST(a_stack_that_leads_back_down_ends_in_a_note)
{
	size_t count;

	stack[0] = at(framed_back);
	stack[10] = address_of(&stack[10]); /* its own caller */
	stack[11] = at(framed_back);
	count = capture(at(leaf), address_of(stack), address_of(&stack[10]));
	ck_assert_uint_eq(count, 4);
	ck_assert_uint_eq(last_note(count), SPOOL_NOTE_BAD_STACK);
	ck_assert_uint_eq(last_argument(count), own_id());
	ck_assert(unwind_is_truncated(&scratch, count));
}
END_TEST

START_TEST(a_stack_that_cannot_be_read_ends_in_a_note)
{
	uint8_t *pages =
		mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t *last = (uint64_t *)(pages + 4096) - 1;
	const uint64_t nowhere[] = { 0, 8, address_of(last + 1), (uint64_t)1 << 46,
		(uint64_t)1 << 63, UINT64_MAX - 7, UINT64_MAX };
	size_t count;

	ck_assert_ptr_ne(pages, MAP_FAILED);
	mprotect(pages + 4096, 4096, PROT_NONE);
	*last = at(middle_back);
	count = capture(at(leaf), address_of(last), 0);
	ck_assert_uint_eq(count, 3);
	ck_assert_uint_eq(last_note(count), SPOOL_NOTE_BAD_STACK);
	for (size_t i = 0; i < ARRAY_SIZE(nowhere); i++) {
		count = capture(at(leaf), nowhere[i], 0);
		ck_assert_uint_eq(count, 2);
		ck_assert_uint_eq(last_note(count), SPOOL_NOTE_BAD_STACK);
	}
	/* Across the edge. */
	count = capture(at(leaf), address_of(last) + 4, 0);
	ck_assert_uint_eq(last_note(count), SPOOL_NOTE_BAD_STACK);
	munmap(pages, 8192);
}
END_TEST

START_TEST(code_without_unwind_information_and_without_frame_ends_in_a_note)
{
	const uint64_t bad_rbp[] = { 1, 12345, (uint64_t)stack - 16, 1 + (uint64_t)&stack[5],
		(uint64_t)stack + ((uint64_t)1 << 40), UINT64_MAX - 7 };
	size_t count;

	memset(stack, 0x55, sizeof(stack));
	stack[0] = at(bare_back);
	for (size_t i = 0; i < ARRAY_SIZE(bad_rbp); i++) {
		count = capture(at(leaf), address_of(stack), bad_rbp[i]);
		ck_assert_uint_eq(count, 3);
		ck_assert_uint_eq(last_note(count), SPOOL_NOTE_NO_UNWIND_INFO);
		ck_assert_uint_eq(last_argument(count), own_id());
	}
}
END_TEST

START_TEST(a_stack_of_as_many_frames_as_are_taken_is_whole)
{
	size_t count;

	for (size_t i = 0; i < 600; i++)
		stack[4 * i] = at(middle_back);
	stack[4 * (SPOOL_FRAMES_PER_STACK_MAX - 3)] = at(root_back);
	count = capture(at(leaf), address_of(stack), 0);
	ck_assert_uint_eq(count, SPOOL_FRAMES_PER_STACK_MAX - 1);
	ck_assert_uint_eq(last_note(count), 0);
	for (size_t i = 1; i < count - 1; i++)
		ck_assert_uint_eq(scratch.frames[i], agent_here_frame(at(middle_back) - 1));
	ck_assert_uint_eq(scratch.frames[count - 1], agent_here_frame(at(root_back) - 1));
}
END_TEST

/* --- deep ones --- */

/* Frames of a word each, up to the root. */
#define DEEP_WORDS 300000
static uint64_t *deep_words;

static void make_deep_stack(size_t depth)
{
	if (!deep_words)
		deep_words = mmap(NULL, DEEP_WORDS * 8, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(deep_words, MAP_FAILED);
	for (size_t i = 0; i < DEEP_WORDS; i++)
		deep_words[i] = 0x55;
	for (size_t i = 0; i < depth; i++)
		deep_words[i] = at(leaf) + 1;
	deep_words[depth] = at(root_back);
}

static size_t capture_deep(bool is_own_stack)
{
	const struct stack_range whole = {
		address_of(deep_words), address_of(deep_words + DEEP_WORDS) };

	scratch.registers.valid = (1u << CFI_REGISTERS) - 1;
	scratch.registers.value[CFI_RA] = at(leaf) + 1;
	scratch.registers.value[CFI_RSP] = address_of(deep_words);
	return unwind_capture(&scratch, is_own_stack ? whole : not_known);
}

static void expect_leaves_and_root(size_t count)
{
	const spool_frame inner = agent_here_frame(at(leaf));

	ck_assert_uint_eq(count, DEEP_LEAVES + 1 + DEEP_ROOTS);
	for (size_t i = 1; i < count - 1; i++)
		if (i != DEEP_LEAVES)
			ck_assert_uint_eq(scratch.frames[i], inner);
	ck_assert_uint_eq(scratch.frames[DEEP_LEAVES], spool_frame_note(SPOOL_NOTE_LEFT_OUT, 0));
	ck_assert_uint_eq(scratch.frames[count - 1], agent_here_frame(at(root_back) - 1));
	ck_assert(!unwind_is_truncated(&scratch, count));
}

START_TEST(a_stack_that_is_too_deep_keeps_its_leaves_and_its_root)
{
	static const size_t depths[] = { 510, 511, 512, 573, 574, 600, 1000, 1076, 1077, 1078,
		1079, 1141, 1142, 5000, 100000, 250000 };

	for (size_t i = 0; i < ARRAY_SIZE(depths); i++) {
		make_deep_stack(depths[i]);
		expect_leaves_and_root(capture_deep(i % 2));
	}
}
END_TEST

START_TEST(a_stack_deeper_than_any_walk_ends_in_a_note)
{
	size_t count;

	make_deep_stack(DEEP_WORDS - 1);
	count = capture_deep(true);
	ck_assert_uint_eq(count, DEEP_LEAVES + 1);
	ck_assert_uint_eq(last_note(count), SPOOL_NOTE_TOO_DEEP);
	ck_assert(unwind_is_truncated(&scratch, count));
}
END_TEST

START_TEST(a_deep_stack_that_breaks_off_keeps_its_leaves_and_where_it_breaks)
{
	const size_t places[] = { 700, 3000 };
	size_t count;

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		make_deep_stack(5000);
		deep_words[places[i]] = at(bare_back);
		count = capture_deep(false);
		ck_assert_uint_eq(last_note(count), SPOOL_NOTE_NO_UNWIND_INFO);
		ck_assert_uint_eq(scratch.frames[count - 2], agent_here_frame(at(bare_back) - 1));
		ck_assert_uint_eq(scratch.frames[DEEP_LEAVES],
			spool_frame_note(SPOOL_NOTE_LEFT_OUT, 0));
	}
}
END_TEST

/* What is broken in the middle would end a walk: the root was not walked to. */
START_TEST(a_root_that_has_not_changed_is_not_walked_to_again)
{
	make_deep_stack(100000);
	expect_leaves_and_root(capture_deep(true));
	deep_words[50000] = at(bare_back);
	expect_leaves_and_root(capture_deep(true));
}
END_TEST

START_TEST(a_root_that_has_changed_is_never_the_one_remembered)
{
	size_t count;

	make_deep_stack(100000);
	expect_leaves_and_root(capture_deep(true));
	deep_words[50000] = at(bare_back);
	for (size_t i = 0; i < DEEP_ROOTS; i++) {
		const uint64_t was = deep_words[100000 - i];

		deep_words[100000 - i] = at(framed_back);
		count = capture_deep(true);
		ck_assert(unwind_is_truncated(&scratch, count));
		deep_words[100000 - i] = was;
	}
	/* Of another stack, it says nothing. */
	count = capture_deep(false);
	ck_assert(unwind_is_truncated(&scratch, count));
}
END_TEST

/* --- any state at all --- */

static uint64_t random_state;

static uint64_t random_word(void)
{
	return hash_mix(++random_state);
}

static uint64_t random_code(void)
{
	struct module_map *map = modules_enter();
	const struct module_span *span = &map->spans[random_word() % map->count];
	uint64_t pc = span->start + random_word() % (span->end - span->start);

	modules_leave(map);
	return pc;
}

/* What may be in a register or on a stack: code, addresses of the stack, numbers. */
static uint64_t random_value(struct stack_range range)
{
	uint64_t word = random_word();

	switch (word % 8) {
	case 0:
	case 1:
		return random_code();
	case 2:
	case 3:
	case 4:
		return range.low + (random_word() % (range.high - range.low) & ~(uint64_t)7);
	case 5:
		return random_word() % 4096;
	case 6:
		return random_word() >> 17; /* some address of a process */
	}
	return word;
}

/* RSP: bit 0 is made use of too, for what is not aligned. */
static void survive_random_states(struct stack_range range, bool is_known, int states)
{
	for (int i = 0; i < states; i++) {
		size_t count;

		for (int reg = 0; reg < CFI_REGISTERS; reg++)
			scratch.registers.value[reg] = random_value(range);
		scratch.registers.valid = (1u << CFI_REGISTERS) - 1;
		if (random_word() % 16)
			scratch.registers.value[CFI_RA] = random_code();
		if (random_word() % 16)
			scratch.registers.value[CFI_RSP] =
				range.low + random_word() % (range.high - range.low);
		if (random_word() % 4)
			scratch.registers.value[CFI_RSP] &= ~(uint64_t)7;
		count = unwind_capture(&scratch, is_known ? range : not_known);
		ck_assert_uint_ge(count, 1);
		ck_assert_uint_le(count, SPOOL_FRAMES_PER_STACK_MAX);
	}
}

START_TEST(random_registers_over_a_random_stack_never_fault)
{
	const struct stack_range range = {
		address_of(stack), address_of(stack + ARRAY_SIZE(stack))};

	for (int round = 0; round < 50; round++) {
		for (size_t i = 0; i < ARRAY_SIZE(stack); i++)
			stack[i] = random_value(range);
		survive_random_states(range, round % 2, 1000);
	}
}
END_TEST

START_TEST(random_registers_over_memory_with_holes_never_fault)
{
	const size_t size = 64 * 4096;
	uint64_t *memory = mmap(
		NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	const struct stack_range range = { (uint64_t)memory, (uint64_t)memory + size };

	ck_assert_ptr_ne(memory, MAP_FAILED);
	for (size_t i = 0; i < size / 8; i++)
		memory[i] = random_value(range);
	for (size_t page = 0; page < 64; page += 1 + random_word() % 4)
		mprotect((char *)memory + 4096 * page, 4096, PROT_NONE);
	survive_random_states(range, false, 30000);
}
END_TEST

/* The lower part of it has not been touched yet: the kernel lets it grow. */
START_TEST(random_places_in_the_threads_own_stack_never_fault)
{
	survive_random_states(threads_main_stack(), true, 20000);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("unwind");
	TCase *whole = tcase_create("whole");
	TCase *broken = tcase_create("broken");
	TCase *deep = tcase_create("deep");
	TCase *any = tcase_create("any");

	agent_here_start();
	tcase_add_test(whole, the_leaf_is_exact_and_its_callers_are_where_they_called);
	tcase_add_test(whole, a_frame_found_by_rbp_gives_its_callers_rbp);
	tcase_add_test(whole, a_frame_found_by_another_register_has_it_carried_along);
	tcase_add_test(whole, a_return_address_of_zero_is_a_root);
	tcase_add_test(whole, a_return_to_the_very_start_of_a_function_is_a_root);
	tcase_add_test(whole, code_without_unwind_information_is_left_along_rbp);
	tcase_add_test(whole, a_leaf_without_unwind_information_keeps_its_caller);
	tcase_add_loop_test(whole, a_call_through_a_null_or_wild_pointer_shows_who_called, 0, 6);
	tcase_add_test(whole, generated_code_with_frame_pointers_is_passed_through);
	tcase_add_test(whole, a_real_stack_leads_to_the_start_of_the_program);
	suite_add_tcase(suite, whole);

	tcase_add_test(broken, a_stack_that_leads_back_down_ends_in_a_note);
	tcase_add_test(broken, a_stack_that_cannot_be_read_ends_in_a_note);
	tcase_add_test(broken, code_without_unwind_information_and_without_frame_ends_in_a_note);
	tcase_add_test(broken, a_stack_of_as_many_frames_as_are_taken_is_whole);
	suite_add_tcase(suite, broken);

	tcase_add_test(deep, a_stack_that_is_too_deep_keeps_its_leaves_and_its_root);
	tcase_add_test(deep, a_stack_deeper_than_any_walk_ends_in_a_note);
	tcase_add_test(deep, a_deep_stack_that_breaks_off_keeps_its_leaves_and_where_it_breaks);
	tcase_add_test(deep, a_root_that_has_not_changed_is_not_walked_to_again);
	tcase_add_test(deep, a_root_that_has_changed_is_never_the_one_remembered);
	suite_add_tcase(suite, deep);

	tcase_add_test(any, random_registers_over_a_random_stack_never_fault);
	tcase_add_test(any, random_registers_over_memory_with_holes_never_fault);
	tcase_add_test(any, random_places_in_the_threads_own_stack_never_fault);
	tcase_set_timeout(any, 60);
	suite_add_tcase(suite, any);
	return run_suite(suite);
}
