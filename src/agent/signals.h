/*
 * Our signal, shared with the host: it is a real-time signal that nobody handled when we
 * started.  The hooks of sigaction and the masks make the host believe it has that signal to
 * itself; what arrives without our cookie is handed to the host's own handler.
 */
#ifndef AGENT_SIGNALS_H
#define AGENT_SIGNALS_H

#include <signal.h>
#include <stdbool.h>

typedef void signal_handler(int number, siginfo_t *info, void *context);

/* Take the first free real-time signal, from the highest down, for HANDLER (SA_ONSTACK |
 * SA_RESTART, everything blocked meanwhile).  Its number, or -EBUSY.  Unblocks it for the
 * calling thread. */
int signals_start(signal_handler *handler);

/* fork() has made a process: the signal is its own now. */
void signals_restart_in_child(void);

/* 0 before signals_start(): no signal is ours. */
int signals_number(void);

/* Let ticks through on the calling thread, whatever mask it inherited. */
void signals_unblock(void);

/* A tick of one of our timers, and not what somebody sent.  Signal-safe. */
bool signals_is_tick(const siginfo_t *info);

/* Somebody else sent our signal: do with it what the host asked for.  Signal-safe. */
void signals_forward(int number, siginfo_t *info, void *context);

#endif
