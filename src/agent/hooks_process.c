/* daemon(), and the ways out of a process that run no destructor: _exit and _Exit.  (quick_exit
 * calls us by at_quick_exit, exit by our destructor; exec and fatal signals leave a whole spool as
 * it is.) */
#include <stdlib.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/real.h"
#include "base/compiler.h"

EXPORT int daemon(int keep_folder, int keep_output)
{
	int r;

	real_start();
	agent_daemon_begins();
	r = real.daemon(keep_folder, keep_output);
	agent_daemon_is_made();
	return r;
}

EXPORT void _exit(int status)
{
	real_start();
	agent_stop();
	real._exit(status);
}

EXPORT void _Exit(int status)
{
	_exit(status);
}
