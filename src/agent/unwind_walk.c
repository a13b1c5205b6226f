#include "agent/unwind_walk.h"

void walk_enter_map(struct walk *w)
{
	if (w->map)
		modules_leave(w->map);
	w->map = modules_enter();
	w->epoch = modules_epoch();
	if (w->tree && w->tree->epoch != w->epoch)
		w->tree_is_void = true;
}

const struct module_instance *walk_find_instance(struct walk *w, uint64_t pc, uint32_t *index)
{
	const struct module_span *span;

	if (!w->map)
		walk_enter_map(w);
	span = walk_find_span(w->map, pc);
	if (!span && !w->learned) {
		/* Once a walk: JIT code is asked about in vain each time. */
		w->learned = true;
		if (modules_learn_pc(pc)) {
			w->learned = false;
			walk_enter_map(w);
			span = walk_find_span(w->map, pc);
		}
	}
	if (!span)
		return NULL;
	*index = span->instance;
	return module_instance_at(span->instance);
}
