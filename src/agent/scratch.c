#include "agent/scratch.h"

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/lone_thread.h"
#include "base/monotonic.h"
#include "base/syscalls.h"

/* More samples at once than this need more processors than this. */
#define SCRATCH_COUNT 64
static struct unwind_scratch scratches[SCRATCH_COUNT];

/* Not in the scratches: a child of fork() looks at all of them, which would be a page fault
 * each. */
static _Alignas(4096) struct {
	_Alignas(64) uint64_t is_taken;
	uint64_t taken_at; /* on the stack */
} leases[SCRATCH_COUNT];

struct unwind_scratch *scratch_take(uint32_t hint)
{
	for (uint32_t i = 0; i < SCRATCH_COUNT; i++) {
		const uint32_t at = (hint + i) % SCRATCH_COUNT;
		uint64_t no = false;

		if (lone_swap(&leases[at].is_taken, &no, true)) {
			leases[at].taken_at = (uint64_t)__builtin_frame_address(0);
			return &scratches[at];
		}
	}
	return NULL;
}

void scratch_give_back(struct unwind_scratch *scratch)
{
	__atomic_store_n(&leases[scratch - scratches].is_taken, false, __ATOMIC_RELEASE);
}

uint8_t scratch_number(const struct unwind_scratch *scratch)
{
	return (uint8_t)(scratch - scratches + 1);
}

static bool is_within(struct stack_range stack, uint64_t address)
{
	return address >= stack.low && address < stack.high;
}

/* The host may have put a stack for handlers into its own. */
static bool is_on_handlers_stack(void)
{
	stack_t now = { .ss_flags = 0 };

	return raw_syscall3(SYS_sigaltstack, 0, (long)&now, 0) != 0 || (now.ss_flags & SS_ONSTACK);
}

struct unwind_scratch *scratch_take_back(uint8_t number, struct stack_range own)
{
	const uint64_t here = (uint64_t)__builtin_frame_address(0);
	const uint64_t taken_at = leases[number - 1].taken_at;
	struct unwind_scratch *scratch = &scratches[number - 1];

	if (taken_at > here || !is_within(own, taken_at) || !is_within(own, here) ||
		is_on_handlers_stack())
		return NULL;
	leases[number - 1].taken_at = here;
	scratch->tree.used = 0; /* it may have been in the middle of a change */
	return scratch;
}

static bool is_any_taken(void)
{
	for (uint32_t i = 0; i < SCRATCH_COUNT; i++)
		if (__atomic_load_n(&leases[i].is_taken, __ATOMIC_SEQ_CST))
			return true;
	return false;
}

void scratch_wait_for_all(void)
{
	const uint64_t give_up_ns = monotonic_ns() + 100000000;

	while (is_any_taken() && monotonic_ns() < give_up_ns)
		raw_syscall1(SYS_sched_yield, 0);
}

void scratch_restart_in_child(void)
{
	for (uint32_t i = 0; i < SCRATCH_COUNT; i++) {
		if (!leases[i].is_taken)
			continue;
		scratches[i].tree.used = 0; /* it may have been in the middle of a change */
		leases[i].is_taken = false;
	}
	deep_restart_in_child();
}
