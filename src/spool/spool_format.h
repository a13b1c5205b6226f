/*
 * The spool: what the agent writes and the tool reads, and all that the two halves share.
 * This file is the specification; plugprof-spool(5) is its text.
 *
 * A spool is one file of fixed size on tmpfs, mapped shared by the profiled process: whatever
 * ends that process (exit, _exit, exec, SIGKILL), what was recorded is in the file.  It
 * is sparse: pages are allocated ahead of their first use, so a full tmpfs loses samples, which
 * are counted, and never raises SIGBUS.
 *
 *   header | heap | journal | thread names | live allocations | heap stacks | stacks | frames |
 *   label sets | label texts
 *
 * What was not asked for (CPU time, allocations) has no section.
 *
 * Numbers are little-endian.  Writers are the process's own threads, in and out of signal
 * handlers.  Each kind of record is committed by one release store, named below; a reader at any
 * moment sees whole records only.  Numbers of types, kinds and counters are never reused.
 */
#ifndef SPOOL_FORMAT_H
#define SPOOL_FORMAT_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#define SPOOL_MAGIC "plugspl" /* 8 bytes with its NUL */
#define SPOOL_VERSION 1
#define SPOOL_SUFFIX ".spool"

enum spool_section_type {
	SPOOL_SECTION_JOURNAL = 1, /* struct spool_record, one behind the other */
	SPOOL_SECTION_THREAD_NAMES = 2, /* struct spool_thread_name */
	SPOOL_SECTION_CPU_STACKS = 3, /* struct spool_stack: a hash table */
	SPOOL_SECTION_FRAMES = 4, /* spool_frame */
	SPOOL_SECTION_HEAP = 5, /* struct spool_heap, one */
	SPOOL_SECTION_LIVE = 6, /* struct spool_live, in buckets */
	SPOOL_SECTION_HEAP_STACKS = 7, /* struct spool_heap_stack, in buckets and one more */
	SPOOL_SECTION_LABEL_SETS = 8, /* struct spool_label_set: a hash table */
	SPOOL_SECTION_LABEL_TEXTS = 9, /* struct spool_label_texts, and bytes */
};
#define SPOOL_SECTIONS_MAX 12

struct spool_section {
	uint32_t type; /* enum spool_section_type; 0: unused.  Unknown ones are passed over */
	uint32_t entry_size; /* bytes; 0: entries carry their own */
	uint64_t offset; /* bytes from the start of the file */
	uint64_t size; /* bytes */
};
static_assert(sizeof(struct spool_section) == 24, "spool format changed");

enum spool_state {
	SPOOL_BEING_MADE = 0, /* nothing in it can be relied on */
	SPOOL_RECORDING = 1, /* also what a killed process leaves */
	SPOOL_ENDED = 2, /* the process said good-bye: END_MONOTONIC_NS is set */
};

/* What was seen, and what was lost and why. */
enum spool_counter {
	SPOOL_COUNT_TICKS =
		0, /* timer periods that samples stand for, the lost ones included */
	SPOOL_COUNT_SAMPLES = 1, /* samples taken: one may stand for several periods */
	SPOOL_LOST_BUSY =
		2, /* periods lost: no scratch memory free, too many handlers at once */
	SPOOL_LOST_MEMORY = 3, /* periods lost: tmpfs or memory limit refused a page */
	SPOOL_COUNT_TABLE_FULL = 4, /* periods kept under the frame "stack table full" */
	SPOOL_COUNT_TRUNCATED = 5, /* stacks that ended before their root */
	SPOOL_COUNT_THREADS = 6, /* threads that got a timer */
	SPOOL_COUNT_THREADS_SCANNED = 7, /* of these, found by a scan and not by a hook */
	SPOOL_COUNT_TIMERS_REFUSED =
		8, /* threads without a timer of their own (RLIMIT_SIGPENDING) */
	SPOOL_COUNT_FALLBACK_TICKS = 9, /* periods counted by the process-wide timer instead */
	SPOOL_COUNT_MODULES_DROPPED =
		10, /* times a library found no place in journal or tables */
	SPOOL_COUNT_FOREIGN_SIGNALS = 11, /* our signal, sent by somebody else */
	SPOOL_COUNT_HEAP_SAMPLES = 12, /* allocations sampled, the lost ones included */
	SPOOL_COUNT_HEAP_FREES = 13, /* sampled allocations that were freed */
	SPOOL_LOST_HEAP_BUSY = 14, /* sampled in a handler that interrupted such a sample, or by
				    * more threads at once than there is scratch memory for */
	SPOOL_LOST_HEAP_MEMORY = 15, /* sampled, but tmpfs or memory limit refused a page */
	SPOOL_COUNT_HEAP_TABLE_FULL = 16, /* kept under the frame "stack table full" */
	SPOOL_LOST_LIVE = 17, /* counted as allocated, but no place among the live ones */
	SPOOL_COUNT_HEAP_TRUNCATED = 18, /* stacks that ended before their root */
	SPOOL_COUNTERS_MAX = 32,
};

