#define _GNU_SOURCE
#include "agent/descriptors.h"

#include <dirent.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/stat.h>

#include "base/syscalls.h"
#include "spool/spool_format.h"

#define FOLDER "/proc/self/fd"

struct kernel_dirent { /* getdents64(2) */
	uint64_t inode;
	int64_t offset;
	uint16_t size;
	uint8_t type;
	char name[];
};

/* Before Linux 6.2: entry by entry.  The descriptor of the listing itself does not count. */
static uint32_t count_entries(void)
{
	const long descriptor = raw_syscall4(
		SYS_openat, AT_FDCWD, (long)FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	_Alignas(struct kernel_dirent) char buffer[2048];
	uint32_t count = 0;
	long got;

	if (descriptor < 0)
		return SPOOL_UNKNOWN;
	while ((got = raw_syscall3(
			SYS_getdents64, descriptor, (long)buffer, sizeof(buffer))) > 0)
		for (long at = 0; at < got;) {
			const struct kernel_dirent *entry = (const void *)(buffer + at);

			count += entry->name[0] != '.';
			at += entry->size;
		}
	raw_syscall1(SYS_close, descriptor);
	return count ? count - 1 : SPOOL_UNKNOWN;
}

uint32_t descriptors_count(uint64_t now_ns, uint64_t age_ns)
{
	static uint64_t counted_ns;
	static uint32_t counted = SPOOL_UNKNOWN;
	struct stat st;

	if (now_ns - __atomic_load_n(&counted_ns, __ATOMIC_RELAXED) <= age_ns)
		return counted;
	if (raw_syscall4(SYS_newfstatat, AT_FDCWD, (long)FOLDER, (long)&st, 0) < 0)
		counted = SPOOL_UNKNOWN;
	else
		counted = st.st_size ? (uint32_t)st.st_size : count_entries();
	__atomic_store_n(&counted_ns, now_ns, __ATOMIC_RELAXED);
	return counted;
}
