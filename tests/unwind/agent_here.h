/* As much of the agent as unwinding needs, started in the test's own process. */
#ifndef TESTS_UNWIND_AGENT_HERE_H
#define TESTS_UNWIND_AGENT_HERE_H

#include <stdint.h>

#include "spool/spool_format.h"

/* The modules are known, the calling (main) thread too; frames of the program itself, into
 * which the agent is linked, are seen like any other.  Exits on failure. */
void agent_here_start(void);

/* The frame for the exact PC. */
spool_frame agent_here_frame(uint64_t pc);

#endif
