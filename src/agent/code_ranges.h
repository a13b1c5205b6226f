/*
 * Executable memory that belongs to no library: what JIT compilers write.  Asked of the kernel
 * page by page of the address space as stacks lead there, and remembered; a range that was
 * given back meanwhile can only make a stack longer than it is, never be read.
 *
 * Linux 6.11 answers for one address (PROCMAP_QUERY, include/uapi/linux/fs.h); before that
 * nothing is known, and such stacks end where the generated code begins.  Signal-safe.
 */
#ifndef AGENT_CODE_RANGES_H
#define AGENT_CODE_RANGES_H

#include <stdbool.h>
#include <stdint.h>

/* Is PC in executable memory? */
bool code_ranges_hold(uint64_t pc);

#endif
