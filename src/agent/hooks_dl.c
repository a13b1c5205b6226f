/* dlsym (its way in is in hooks_dlsym.S) and dlclose: when to look for new and vanished
 * libraries. */
#include <dlfcn.h>
#include <errno.h>

#include "agent/agent.h"
#include "agent/modules.h"
#include "agent/real.h"
#include "base/compiler.h"

typedef void *dlsym_function(void *handle, const char *name);
dlsym_function *hooks_before_dlsym(void *handle);

/* Called by dlsym's way in, which then jumps to what this returns. */
dlsym_function *hooks_before_dlsym(void *handle)
{
	real_start();
	if (!modules_know_handle(handle) && agent_is_recording())
		modules_learn_handle(handle);
	return real.dlsym;
}

EXPORT int dlclose(void *handle)
{
	int r;

	real_start();
	if (!agent_is_recording())
		return real.dlclose(handle);
	modules_before_dlclose();
	r = real.dlclose(handle);
	modules_after_dlclose();
	return r;
}
