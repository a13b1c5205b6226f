/*
 * The agent's half of the spool, for the allocations that are live.  May be called by any
 * thread, also from a handler that interrupted another call: nothing here locks, allocates (but
 * for mappings of our own) or touches errno.  THREAD is any number that threads differ in: what
 * one has removed, it best adds itself.
 */
#ifndef SPOOL_LIVE_WRITER_H
#define SPOOL_LIVE_WRITER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "spool/spool_writer.h"

/* LIVE's own check field is filled in here.  Its address is not among the live ones.  False: no
 * place; counted. */
bool spool_add_live(struct spool_writer *w, const struct spool_live *live, uint32_t thread);
/* False: ADDRESS is not among the live ones.  *WAS is a copy of what was removed. */
bool spool_remove_live(
	struct spool_writer *w, uint64_t address, uint32_t thread, struct spool_live *was);
/* Perhaps ADDRESS is: hardly ever yes without reason. */
bool spool_may_have_live(const struct spool_writer *w, uint64_t address);
/* One of these is about to be called for ADDRESS. */
void spool_prefetch_live(const struct spool_writer *w, uint64_t address);
/* The same for some mapping that has a part between START and END. */
bool spool_remove_mapping(struct spool_writer *w, uint64_t start, uint64_t end, uint32_t thread,
	struct spool_live *was);

/* Parts of spool_create() (0 or -errno), of spool_abandon() and of spool_inherit(). */
int spool_start_live(struct spool_writer *w) MUST_CHECK;
void spool_abandon_live(struct spool_writer *w);
bool spool_inherit_live(struct spool_writer *w, const struct spool_writer *from) MUST_CHECK;

#endif
