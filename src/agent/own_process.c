#define _GNU_SOURCE
#include "agent/own_process.h"

#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/syscalls.h"

/* Not 0, in a page that is empty in a copy: cheaper than to ask for the process's id. */
static _Alignas(4096) struct {
	uint32_t is_here;
	uint8_t rest[4096 - sizeof(uint32_t)];
} page;
static bool page_tells;
static long owner;

void own_process_mark(void)
{
	/* A child of fork() inherits that its page will be wiped, too. */
	page_tells = page_tells || madvise(&page, sizeof(page), MADV_WIPEONFORK) == 0;
	page.is_here = 1;
	owner = getpid();
}

bool own_process_is_here(void)
{
	return page_tells ? __atomic_load_n(&page.is_here, __ATOMIC_RELAXED) != 0 :
			    raw_syscall1(SYS_getpid, 0) == owner;
}
