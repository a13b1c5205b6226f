/*
 * What each library of a profile costs, and how it came and went.  A row is one build of one
 * library: two builds that were loaded from one path are two rows.
 */
#ifndef CLI_PLUGIN_TABLE_H
#define CLI_PLUGIN_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/vec.h"
#include "cli/life.h"
#include "pprof/profile.h"

/* Nanoseconds of CPU time and bytes of memory.  What is spent on behalf of a plugin is that of
 * samples whose label "plugin" names it: libc's on its stacks, too, and no other plugin's. */
enum plugin_cost {
	COST_CPU, /* on its behalf */
	COST_CPU_SELF, /* its own code ran */
	COST_CPU_TOTAL, /* its code was somewhere on the stack */
	COST_ALLOCATED, /* on its behalf; and so the others */
	COST_LIVE, /* of that, still in use */
	COST_LEAKED, /* of that, allocated by a generation that has been unloaded */
};
#define PLUGIN_COSTS 6

struct plugin_row {
	/* Without HAS_LIFE the profile tells only path, build-ID and what is_plugin() says. */
	struct life life;
	bool has_life;
	int64_t costs[PLUGIN_COSTS];
	uint64_t seen_in; /* the latest sample that was counted for COST_CPU_TOTAL */
};

struct plugin_table {
	VEC(struct plugin_row) rows; /* dearest first, once sorted */
	bool has_cpu, has_heap, has_lives; /* else these columns mean nothing */
	bool has_labels; /* "plugin" */
	int64_t all[PLUGIN_COSTS]; /* of all samples */
	int64_t host[PLUGIN_COSTS]; /* on no plugin's behalf */
	int64_t others[PLUGIN_COSTS]; /* of rows that were left out */
	int64_t untold[PLUGIN_COSTS]; /* of a plugin with several builds, nobody knows which */
	uint64_t sample_count;
};

/* Add the samples and lives of P to TABLE, which is all-zero at first.  -EEXIST: TABLE has CPU
 * time, or allocations, of another profile already; nothing was added. */
int plugin_table_add(struct plugin_table *table, const struct profile *p) MUST_CHECK;
/* The process runs, and has COUNT descriptors open now (-1: not known): what the end will tell of
 * libraries that are loaded still. */
void plugin_table_set_descriptors(struct plugin_table *table, int64_t count);
void plugin_table_sort(struct plugin_table *table);
/* Leave out what is no plugin: the program, and libraries that others need. */
void plugin_table_keep_plugins(struct plugin_table *table);
void plugin_table_free(struct plugin_table *table);

#endif
