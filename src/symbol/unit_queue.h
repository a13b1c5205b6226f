/*
 * The units that a batch will need, in its order, and a second thread that reads them before they
 * are asked for, a few at most ahead: whoever needs one that is being read goes on with the next.
 * What comes of it does not depend on the threads, their number, or that a unit was in the queue.
 *
 * All functions are called by one thread.
 */
#ifndef SYMBOL_UNIT_QUEUE_H
#define SYMBOL_UNIT_QUEUE_H

#include "symbol/dwarf_loaded.h"

struct unit_queue;

struct unit_queue *unit_queue_new(void);
void unit_queue_free(struct unit_queue *q); /* takes NULL */

/* U, which outlives its place in the queue, comes behind those that were added before; it will be
 * read as far as WANTED, which is taken. */
void unit_queue_add(struct unit_queue *q, struct dwarf_unit *u, struct dwarf_wanted wanted);
/* All have been added.  Starts the thread where there is work for two, so many BYTES of DWARF or
 * more, and a processor for it. */
void unit_queue_start(struct unit_queue *q, uint64_t bytes);
/* U, read as it was added; the caller's to dwarf_loaded_free().  NULL: it is not in the queue, or
 * too far ahead.  Those before it in the queue will not be asked for. */
struct dwarf_loaded *unit_queue_take(struct unit_queue *q, struct dwarf_unit *u);
/* Ends the thread and empties the queue. */
void unit_queue_clear(struct unit_queue *q);

#endif
