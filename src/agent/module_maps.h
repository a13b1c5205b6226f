/*
 * The maps that handlers search: sorted, immutable, a few buffers in turn.  A writer fills one
 * that no handler is in and publishes it with one store.
 *
 * modules_enter(), modules_leave() and module_map_find(), declared in modules.h, are here too.
 * What follows is for modules.c, with its lock held.
 */
#ifndef AGENT_MODULE_MAPS_H
#define AGENT_MODULE_MAPS_H

#include "agent/modules.h"

struct module_map *module_maps_current(void);
bool module_maps_current_has(uint32_t instance);
/* No handler is in a map but the current one. */
bool module_maps_old_are_empty(void);

/* Publish a map of the live instances plus NEW_SPANS.  (What was unloaded stays in the old one,
 * where handlers pass it over.)  What a new one covers has been unloaded without our knowing:
 * UNLOADED is called with it.  False: no buffer or no room; nothing has changed. */
bool module_maps_publish(const struct module_span *new_spans, size_t new_count,
	void (*unloaded)(struct module_instance *instance)) MUST_CHECK;

/* After fork(): threads that were inside did not come along. */
void module_maps_restart_in_child(void);

#endif
