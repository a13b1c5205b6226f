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
 * handler is used in place, by threads that run in that library, until the next of those calls
 * copies it.)
 *
 * New libraries are found by dl_watch.c at calls of dlopen, dlsym and dlclose, or when a
 * handler meets a pc that the map does not cover: _dl_find_object (glibc 2.35) answers there
 * without a lock.
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
	uint64_t content; /* identity where there is no build-ID, see object_find_content() */
	uint64_t path_hash;
	uint32_t path_loads; /* of the first module with that path: how often it was loaded */
	uint32_t generation; /* the number of this build's latest load, counted by path */
	uint16_t first_of_path; /* index of the first module with the same path */
	bool has_life;
	uint64_t record_offset, life_offset; /* in the journal */
};

struct module_instance {
	uint64_t bias; /* pc - vaddr */
	struct module *module;
	uint64_t map_start, map_end; /* pc range of the whole object */
	const void *link_map, *unwind_header; /* what _dl_find_object says of it */
	uint32_t generation;
	bool is_live;
};

struct module_span {
	uint64_t start, end; /* pc */
	uint32_t instance;
};

#define MODULE_SPANS_MAX 8192

struct module_map {
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

/* Behind the COUNT frames of a stack, leaf first: the generation of each library on it that was
 * loaded after the start, as notes.  FRAMES has room for SPOOL_FRAMES_PER_STACK_MAX; how many
 * there are then.  Signal-safe. */
size_t modules_append_generations(spool_frame *frames, size_t count);

/* --- for those who look for changes (dl_watch.c), in ordinary context --- */

/* The modules there are, in the order of their ids (index + 1).  Without the lock only what does
 * not change. */
uint32_t modules_count(void);
struct module *modules_at(uint32_t index);
struct spool_life *modules_life(const struct module *m); /* in the spool; NULL: none */
bool modules_is_loaded(const struct module *m);
/* As recorded, not NUL-terminated; lies in the spool. */
const char *modules_path(const struct module *m, size_t *length);

/* All that follow are called with the lock held.  It does not block signals: a handler that comes
 * meanwhile does without.  False: it could not be had. */
bool modules_lock(void) MUST_CHECK;
void modules_unlock(void);
/* The object that _dl_find_object found, which cannot go away while this thread runs in it, holds
 * a handle to it, or holds the loader's lock.  False: it has no header in memory.  (No lock.) */
struct dl_find_object;
struct loaded_object;
bool modules_describe(const struct dl_find_object *found, struct loaded_object *o);
bool modules_has(const struct loaded_object *o);
/* True: the map now covers O. */
bool modules_add(const struct loaded_object *o);
struct module_instance *modules_instance_of(const void *link_map);
/* What NAME will be when it is new: SPOOL_MODULE_APART.  (No lock.) */
void modules_expect_apart(const char *name);
/* Take out what _dl_find_object no longer knows.  DESCRIPTORS: how many the process has open. */
void modules_drop_unloaded(uint32_t descriptors);
/* Copy the unwind tables that handlers have left in place. */
bool modules_copies_pending(void); /* no lock */
void modules_copy_pending(void);

#endif
