/*
 * _init and _fini of the C runtime (crti.o, crtn.o): a section each, put together from parts of
 * several object files, so their symbols have no size and no FDE covers them.  The section's
 * bounds are the function's.  (System V gABI 4.1, "Special Sections": .init, .fini.)
 */
#include "symbol/source.h"

#include "base/compiler.h"

static const struct {
	const char *section, *function;
} parts[] = { { ".init", "_init" }, { ".fini", "_fini" } };

struct init {
	uint64_t starts[ARRAY_SIZE(parts)], ends[ARRAY_SIZE(parts)]; /* vaddr */
};

static void *init_open(const struct source_input *input)
{
	struct init init = { .starts = { 0 } };
	bool any = false;

	for (size_t i = 0; i < ARRAY_SIZE(parts) && input->file_count; i++) {
		struct binary_section section;

		if (!binary_find_section(input->files[0], parts[i].section, &section) ||
			!section.vaddr)
			continue;
		init.starts[i] = section.vaddr;
		init.ends[i] = section.vaddr + bytes_left(&section.bytes);
		any |= init.ends[i] > init.starts[i];
	}
	return any ? memcpy(xmalloc(sizeof(init)), &init, sizeof(init)) : NULL;
}

static bool init_resolve(void *state, uint64_t vaddr, struct source_frames *out)
{
	const struct init *init = state;

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		if (vaddr < init->starts[i] || vaddr >= init->ends[i])
			continue;
		*VEC_PUSH(&out->frames) = (struct source_frame){ .name = parts[i].function };
		return true;
	}
	return false;
}

static void init_close(void *state)
{
	free(state);
}

static void init_visit_boundaries(void *state, source_boundary_visitor *visit, void *context)
{
	const struct init *init = state;

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		visit(context, init->starts[i]);
		visit(context, init->ends[i]);
	}
}

const struct source source_init = {
	.name = ".init and .fini",
	.verdict = VERDICT_FDE_ONLY,
	.resolves = true,
	.open = init_open,
	.resolve = init_resolve,
	.visit_boundaries = init_visit_boundaries,
	.close = init_close,
};
