/*
 * The agent's half of the spool.  There is one writer in a process.  Everything but
 * spool_create() may be called from signal handlers; nothing here allocates, waits or touches
 * errno. A write that finds no room is dropped and counted (enum spool_counter).
 */
#ifndef SPOOL_WRITER_H
#define SPOOL_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "spool/live_index.h"
#include "spool/spool_format.h"

#define SPOOL_CHUNK_SIZE ((size_t)16 << 10) /* bytes allocated ahead at once */
#define SPOOL_CHUNKS_MAX 8192

struct spool_writer {
	struct spool_header *header; /* the mapping; NULL: there is no spool */
	char *journal;
	struct spool_thread_name *thread_names;
	struct spool_stack *stacks; /* NULL: CPU time is not sampled */
	spool_frame *frames;
	struct spool_label_set *label_sets;
	struct spool_label_texts *label_texts;
	struct spool_heap *heap; /* NULL, and the next two: allocations are not sampled */
	struct spool_live *live;
	struct spool_heap_stack *heap_stacks;
	uint32_t journal_size, thread_name_count, stack_count, frame_count; /* capacities */
	uint32_t label_set_count, label_texts_size; /* the latter in bytes */
	uint32_t live_count, heap_stack_levels;
	uint32_t live_used; /* slots; those behind were never used */
	struct { /* see live_writer.c */
		uint64_t head;
	} __attribute__((aligned(64))) free_live[16];
	struct live_index live_index;
	bool populates; /* the kernel knows MADV_POPULATE_WRITE */
	bool was_used; /* what follows may be an earlier spool's */
	uint32_t recent_heap_stacks[4096]; /* slots, by key */
	uint8_t touched[SPOOL_CHUNKS_MAX]; /* chunk has its memory */
};

struct spool_identity {
	uint64_t process_start_ticks; /* 0: to be asked of /proc */
	uint64_t session;
	uint32_t recorder_pid;
	uint64_t period_ns;
	uint64_t stop_monotonic_ns; /* 0: at the end */
	bool cpu_off; /* no place for CPU samples */
	uint64_t heap_rate_bytes; /* 0: no place for allocations */
};

/* Make FOLDER (0700; refused when somebody else's) and in it PID.N.spool (0600) with the first
 * free N, mapped; the state stays SPOOL_BEING_MADE until spool_begin().  The name goes to
 * PATH.  *W is zero, or was abandoned.  0 or -errno: *W is then empty.  Not signal-safe, but
 * allocates nothing. */
int spool_create(struct spool_writer *w, const char *folder, const struct spool_identity *identity,
	char *path, size_t path_size) MUST_CHECK;
void spool_begin(struct spool_writer *w);
/* Recording is over: sets end time and SPOOL_ENDED. */
void spool_end(struct spool_writer *w);
/* Copy FROM's journal, thread names and labels, so that module ids, journal offsets and indices
 * mean the same in W, which was just created; and its live allocations, which the child has too.
 * For a child of fork().  False: no memory for it. */
bool spool_inherit(struct spool_writer *w, const struct spool_writer *from) MUST_CHECK;
/* Unmap; the file stays.  Also what a child of fork() does with its parent's spool. */
void spool_abandon(struct spool_writer *w);

/* For the parts of the writer: the memory of [START, START+SIZE) is there (false: refused); it was
 * written to before. */
bool spool_touch(struct spool_writer *w, const void *start, size_t size);
static inline bool spool_is_touched(const struct spool_writer *w, const void *start)
{
	const size_t offset = (size_t)((const char *)start - (const char *)w->header);

	return __atomic_load_n(&w->touched[offset / SPOOL_CHUNK_SIZE], __ATOMIC_RELAXED);
}
/* The first of the SIZE-byte entries from AT on, before END, whose memory is there; END: none.
 * Passes over whole chunks. */
void *spool_find_touched(
	const struct spool_writer *w, const void *at, const void *end, size_t size);
/* Copy the SIZE bytes from START on in FROM's mapping to the same place in W's, as far as they were
 * written to.  False: no memory for it. */
bool spool_copy_touched(struct spool_writer *w, const struct spool_writer *from,
	const void *start, size_t size);
/* FRAMES copied: what the stack's FRAMES field is to become; SPOOL_FRAMES_REFUSED: no room. */
uint64_t spool_store_frames(
	struct spool_writer *w, const spool_frame *frames, size_t frame_count);
/* The frame of SPOOL_NOTE_TABLE_FULL is in its place.  False: no memory. */
bool spool_fill_note_frame(struct spool_writer *w);

void spool_count(struct spool_writer *w, enum spool_counter counter, uint64_t more);

/* Journal.  The caller sees to it that only one thread writes at a time. */
bool spool_append_text(struct spool_writer *w, enum spool_text_kind kind, const char *text);
/* MODULE's sizes and counts tell how much SEGMENTS, PATH and NAMES hold; its record part is
 * filled in here.  The record in the spool, whose changing fields the caller updates; NULL: no
 * room. */
struct spool_module *spool_append_module(struct spool_writer *w, const struct spool_module *module,
	const struct spool_segment *segments, const char *path, const char *names);

/* How MODULE_ID is used, beside its module record; NULL: no room.  LIFE's record part is filled in
 * here, the rest is the caller's to update. */
struct spool_life *spool_append_life(struct spool_writer *w, const struct spool_life *life);

/* The index of NAME among the thread names, added when new; 0 ("") when there is no room. */
uint16_t spool_intern_thread_name(struct spool_writer *w, const char name[static 16]);

/* Half of the room for stacks is taken.  Labels that differ from sample to sample (a request's
 * number) make a new stack of each: they do not get the other half. */
bool spool_is_half_full(const struct spool_writer *w);

/* One sample of PERIODS ticks with FRAMES (leaf first).  Copies them when the stack is new; a new
 * stack goes without its note of labels, which is the last, where the above is true, and that is
 * counted.  Any thread, any handler. */
void spool_append_sample(struct spool_writer *w, const spool_frame *frames, size_t frame_count,
	uint16_t thread_name, uint64_t periods);

#endif
