/*
 * What the chain plugin opens.
 */
#include "work.h"

/* Not a declaration of plugin.h: this is no plugin of the host's. */
__attribute__((visibility("default"))) uint64_t chain_dep_run(uint64_t value);

static KEPT uint64_t chain_dep_grind(uint64_t value)
{
	return WORK_STEPS(value, 2 * WORK_UNIT_STEPS);
}

KEPT uint64_t chain_dep_run(uint64_t value)
{
	return chain_dep_grind(value) + 1;
}
