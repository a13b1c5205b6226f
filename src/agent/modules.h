/*
 * Which library's code lies where, now and before.
 *
 * A module is one build of one library and is never forgotten; an instance is one load of it at
 * one place.  Handlers see a map: a sorted, immutable array of executable ranges.  A writer
 * builds the next map in a buffer that no handler is in and publishes it with one store.
 * Every unload begins a new epoch: what was remembered about a pc before is void then.
 *
 * Unwind tables of libraries that dlclose() can take away are copied when the library is
 * registered, so a handler never reads memory that may vanish.  (A big table met first inside a
 * handler is used in place, by threads that run in that library, until the next call of dlsym
 * or dlclose copies it.)
 *
 * New libraries are found when dlsym() is called with their handle, or when a handler meets a
 * pc that the map does not cover: _dl_find_object (glibc 2.35) answers there without a lock.
 */
#ifndef AGENT_MODULES_H
#define AGENT_MODULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/cfi.h"
#include "base/build_id.h"
#include "base/compiler.h"
#include "spool/spool_writer.h"

struct module {
	struct cfi_table unwind;
	bool unwind_in_place; /* still to be copied */
	uint16_t id; /* as in the spool's frames */
	uint32_t flags; /* enum spool_module_flags */
	struct build_id build_id;
	uint64_t fingerprint; /* of path and unwind data: identity where there is no build-ID */
	uint64_t record_offset; /* in the journal; 0 with NO record: see has_record */
	bool has_record;
};

struct module_instance {
	uint64_t bias; /* pc - vaddr */
	struct module *module;
	uint64_t map_start, map_end; /* pc range of the whole object */
	const void *link_map, *unwind_header; /* what _dl_find_object says of it */
	bool is_live;
};

struct module_span {
	uint64_t start, end; /* pc */
	uint32_t instance;
};

#define MODULE_SPANS_MAX 8192

struct module_map {
	uint32_t readers; /* handlers inside */
	uint32_t count;
	struct module_span spans[MODULE_SPANS_MAX];
};

/* Find what is loaded now.  To be called once, before anything else here; not signal-safe. */
void modules_start(struct spool_writer *spool);
/* Around fork(): no other thread is in the middle of a change while the process is copied. */
void modules_hold(void);
void modules_release(void);
/* fork() has made a process with one thread; the journal was copied into SPOOL. */
void modules_restart_in_child(struct spool_writer *spool);

/* For handlers: the map stays as it is until modules_leave(). */
struct module_map *modules_enter(void);
void modules_leave(struct module_map *map);

/* Changes whenever a library was unloaded. */
uint64_t modules_epoch(void);

/* The span that holds PC; NULL: none.  Its instance may be dead meanwhile.  Signal-safe. */
const struct module_span *module_map_find(const struct module_map *map, uint64_t pc);
extern struct module_instance module_instances[];
static inline struct module_instance *module_instance_at(uint32_t index)
{
	return &module_instances[index];
}

/* Nothing covers PC: register the library that does.  True: there is a new map.
 * Signal-safe; may take as long as copying 256 KiB, once a library. */
bool modules_learn_pc(uint64_t pc);

/* Ordinary context (the hooks of dlsym and dlclose). */
bool modules_know_handle(const void *handle); /* nothing to learn from it; signal-safe */
void modules_learn_handle(void *handle);
void modules_before_dlclose(void);
void modules_after_dlclose(void);

#endif
