#include "agent/scratch.h"

#include <stddef.h>

#include "base/monotonic.h"
#include "base/syscalls.h"

/* More samples at once than this need more processors than this. */
#define SCRATCH_COUNT 64
static struct unwind_scratch scratches[SCRATCH_COUNT];
static uint64_t scratches_taken; /* bit per scratch */

struct unwind_scratch *scratch_take(uint32_t hint)
{
	for (uint32_t i = 0; i < SCRATCH_COUNT; i++) {
		const uint32_t at = (hint + i) % SCRATCH_COUNT;
		const uint64_t bit = (uint64_t)1 << at;

		if (!(__atomic_fetch_or(&scratches_taken, bit, __ATOMIC_ACQUIRE) & bit))
			return &scratches[at];
	}
	return NULL;
}

void scratch_give_back(struct unwind_scratch *scratch)
{
	__atomic_fetch_and(
		&scratches_taken, ~((uint64_t)1 << (scratch - scratches)), __ATOMIC_SEQ_CST);
}

void scratch_wait_for_all(void)
{
	const uint64_t give_up_ns = monotonic_ns() + 100000000;

	while (__atomic_load_n(&scratches_taken, __ATOMIC_SEQ_CST) && monotonic_ns() < give_up_ns)
		raw_syscall1(SYS_sched_yield, 0);
}

void scratch_restart_in_child(void)
{
	scratches_taken = 0;
}