/* A histogram of the handler's own cost: bucket i counts handlers that took between
 * 2^(SPOOL_COST_FIRST + i/4) and the next quarter power of two time-stamp counter cycles. */
#define SPOOL_COST_FIRST 8
#define SPOOL_COST_BUCKETS 64

struct spool_header {
	char magic[8];
	uint32_t version;
	uint32_t header_size; /* bytes, this struct */
	uint64_t file_size; /* bytes */
	uint64_t state; /* enum spool_state; the release store that commits the header */

	uint32_t pid;
	uint32_t uid;
	uint64_t process_start_ticks; /* field 22 of /proc/PID/stat: tells a reused pid */
	uint64_t session; /* which "plugprof record" it belongs to; 0: none */
	uint32_t recorder_pid; /* that record's own process; 0: none */
	uint32_t image; /* 0, or the number of programs this pid ran before (exec) */

	uint64_t start_realtime_ns; /* CLOCK_REALTIME */
	uint64_t start_monotonic_ns; /* CLOCK_MONOTONIC */
	uint64_t start_tsc; /* the time-stamp counter then */
	uint64_t last_monotonic_ns; /* at the latest sample */
	uint64_t last_tsc;
	uint64_t end_monotonic_ns; /* 0 until SPOOL_ENDED */

	uint64_t period_ns; /* of thread CPU time between two ticks */
	uint64_t stop_monotonic_ns; /* when sampling stops or stopped by itself; 0: at the end */
	uint64_t journal_used; /* bytes; the release store that commits a record */
	uint64_t frames_used; /* frames handed out; may pass the section's size */
	uint64_t stacks_used; /* slots claimed */

	struct spool_section sections[SPOOL_SECTIONS_MAX];
	uint64_t counters[SPOOL_COUNTERS_MAX]; /* enum spool_counter */
	uint64_t handler_cost[SPOOL_COST_BUCKETS];
};
static_assert(sizeof(struct spool_header) == 1208, "spool format changed");

/* There is something to write a profile of. */
static inline int spool_has_samples(const struct spool_header *header)
{
	return header->counters[SPOOL_COUNT_SAMPLES] ||
		header->counters[SPOOL_COUNT_HEAP_SAMPLES];
}

/* --- journal --- */

enum spool_record_type {
	SPOOL_RECORD_TEXT = 1,
	SPOOL_RECORD_MODULE = 2,
	SPOOL_RECORD_LIFE = 3,
};

struct spool_record { /* 8-byte aligned */
	uint32_t size; /* bytes, this header included: how to skip an unknown type */
	uint16_t type; /* enum spool_record_type */
	uint16_t reserved;
	uint64_t time_ns; /* CLOCK_MONOTONIC */
};
static_assert(sizeof(struct spool_record) == 16, "spool format changed");

enum spool_text_kind {
	SPOOL_TEXT_EXECUTABLE = 1, /* absolute path */
	SPOOL_TEXT_FOLDER = 2, /* the working directory at the start */
	SPOOL_TEXT_OUTPUT = 3, /* template of the profile's name, relative to that folder */
	SPOOL_TEXT_OPTIONS = 4, /* for whoever writes the profile: "raw" or "" */
	SPOOL_TEXT_HEAP_UNSEEN = 10, /* which allocations cannot be sampled, and why */
	SPOOL_TEXT_GO_UNKNOWN = 11, /* the version of a Go runtime whose labels cannot be read */
	SPOOL_TEXT_STORE = 5, /* the folder that library files were kept in; see base/store.h */
};

struct spool_text {
	struct spool_record record;
	uint32_t kind; /* enum spool_text_kind */
	uint32_t length; /* bytes that follow, no NUL */
};
static_assert(sizeof(struct spool_text) == 24, "spool format changed");

