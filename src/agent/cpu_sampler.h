/*
 * Sampling of CPU time: the handler that the threads' timers call.
 */
#ifndef AGENT_CPU_SAMPLER_H
#define AGENT_CPU_SAMPLER_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "spool/spool_writer.h"

/* The handler for signals_start(). */
void cpu_sampler_tick(int number, siginfo_t *info, void *context);

/* From now on ticks are recorded in SPOOL, until cpu_sampler_stop() or until the time its header
 * says; with the generation of each library, if GENERATIONS. */
void cpu_sampler_start(struct spool_writer *spool, bool generations);

/* PERIODS have passed on the calling thread since its last tick, and there will be no other:
 * record them under the note SPOOL_NOTE_ENDED and who started what has ended.  Not in a handler. */
void cpu_sampler_record_end(uint64_t periods);

/* The calling thread is about to run ROUTINE: remember who calls such routines. */
void cpu_sampler_thread_begins(void);

/* No handler records any more when this returns (or a tenth of a second has passed). */
void cpu_sampler_stop(void);

#endif
