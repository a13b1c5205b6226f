/* Who holds memory, and who holds more than before: heap profiles added up by plugin and stack. */
#ifndef CLI_LEAKS_H
#define CLI_LEAKS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/table.h"
#include "base/vec.h"
#include "pprof/profile.h"

struct leak_amount {
	int64_t bytes, objects;
};

/* One stack of one plugin, over all threads and sizes of blocks. */
struct leak {
	char *key; /* plugin, whether unloaded, and names of functions: what makes it the same */
	char *plugin;
	bool is_unloaded; /* the code that allocated it has been unloaded since */
	VEC(char *) frames; /* "function file:line", leaf first */
	/* In the first profile, the one before the last, the last. */
	struct leak_amount first, before, latest;
	bool shrank; /* from one profile to the next */
	struct leak_amount amount; /* what leaks_sum() makes of it */
};

/* The leaks of one plugin, as far as it is loaded, or is not. */
struct leak_group {
	const char *plugin; /* borrowed */
	bool is_unloaded;
	struct leak_amount amount;
	VEC(uint32_t) leaks; /* indices, most bytes first */
};

struct leaks {
	VEC(struct leak) items;
	VEC(struct leak_group) groups; /* most bytes first */
	struct table by_key;
	uint32_t profiles;
	int64_t period; /* bytes between two samples, of the last profile; 1: exact */
	struct leak_amount amount; /* of all groups */
	int64_t unloaded_bytes;
};

/* An all-zero struct is one to begin with.  Profiles are added in the order they were taken; P is
 * one of input_open_heap(). */
void leaks_add(struct leaks *l, const struct profile *p);

/* After the last one.  With one profile, what is in use; with several, what has grown from the
 * first to the last, of stacks that never shrank in between.  ONLY: of this plugin; NULL: all. */
void leaks_sum(struct leaks *l, const char *only);

void leaks_free(struct leaks *l);

#endif