enum spool_module_flags {
	SPOOL_MODULE_MAIN = 1, /* the program */
	SPOOL_MODULE_DLOPENED = 2, /* not there when the program started: a plugin */
	SPOOL_MODULE_VDSO = 4,
	SPOOL_MODULE_GO = 8, /* holds Go code */
	SPOOL_MODULE_AGENT = 16, /* plugprof's own; never in a stack */
	SPOOL_MODULE_LOADER = 32, /* ld.so */
	SPOOL_MODULE_APART = 64, /* opened with RTLD_DEEPBIND or into a namespace of its own: it
				  * calls libc past the agent's hooks */
};

#define SPOOL_BUILD_ID_MAX 40

/* One build of one library.  The same build loaded again is the same record. */
struct spool_module {
	struct spool_record record;
	uint32_t id; /* 1..SPOOL_MODULE_ID_MAX, counting up */
	uint32_t flags; /* enum spool_module_flags */
	uint64_t first_bias; /* load bias (pc - vaddr) when first loaded */
	/* These change while the process runs, each by one store. */
	uint64_t loads, unloads;
	uint64_t last_load_ns, last_unload_ns; /* CLOCK_MONOTONIC; 0: never */
	uint32_t build_id_size; /* bytes; 0: no build-ID */
	uint8_t build_id[SPOOL_BUILD_ID_MAX];
	uint32_t path_length; /* bytes after the segments, no NUL */
	uint32_t segment_count; /* struct spool_segment, behind this struct */
	uint32_t names_length; /* bytes after the path: DT_SONAME (may be empty) and every
				* DT_NEEDED, each with its NUL: tells a plugin from what it only
				* needs */
};
static_assert(sizeof(struct spool_module) == 120, "spool format changed");

/* An executable PT_LOAD, as the loader maps it: whole pages. */
struct spool_segment {
	uint64_t vaddr; /* page-aligned down */
	uint64_t size; /* bytes, page-aligned up */
	uint64_t file_offset; /* of VADDR */
};
static_assert(sizeof(struct spool_segment) == 24, "spool format changed");

/* What became of the file of a library that was loaded after the start. */
enum spool_kept {
	SPOOL_KEPT_NOT_YET = 0, /* nobody has looked, or the process was killed before */
	SPOOL_KEPT_THERE = 1, /* the store had this build already */
	SPOOL_KEPT_REFLINK = 2,
	SPOOL_KEPT_HARD_LINK = 3,
	SPOOL_KEPT_COPY = 4,
	SPOOL_KEPT_NEVER = 5, /* keep=never */
	SPOOL_KEPT_TOO_LARGE = 6, /* to be copied, and links are not possible */
	SPOOL_KEPT_GONE = 7, /* the file had vanished before anybody could look */
	SPOOL_KEPT_REPLACED = 8, /* the file was another build by then */
	SPOOL_KEPT_FAILED = 9, /* kept_error says why */
};

/* One load of a path at one place, until it was unloaded. */
struct spool_generation {
	uint64_t number; /* the first load of that path is 1; 0: no entry.  Stored last */
	uint64_t load_ns, unload_ns; /* CLOCK_MONOTONIC; UNLOAD_NS 0: still loaded */
	uint64_t bias; /* pc - vaddr */
};
static_assert(sizeof(struct spool_generation) == 32, "spool format changed");

#define SPOOL_GENERATIONS_MAX 8
#define SPOOL_UNKNOWN UINT32_MAX

/* How a library that was loaded after the start is used; follows its module record.  All but
 * MODULE_ID change while the process runs, each by one store. */
struct spool_life {
	struct spool_record record;
	uint32_t module_id;
	uint32_t kept; /* enum spool_kept */
	uint32_t kept_error; /* errno, for SPOOL_KEPT_FAILED */
	uint32_t references; /* dlopen less dlclose, when last looked at; SPOOL_UNKNOWN */
	/* Open descriptors of the process: before the first load, and when the library was last
	 * seen unloaded, or at the end; SPOOL_UNKNOWN. */
	uint32_t descriptors_before, descriptors_after;
	uint64_t content_id; /* where there is no build-ID, see base/content_id.h; else 0 */
	/* The latest generations: that of NUMBER is at NUMBER modulo SPOOL_GENERATIONS_MAX. */
	struct spool_generation generations[SPOOL_GENERATIONS_MAX];
};
static_assert(sizeof(struct spool_life) == 304, "spool format changed");

