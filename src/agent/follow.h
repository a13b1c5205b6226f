/* Which processes are recorded: by the name of their program, and by how they came to be. */
#ifndef AGENT_FOLLOW_H
#define AGENT_FOLLOW_H

#include <stdbool.h>

#include "base/settings.h"

/* Is this program among those that S asks for?  In the constructor only. */
bool follow_wants_program(const struct settings *s);

/* Are programs that processes become by exec to be recorded?  And what fork() makes? */
bool follow_wants_exec(const struct settings *s);
bool follow_wants_fork(const struct settings *s);

/* Take this library, whose file is PATH, out of LD_PRELOAD in the environment, for the programs
 * that come after this one.  What else stands there stays, and so does every other variable: the
 * number of variables, too, since programs look for what the kernel put behind them. */
void follow_hide_from_programs(const char *path);

#endif
