/* Stacks walked along earlier ones are those that a walk of its own finds. */
#include <alloca.h>
#include <check.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/modules.h"
#include "agent/threads.h"
#include "agent/unwind.h"
#include "base/compiler.h"
#include "spool/heap_writer.h"
#include "unwind/agent_here.h"

#define STACKS 20000

static struct unwind_scratch next, whole;
static uint64_t random_state;
static uint64_t stacks_seen, stacks_along;

static uint32_t random_below(uint32_t bound)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)(random_state >> 32) % bound;
}

/* Both walks from here.  The first begins at the caller, the other with this function. */
__attribute__((noipa)) static void compare(void)
{
	const uint32_t nodes_before = next.tree.used;
	const struct unwind_stack stack =
		unwind_capture_next(&next, threads_own_stack(), __builtin_frame_address(0));
	const size_t count = unwind_write_frames(&next, &stack);
	size_t expected;
	bool is_deep;

	unwind_registers_here(&whole.registers);
	expected = unwind_capture(&whole, threads_own_stack());
	is_deep = expected > DEEP_LEAVES &&
		spool_frame_is_note(whole.frames[DEEP_LEAVES], SPOOL_NOTE_LEFT_OUT);
	if (!is_deep && count + 1 != expected)
		ck_abort_msg("stack %lu: %zu frames, not %zu", (long)stacks_seen, count,
			expected - 1);
	/* Of a deep one there are the leaves, and as many of the root. */
	for (size_t i = 0; i < (is_deep ? DEEP_LEAVES - 1 : count); i++)
		if (next.frames[i] != whole.frames[i + 1])
			ck_abort_msg("stack %lu, frame %zu of %zu: %#lx instead of %#lx",
				(long)stacks_seen, i, count, (long)next.frames[i],
				(long)whole.frames[i + 1]);
	for (size_t i = 1; is_deep && i <= DEEP_ROOTS; i++)
		ck_assert_uint_eq(next.frames[count - i], whole.frames[expected - i]);
	if (stack.hash != spool_hash_frames(0, next.frames, count) ||
		stack.is_truncated != unwind_is_truncated(&next, count))
		ck_abort_msg("stack %lu: %zu frames, hash %#lx", (long)stacks_seen, count,
			(long)stack.hash);
	stacks_seen++;
	stacks_along += stack.callers && next.tree.used - nodes_before + 8 < count;
}

/* Calls FUNCTION with a value of its own in rbp, as code without frame pointers does. */
__attribute__((noipa)) void with_rbp(uint64_t rbp, void (*function)(int), int argument);
__asm__(".text\n"
	".type with_rbp, @function\n"
	"with_rbp: .cfi_startproc\n"
	"	push %rbp\n"
	"	.cfi_def_cfa_offset 16\n	.cfi_offset 6, -16\n"
	"	mov %rdi, %rbp\n"
	"	mov %edx, %edi\n"
	"	call *%rsi\n"
	"	pop %rbp\n"
	"	.cfi_def_cfa_offset 8\n	.cfi_restore 6\n"
	"	ret\n"
	"	.cfi_endproc\n"
	".size with_rbp, . - with_rbp\n");

static void descend(int depth);

__attribute__((noipa, optimize("omit-frame-pointer"))) static void plain(int depth)
{
	descend(depth - 1);
	__asm__ volatile("");
	if (random_below(2))
		descend(depth - 1);
	__asm__ volatile("");
}

__attribute__((noipa, optimize("no-omit-frame-pointer"))) static void framed(int depth)
{
	descend(depth - 1);
	__asm__ volatile("");
	if (random_below(2))
		descend(depth - 2);
	__asm__ volatile("");
}

/* What lies in PAD is what was there before: also return addresses of the last stack. */
__attribute__((noipa)) static void padded(int depth)
{
	void *volatile pad = alloca(16 * random_below(4) + 1);

	descend(depth - 1);
	(void)pad;
}

/* Two that together take the same stack, in different parts: the same pcs and the same sp below,
 * and another rbp. */
__attribute__((noipa)) static void pad_second(int depth, size_t size)
{
	void *volatile pad = alloca(size);

	with_rbp(random_state, descend, depth - 1);
	(void)pad;
}

__attribute__((noipa)) static void pad_first(int depth)
{
	for (int i = 0; i < 3; i++) {
		const size_t size = 64 * (1 + random_below(2));
		void *volatile pad = alloca(size);

		pad_second(depth, 192 - size);
		(void)pad;
	}
}

__attribute__((noipa)) static void change_rbp(int depth)
{
	with_rbp(random_state, descend, depth - 1);
	__asm__ volatile("");
}

__attribute__((noipa)) static void pad_anew(int depth)
{
	pad_first(depth);
	__asm__ volatile("");
}

static void descend(int depth)
{
	static void (*const shapes[])(int) = { plain, framed, padded, pad_anew, change_rbp };

	if (stacks_seen == STACKS)
		return;
	if (depth <= 0)
		compare();
	else
		shapes[random_below(ARRAY_SIZE(shapes))](depth);
	__asm__ volatile("");
}

START_TEST(stacks_along_earlier_ones_are_those_of_a_walk_of_their_own)
{
	random_state = 88172645463325252u + (uint64_t)_i;
	while (stacks_seen < STACKS)
		descend(12 + (int)random_below(30));
	ck_assert_uint_gt(stacks_along, stacks_seen / 2);
}
END_TEST

__attribute__((noipa)) static void recurse(int depth)
{
	if (depth > 0)
		recurse(depth - 1);
	else
		compare();
	__asm__ volatile("");
}

START_TEST(stacks_near_the_greatest_depth_are_the_same_too)
{
	for (int depth = SPOOL_FRAMES_PER_STACK_MAX - 40; depth < SPOOL_FRAMES_PER_STACK_MAX + 5;
		depth++) {
		recurse(depth);
		recurse(depth);
		descend(8);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("unwind_tree");
	TCase *walks = tcase_create("walks");
	SRunner *runner;
	int failed;

	agent_here_start();
	tcase_add_loop_test(
		walks, stacks_along_earlier_ones_are_those_of_a_walk_of_their_own, 0, 4);
	tcase_add_test(walks, stacks_near_the_greatest_depth_are_the_same_too);
	tcase_set_timeout(walks, 60);
	suite_add_tcase(suite, walks);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
