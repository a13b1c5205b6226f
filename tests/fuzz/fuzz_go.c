/* Any bytes as Go's pclntab, its inlining data in its own second half. */
#include <stdlib.h>

#include "symbol/go_table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct go_frame frames[GO_FRAMES_MAX];
	struct go_table t;

	if (!go_table_open(&t, bytes_over(data, size), 0x401000))
		return 0;
	t.inlining = bytes_over(data + size / 2, size - size / 2);
	for (uint64_t vaddr = 0x401000; vaddr < 0x401200; vaddr += 7) {
		const size_t count = go_table_find(&t, vaddr, frames);

		for (size_t i = 0; i < count; i++)
			if (!frames[i].function[0])
				abort();
	}
	return 0;
}
