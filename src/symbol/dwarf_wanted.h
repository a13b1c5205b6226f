/*
 * The addresses of a unit that are going to be asked for.  No more of the unit is read than they
 * need: where they are few, most functions are passed over.
 */
#ifndef SYMBOL_DWARF_WANTED_H
#define SYMBOL_DWARF_WANTED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/xalloc.h"

struct dwarf_wanted { /* all zero: any address of the unit */
	uint64_t *vaddrs; /* sorted */
	size_t count;
};

/* The COUNT, 1 or more, sorted VADDRS.  The copy is the caller's. */
static inline struct dwarf_wanted dwarf_wanted_copy(const uint64_t *vaddrs, size_t count)
{
	struct dwarf_wanted w = { xreallocarray(NULL, count, sizeof(*vaddrs)), count };

	memcpy(w.vaddrs, vaddrs, count * sizeof(*vaddrs));
	return w;
}

/* How many of them lie before VADDR. */
static inline size_t dwarf_wanted_before(const struct dwarf_wanted *w, uint64_t vaddr)
{
	size_t low = 0, high = w->count;

	while (low < high) {
		const size_t middle = low + (high - low) / 2;

		if (w->vaddrs[middle] < vaddr)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The first that is not before VADDR; UINT64_MAX: none is. */
static inline uint64_t dwarf_wanted_from(const struct dwarf_wanted *w, uint64_t vaddr)
{
	const size_t before = dwarf_wanted_before(w, vaddr);

	return before < w->count ? w->vaddrs[before] : UINT64_MAX;
}

/* Is any of them in the range, which is not empty? */
static inline bool dwarf_wanted_in(const struct dwarf_wanted *w, uint64_t start, uint64_t end)
{
	return w->count == 0 || dwarf_wanted_from(w, start) < end;
}

#endif
