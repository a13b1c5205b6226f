/* Running the program to be profiled: found as the shell would, with the agent preloaded. */
#ifndef CLI_LAUNCH_H
#define CLI_LAUNCH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/compiler.h"
#include "base/settings.h"

/* The path of libplugprof.so that goes with this tool; NULL: not found.  free()d by the caller. */
char *launch_find_agent(void);

/* The file PROGRAM names, by PATH when it has no slash; NULL: none that can be run, and errno. */
char *launch_find_program(const char *program);

/* Is PROGRAM's loader musl's?  There the agent steps aside. */
bool launch_is_for_musl(const char *program);

struct launch {
	pid_t child;
	bool ended;
	int status; /* as wait(2) gives it */
};

/* Start ARGV (ARGV[0] was found as PROGRAM) with AGENT preloaded and SETTINGS in its environment.
 * 0 or -errno: what exec said. */
int launch_start(struct launch *l, const char *program, char **argv, const char *agent,
	const struct settings *settings) MUST_CHECK;

/* Wait until the child ends or, when not 0, TIMEOUT_NS have passed; signals that would end us
 * go to the child. */
void launch_wait(struct launch *l, uint64_t timeout_ns);

/* Wait for TIMEOUT_NS once the child has ended.  False: a signal asked us to end. */
bool launch_pause(uint64_t timeout_ns);

/* The status a shell would give: 128+N for a signal. */
int launch_exit_status(const struct launch *l);

#endif