/* --- thread names --- */

enum spool_name_state { SPOOL_NAME_EMPTY = 0, SPOOL_NAME_BUSY = 1, SPOOL_NAME_READY = 2 };

struct spool_thread_name {
	uint32_t state; /* enum spool_name_state; READY is the release store that commits it */
	char name[20]; /* NUL-terminated; the kernel's 15 bytes at most */
};
static_assert(sizeof(struct spool_thread_name) == 24, "spool format changed");

/* --- labels --- */

/*
 * What a thread or goroutine was working on, as the host said: a set of labels.  Open addressing,
 * linear probing from KEY modulo the number of sets.
 */
struct spool_label_set {
	uint64_t key; /* hash of the text; 0: empty.  Claimed by compare-and-swap */
	uint32_t text; /* where it begins behind struct spool_label_texts, plus one; 0: not there
			* yet.  The release store that commits the set */
	uint32_t size; /* bytes of text: key and value in turn, each with its NUL */
};
static_assert(sizeof(struct spool_label_set) == 16, "spool format changed");

#define SPOOL_LABELS_REFUSED UINT32_MAX /* in place of a text: there never will be one */
#define SPOOL_LABELS_MAX 16 /* in a set */

struct spool_label_texts {
	uint64_t used; /* bytes handed out behind this; may pass the section's size */
	uint64_t lost; /* samples that lack labels, for want of room */
};
static_assert(sizeof(struct spool_label_texts) == 16, "spool format changed");

/* --- frames and stacks --- */

/*
 * A frame is (module, vaddr): module id in the upper 16 bits, vaddr in the lower 48.  It is
 * exact for a leaf (and for what a signal interrupted), return address minus one for a caller.
 * Module 0: no module covers it, the lower bits are the pc.  Module SPOOL_MODULE_NOTE: not code
 * but a remark, enum spool_note in bits 32-47 and its argument in the lowest 32.
 */
typedef uint64_t spool_frame;

#define SPOOL_FRAME_VADDR_BITS 48
#define SPOOL_MODULE_NOTE 0xffffu
#define SPOOL_MODULE_ID_MAX 0xfffeu

enum spool_note {
	SPOOL_NOTE_NO_UNWIND_INFO = 1, /* the stack ends early; argument: module id, 0: none */
	SPOOL_NOTE_BAD_STACK = 2, /* ... because the stack's memory makes no sense; the same */
	SPOOL_NOTE_TOO_DEEP = 3, /* ... because it has more frames than could be looked at */
	SPOOL_NOTE_TABLE_FULL = 4, /* the whole stack: no place for another one */
	SPOOL_NOTE_ENDED = 5, /* a leaf: periods that passed between a thread's last tick and its
			       * end; the callers are known, what ran is not */
	SPOOL_NOTE_GENERATION = 6, /* behind the root, with the setting "generations": a library on
				    * this stack, id in the argument's upper 16 bits, and its
				    * generation in the lower, at most 65535 */
	SPOOL_NOTE_LEFT_OUT = 8, /* between leaves and root: more frames than are taken */
	SPOOL_NOTE_LABELS = 7, /* behind the root, and behind those: the labels of the thread and
				* the goroutine, number of the set from 1 on */
};

static inline spool_frame spool_frame_of(uint32_t module_id, uint64_t vaddr)
{
	return (uint64_t)module_id << SPOOL_FRAME_VADDR_BITS |
		(vaddr & (((uint64_t)1 << SPOOL_FRAME_VADDR_BITS) - 1));
}

static inline spool_frame spool_frame_note(enum spool_note note, uint32_t argument)
{
	return spool_frame_of(SPOOL_MODULE_NOTE, (uint64_t)note << 32 | argument);
}

static inline bool spool_frame_is_note(spool_frame frame, enum spool_note note)
{
	return frame >> 32 == ((uint64_t)SPOOL_MODULE_NOTE << 16 | (uint64_t)note);
}

static inline uint32_t spool_frame_module(spool_frame frame)
{
	return (uint32_t)(frame >> SPOOL_FRAME_VADDR_BITS);
}

static inline uint64_t spool_frame_vaddr(spool_frame frame)
{
	return frame & (((uint64_t)1 << SPOOL_FRAME_VADDR_BITS) - 1);
}

