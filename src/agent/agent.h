/*
 * The agent's life: start in the constructor, stop in the destructor (or _exit, quick_exit),
 * anew in a child of fork().
 *
 * Start: real functions, settings, spool, modules, signal, handler's target, main thread's timer.
 * Stop: handler's target away, handlers waited for, spool ended, the tool started to write the
 * profile.  What was started is not taken apart: the process is about to end.
 */
#ifndef AGENT_AGENT_H
#define AGENT_AGENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/stack_memory.h"

/* Started, not stopped, and in the very process that was started, not in a copy made behind our
 * back (a child of vfork, which has the same memory, counts as that process). */
bool agent_is_recording(void);

/* A thread begins: its stack, the name it inherits, what it will run. */
void agent_thread_begins(struct stack_range stack, uint16_t name, void *routine);

/* A filter of system calls is coming, of which nobody knows what it lets through: no system call
 * from now on that the program might not make itself.  The profile is not written at the end, but
 * kept for the recorder, or for "plugprof recover". */
void agent_confine(void);

/* daemon() is about to fork, and the parent to end in a way that no hook sees; and has done so. */
void agent_daemon_begins(void);
void agent_daemon_is_made(void);

/* Recording ends and the profile is written.  The second call does nothing; nor does a call in
 * another process (a child of vfork). */
void agent_stop(void);

#endif
