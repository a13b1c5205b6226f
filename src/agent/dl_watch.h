/*
 * Looking for libraries that came or went, at the host's own calls of dlopen, dlsym and
 * dlclose: the places where that may take a lock and touch files.  What is found goes to
 * modules.h, and the files of what came to keeper.h.
 *
 * dlopen, dlmopen and dlsym are jumped to, for they look at who calls them, so nothing of ours
 * runs behind them; what came is seen at the next call.
 *
 * Ordinary context, any thread.
 */
#ifndef AGENT_DL_WATCH_H
#define AGENT_DL_WATCH_H

#include <stdbool.h>
#include <stdint.h>

/* Once, in the constructor, behind modules_start(). */
void dl_watch_start(void);
void dl_watch_restart_in_child(void);

/* NAME is about to be opened; NULL: the program itself.  IS_APART: with RTLD_DEEPBIND, or into
 * another namespace. */
void dl_watch_before_dlopen(const char *name, bool is_apart);

/* There is nothing to learn from HANDLE.  Signal-safe. */
bool dl_watch_knows(const void *handle);
void dl_watch_learn_handle(void *handle);

/* How often HANDLE is open, to be told to the second. */
uint32_t dl_watch_before_dlclose(void *handle);
void dl_watch_after_dlclose(void *handle, uint32_t count_before);

/* Recording ends: what came last, what is still open. */
void dl_watch_finish(void);

#endif
