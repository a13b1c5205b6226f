#include "agent/operators.h"

#include "agent/dl_symbols.h"
#include "agent/real_alloc.h"
#include "base/compiler.h"

static struct operator_next next[OPERATOR_COUNT];
static bool is_known;

/* For who asks though nobody answers: a weak reference of a C library's, which is none now.  The
 * first arguments are the same in all of a kind. */
static void *new_by_malloc(size_t size)
{
	return real_alloc.malloc(size ? size : 1);
}

static void *new_by_aligned_alloc(size_t size, size_t alignment)
{
	return real_alloc.aligned_alloc(alignment, size ? size : 1);
}

static void delete_by_free(void *block)
{
	real_alloc.free(block);
}

static void *fallback_of(enum operator_id id)
{
	if (id >= OPERATOR_ZdlPv)
		return (void *)delete_by_free;
	return id >= OPERATOR_ZnwmSt11align_val_t ? (void *)new_by_aligned_alloc :
						    (void *)new_by_malloc;
}

/* A second copy of ours answers malloc, too, and is none. */
static bool is_allocator(const struct link_map *library)
{
	return dl_symbols_find_in(library, "malloc") &&
	       !dl_symbols_find_in(library, "plugprof_set_label");
}

COLD void operators_look_up(void)
{
#define ROW(name, parameters, arguments) #name,
	static const char *const names[] = { OPERATORS_NEW(ROW) OPERATORS_DELETE(ROW) };
#undef ROW
	const char *unwanted[OPERATOR_COUNT];
	size_t unwanted_count = 0;

	if (__atomic_load_n(&is_known, __ATOMIC_ACQUIRE))
		return;
	for (size_t i = 0; i < OPERATOR_COUNT; i++) {
		const struct dl_definition d = dl_symbols_find_behind(names[i]);

		next[i].is_allocators = d.library && is_allocator(d.library);
		next[i].function = d.function ? d.function : fallback_of(i);
		if (!next[i].is_allocators)
			unwanted[unwanted_count++] = names[i];
	}
	__atomic_store_n(&is_known, true, __ATOMIC_RELEASE);
	if (unwanted_count)
		dl_symbols_withdraw(unwanted, unwanted_count);
}

const struct operator_next *operators_next(enum operator_id id)
{
	operators_look_up();
	return &next[id];
}
