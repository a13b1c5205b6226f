/*
 * Reading a stack that may be damaged, without ever faulting.  What lies between the stack
 * pointer and the end of the thread's own stack is there; any other page is asked for first.
 * Signal-safe.
 */
#ifndef AGENT_STACK_MEMORY_H
#define AGENT_STACK_MEMORY_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/compiler.h"
#include "base/syscalls.h"

/* The whole range a thread's stack may grow in; {0, 0}: not known. */
struct stack_range {
	uint64_t low, high;
};

struct stack_memory {
	struct stack_range stack;
	struct stack_range readable; /* of it, from the stack pointer up */
	uint64_t pages_asked[2]; /* readable pages seen last, by address / 4096 */
	uint32_t pages_next;
};

/* Linux: rt_sigprocmask reads the new mask before it looks at HOW, so with a HOW that does not
 * exist it says EFAULT for memory that cannot be read and EINVAL for memory that can, and changes
 * nothing. */
static inline bool stack_memory_page_is_readable(uint64_t address)
{
	const uint64_t page = address & ~(uint64_t)4095;

	/* Null stands for "no new mask". */
	return page && raw_syscall4(SYS_rt_sigprocmask, ~0, (long)page, 0, 8) != -14;
}

static NOINLINE bool stack_memory_ask(struct stack_memory *m, uint64_t address)
{
	uint64_t page = address >> 12;

	if (page == 0 || page >= (uint64_t)1 << 35) /* 0 is what PAGES_ASKED holds at first */
		return false;
	if (page == m->pages_asked[0] || page == m->pages_asked[1])
		return true;
	if (!stack_memory_page_is_readable(address))
		return false;
	m->pages_asked[m->pages_next++ & 1] = page;
	return true;
}

/* The unwinder stands at SP now: when that is in the thread's own stack, all above it is
 * readable. */
static inline void stack_memory_enter(struct stack_memory *m, uint64_t sp)
{
	if (sp >= m->stack.low && sp < m->stack.high && m->readable.high == 0)
		m->readable = (struct stack_range){ .low = sp, .high = m->stack.high };
}

/* The SIZE bytes at ADDRESS can be read. */
static inline bool stack_memory_has(struct stack_memory *m, uint64_t address, uint64_t size)
{
	if (address + size < address)
		return false;
	for (uint64_t page = address & ~(uint64_t)4095; page < address + size; page += 4096)
		if (!stack_memory_ask(m, page))
			return false;
	return true;
}

static inline bool stack_memory_read(struct stack_memory *m, uint64_t address, uint64_t *word)
{
	if (UNLIKELY(address < m->readable.low || address + 8 > m->readable.high ||
		    address > UINT64_MAX - 8)) {
		if (address > UINT64_MAX - 8 || !stack_memory_ask(m, address) ||
			!stack_memory_ask(m, address + 7))
			return false;
	}
	memcpy(word, (const void *)address, sizeof(*word));
	return true;
}

#endif
