/* dlopen, dlmopen, dlsym (their ways in are in hooks_dl_entry.S) and dlclose: when to look for new
 * and vanished libraries. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>

#include "agent/agent.h"
#include "agent/dl_watch.h"
#include "agent/real.h"
#include "base/compiler.h"

/* Each is called by its way in, which then jumps to what it returns. */
void *hooks_before_dlopen(const char *name, int mode);
void *hooks_before_dlmopen(long space, const char *name, int mode);
void *hooks_before_dlsym(void *handle, const char *name);

void *hooks_before_dlopen(const char *name, int mode)
{
	real_start();
	if (agent_is_recording())
		dl_watch_before_dlopen(name, mode & RTLD_DEEPBIND);
	return (void *)real.dlopen;
}

void *hooks_before_dlmopen(long space, const char *name, int mode)
{
	real_start();
	if (agent_is_recording())
		dl_watch_before_dlopen(name, space != LM_ID_BASE || (mode & RTLD_DEEPBIND));
	return (void *)real.dlmopen;
}

void *hooks_before_dlsym(void *handle, const char *name)
{
	(void)name;
	real_start();
	if (!dl_watch_knows(handle) && agent_is_recording())
		dl_watch_learn_handle(handle);
	return (void *)real.dlsym;
}

EXPORT int dlclose(void *handle)
{
	uint32_t count;
	int r;

	real_start();
	if (!agent_is_recording())
		return real.dlclose(handle);
	count = dl_watch_before_dlclose(handle);
	r = real.dlclose(handle);
	dl_watch_after_dlclose(handle, count);
	return r;
}
