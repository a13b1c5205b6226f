/*
 * The goroutine that runs on the calling thread: of Go programs, and of Go libraries in C hosts.
 *
 * Go's runtime keeps a pointer to the running g in a thread-local word, runtime.tlsg (Go:
 * runtime/tls_amd64.s).  In a library that word is reached through the GOT, which holds its place.
 * In a program it is one of the words of PT_TLS: where C has thread-local variables beside it,
 * it is found by what it points to, a g whose m has this thread's number.  While the thread runs on
 * another stack, of the scheduler, of a signal, or of C, that m knows the user's goroutine.
 *
 * All memory of Go is asked for before it is read; no pointer is trusted.
 */
#ifndef AGENT_GO_RUNTIME_H
#define AGENT_GO_RUNTIME_H

#include <stdint.h>

#include "agent/loaded_object.h"
#include "agent/stack_memory.h"
#include "base/go_layout.h"
#include "spool/spool_writer.h"

/* From now on Go's runtimes are looked at; the first whose version is not known is told in
 * SPOOL. */
void go_runtime_start(struct spool_writer *spool);

/* fork() has made a process, whose spool is SPOOL. */
void go_runtime_restart_in_child(struct spool_writer *spool);

/* O, which holds Go code, was loaded, perhaps a while ago.  In ordinary context, one caller at a
 * time. */
void go_runtime_add(const struct loaded_object *o);

/* Places where the running g may be; 0: no goroutine will be found. */
extern uint32_t go_place_count;

/* Where the labels of the goroutine are that runs on the calling thread, and the form they have;
 * 0: it has none.  They stay as they are while the thread stands still.  Signal-safe. */
uint64_t go_runtime_labels(struct stack_memory *memory, enum go_label_form *form);

#endif
