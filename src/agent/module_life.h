/*
 * What the spool tells of a module's life: how often and when it was loaded and unloaded.
 * Called by modules.c with its lock held; signal-safe.
 */
#ifndef AGENT_MODULE_LIFE_H
#define AGENT_MODULE_LIFE_H

#include <stdint.h>

#include "agent/modules.h"
#include "spool/spool_writer.h"

/* Behind M's module record: a life record, if M was loaded after the start or has no build-ID. */
void module_life_begin(struct spool_writer *spool, struct module *m);

/* INSTANCE is a load of its path, NUMBER from 1. */
void module_life_loaded(
	struct spool_writer *spool, struct module_instance *instance, uint32_t number);
/* When that was last so, of whatever library; CLOCK_MONOTONIC.  (No lock.) */
uint64_t module_life_latest_load_ns(void);
void module_life_unloaded(struct spool_writer *spool, const struct module_instance *instance);

#endif
