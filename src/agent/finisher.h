/*
 * Starting the tool that writes the profile.  Not signal-safe.
 */
#ifndef AGENT_FINISHER_H
#define AGENT_FINISHER_H

#include <stdbool.h>

/* Find the tool beside the library: to be called early, while paths still mean what they meant. */
void finisher_find_tool(void);

/* "plugprof finish SPOOL", waited for.  Its standard streams are /dev/null, except stderr when
 * VERBOSE. The host gets no SIGCHLD and its wait() does not see it. */
void finisher_run(const char *spool_path, bool verbose);

#endif
