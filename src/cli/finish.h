/* From a spool to its profile on disk, and what to tell people about it. */
#ifndef CLI_FINISH_H
#define CLI_FINISH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/vec.h"
#include "cli/report.h"
#include "spool/spool_reader.h"

/* What was written, added up over the processes of one recording. */
struct summary {
	uint32_t processes;
	bool is_sum; /* FILE is of all of them */
	uint64_t lost, ticks, cpu_ns, wall_ns, truncated;
	uint64_t refused; /* threads that got no timer */
	uint64_t heap_lost; /* sampled allocations */
	uint64_t live_lost; /* those that are not among the ones in use, though they may be */
	int64_t in_use_bytes, in_use_objects, allocated_bytes;
	int64_t unloaded_bytes; /* in use, of plugins that have been unloaded */
	/* Of the first one written, the busiest process's: */
	char *file; /* its CPU profile; where there is none, its heap profile */
	char *heap_file; /* beside a CPU profile; NULL: none */
	char *heap_unseen; /* which allocations cannot be sampled; NULL: all can */
	char *labels_unseen; /* which labels cannot be read; NULL: all can */
	bool has_cpu;
	uint32_t plugins;
	struct report report;
	bool raw;
	VEC(char *) others; /* the CPU or, without, heap profiles of the other processes */
};

/* The name that finish_spool() is to be given for TEMPLATE, see output_name_expand(): a spool
 * without CPU time has a heap profile of that name.  The caller's to free(). */
char *finish_name(const struct spool_reader *spool, const char *template, bool is_ours);

enum finish_flags {
	FINISH_RAW = 1, /* without names */
	FINISH_REPLACE = 2, /* over an older heap profile, as over one of PATH */
	FINISH_EVEN_EMPTY = 4, /* also one without samples */
	FINISH_TELL_PLACES = 8, /* of the first profile: where symbols were looked for */
};

/* Write the profiles of SPOOL: CPU time to PATH (no template), allocations beside it, see
 * output_name_of_heap().  Adds to SUMMARY.  0, or -errno after one line was said. */
int finish_spool(const struct spool_reader *spool, const char *path, unsigned int flags,
	struct summary *summary) MUST_CHECK;

/* The parts of finish_spool(), for what is put together otherwise.  Name P unless FLAGS say
 * FINISH_RAW, write it to PATH and free it; IS_FIRST: the summary tells of this one. */
int finish_profile(struct profile *p, const char *path, unsigned int flags, bool is_first,
	struct summary *summary) MUST_CHECK;
uint32_t finish_count_plugins(const struct spool_reader *spool);
void summary_add(struct summary *summary, const struct spool_reader *spool);
void summary_add_heap(struct summary *summary, const struct profile *heap);

/* Write the heap profile of SPOOL alone, of a process that may go on, to PATH. */
int finish_snapshot(const struct spool_reader *spool, const char *path, unsigned int flags,
	struct summary *summary) MUST_CHECK;

/* At most six lines on stderr, the last the next command to type. */
void summary_print(const struct summary *summary);
/* One line for each library: how many of its frames have a name, and why. */
void summary_print_libraries(const struct summary *summary);
/* The other processes' profiles, a line each. */
void summary_print_others(const struct summary *summary);
void summary_free(struct summary *summary);

/* The options the process was started with ask for a profile without names. */
bool spool_wants_raw(const struct spool_reader *spool);

#endif
