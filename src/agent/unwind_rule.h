/* What leads from a place in the code to its caller, found the long way.  Signal-safe. */
#ifndef AGENT_UNWIND_RULE_H
#define AGENT_UNWIND_RULE_H

#include "agent/unwind_walk.h"

/* The rule for PC, the walk's own or in the call before it; it is remembered.  SHAPE_NONE: no
 * library is there. */
union rule unwind_rule_find(struct walk *w, uint64_t pc);

/* The walk is in code of no library.  True: its instructions lead on, by scratch->exit. */
bool unwind_rule_of_generated(struct walk *w);

#endif
