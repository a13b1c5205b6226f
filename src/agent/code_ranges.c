#define _GNU_SOURCE
#include "agent/code_ranges.h"

#include <assert.h>
#include <fcntl.h>
#include <stddef.h>

#include "base/compiler.h"
#include "base/hash.h"
#include "base/syscalls.h"

/* Not in Debian 12's headers. */
struct procmap_query {
	uint64_t size; /* of this struct */
	uint64_t query_flags;
	uint64_t query_addr;
	uint64_t vma_start, vma_end, vma_flags, vma_page_size, vma_offset;
	uint64_t inode;
	uint32_t dev_major, dev_minor;
	uint32_t vma_name_size, build_id_size;
	uint64_t vma_name_addr, build_id_addr;
};
static_assert(sizeof(struct procmap_query) == 104, "the kernel's layout");
#define PROCMAP_QUERY_NUMBER 0xc0686611u /* _IOWR('f', 17, struct procmap_query) */
#define QUERY_EXECUTABLE 0x04u

/* Pages known to be executable, direct-mapped by page number.  A word an entry, so that no
 * reader sees half of one. */
#define ENTRIES 1024
static uint64_t entries[ENTRIES];

static bool ask(uint64_t pc)
{
	struct procmap_query query = {
		.size = sizeof(query), .query_flags = QUERY_EXECUTABLE, .query_addr = pc };
	long descriptor = raw_syscall4(
		SYS_openat, AT_FDCWD, (long)"/proc/self/maps", O_RDONLY | O_CLOEXEC, 0);
	long r;

	if (descriptor < 0)
		return false;
	r = raw_syscall3(SYS_ioctl, descriptor, PROCMAP_QUERY_NUMBER, (long)&query);
	raw_syscall1(SYS_close, descriptor);
	return r == 0;
}

bool code_ranges_hold(uint64_t pc)
{
	const uint64_t page = pc >> 12;
	uint64_t *entry = &entries[hash_mix(page) % ENTRIES];

	if (page == 0)
		return false;
	if (LIKELY(__atomic_load_n(entry, __ATOMIC_RELAXED) == page))
		return true;
	/* Other memory is not remembered: it may become code. */
	if (!ask(pc))
		return false;
	__atomic_store_n(entry, page, __ATOMIC_RELAXED);
	return true;
}