/*
 * A slot of the stack table: open addressing, linear probing from KEY modulo the slot count.  The
 * section has one slot more, behind the table: its stack is the note SPOOL_NOTE_TABLE_FULL in
 * frame 0, for samples that find no place of their own.
 */
struct spool_stack {
	uint64_t key; /* hash of thread name and frames; 0: empty.  Claimed by compare-and-swap */
	uint64_t frames; /* index of the leaf << 16 | count; 0: not there yet.  The release store
			  * that commits the stack.  SPOOL_FRAMES_REFUSED: there never will be */
	uint64_t periods; /* one atomic addition commits a sample: CPU time = periods * period_ns */
	uint16_t thread_name; /* index in the thread names */
	uint16_t reserved[3];
};
static_assert(sizeof(struct spool_stack) == 32, "spool format changed");

#define SPOOL_FRAMES_PER_STACK_MAX 512 /* notes included */
#define SPOOL_FRAMES_REFUSED ((uint64_t)1 << 16) /* no count: nothing to read */

/* --- heap --- */

struct spool_heap {
	uint64_t rate_bytes; /* allocated between two samples, on average; 1: every one is taken */
	uint64_t reserved;
};
static_assert(sizeof(struct spool_heap) == 16, "spool format changed");

/*
 * Live allocations are in any slots, those never used at the end.  Heap stacks are a hash table of
 * growing levels: a level has four times the slots of the one before and lies behind it.  A hash
 * picks one bucket of SPOOL_BUCKET_SLOTS in each level; a stack is in the first of them, by level,
 * that had a free slot.  So small tables touch little memory, entries never move, and writers need
 * no lock.  A reader looks at each slot.
 */
#define SPOOL_BUCKET_SLOTS 8

/*
 * A sampled allocation that was not freed.  ADDRESS is claimed by compare-and-swap, with
 * SPOOL_LIVE_BUSY, by whoever fills the entry and by whoever frees it, and 0 when it is free again;
 * CHECK is stored last when an entry is filled, and is 0 before it is free: an entry whose CHECK is
 * not spool_live_check() is not there.
 */
struct spool_live {
	uint64_t address; /* of the block; of a mapping, with SPOOL_LIVE_MAPPING */
	uint64_t size; /* bytes, as asked for */
	uint64_t time_ns; /* CLOCK_MONOTONIC, at the kernel's last tick */
	uint32_t stack; /* slot among the heap stacks, which was filled before; of a free entry: the
			 * writer's */
	uint32_t check;
};
static_assert(sizeof(struct spool_live) == 32, "spool format changed");

#define SPOOL_LIVE_BUSY 1
#define SPOOL_LIVE_MAPPING 2 /* in an address: a mapping, which is there whatever its size */

enum spool_heap_kind {
	SPOOL_HEAP_BLOCK = 0, /* of the allocator, sampled */
	SPOOL_HEAP_MAPPING = 1, /* of mmap and the like; each is recorded */
};

/* Tells an entry that was copied while it changed. */
static inline uint32_t spool_live_check(
	uint64_t address, uint64_t size, uint64_t time_ns, uint32_t stack)
{
	uint64_t sum = address * 0x9e3779b97f4a7c15u;

	sum = (sum ^ sum >> 32 ^ size) * 0xd1342543de82ef95u;
	sum = (sum ^ sum >> 32 ^ time_ns) * 0xff51afd7ed558ccdu;
	sum = (sum ^ sum >> 32 ^ stack) * 0xc4ceb9fe1a85ec53u;
	return (uint32_t)(sum >> 32) | 1;
}

/*
 * What a stack has allocated, in blocks of one size class.  Each sample was weighted when it was
 * taken, see heap_weight.h.  KEY and FRAMES as in struct spool_stack; with SPOOL_FRAMES_REFUSED
 * the stack is the note SPOOL_NOTE_TABLE_FULL, as is that of the slot behind the table.
 */
struct spool_heap_stack {
	uint64_t key;
	uint64_t frames;
	uint64_t alloc_objects; /* in 1/65536 */
	uint64_t alloc_bytes;
	uint16_t thread_name; /* index in the thread names */
	uint16_t size_class; /* sizes are at most 2^this, and more than half of it */
	uint32_t kind; /* enum spool_heap_kind */
};
static_assert(sizeof(struct spool_heap_stack) == 40, "spool format changed");

#endif
