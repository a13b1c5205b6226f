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
	double variance; /* of BYTES, which are an estimate; 0: exact */
};

void leak_amount_add(struct leak_amount *to, const struct leak_amount *more);

/* One stack of one plugin, over all threads and sizes of blocks. */
struct leak {
	char *key; /* all that follows up to the frames: what makes it the same */
	char *plugin;
	/* Of this plugin, the build and load ("a1b2c3d4e5f6", "#2") where the profile tells of
	 * several; else, and where profiles are compared, "". */
	char *build, *generation;
	bool is_unloaded; /* the code that allocated it has been unloaded since */
	VEC(char *) frames; /* "function file:line", leaf first */
	/* In the first profile, the one before the last, the last. */
	struct leak_amount first, before, latest;
	double first_allocated, latest_allocated; /* variances of what was ever allocated */
	bool shrank; /* from one profile to the next */
	struct leak_amount amount; /* what leaks_sum() makes of it */
};

/* The leaks of one plugin, as far as it is loaded, or is not. */
struct leak_group {
	const struct leak *one; /* of them: whose they are; borrowed */
	struct leak_amount amount;
	VEC(uint32_t) leaks; /* indices, most bytes first */
};

/* How much more a plugin holds, as far as it is loaded, with what its stacks hold less. */
struct leak_balance {
	const char *plugin; /* borrowed */
	double bytes;
	double variance; /* if it held the same all the time */
};

struct leaks {
	VEC(struct leak) items;
	VEC(struct leak_group) groups; /* most bytes first */
	VEC(struct leak_balance) balances;
	struct table by_key;
	bool compares; /* several profiles, and maybe builds, by the names of their functions */
	char *program, *program_before; /* of the last profile and the first, without folders */
	uint32_t profiles;
	int64_t start_ns; /* when the process of the last one began, since 1970 */
	bool are_of_runs; /* of several processes; or what was allocated is not told */
	int64_t period; /* bytes between two samples, the greatest of all; 1: exact */
	struct leak_amount amount; /* of all groups */
	struct leak_amount by_chance; /* growth that is in no group, since it need not be any */
	uint32_t stacks_by_chance;
	int64_t unloaded_bytes;
};

/* An all-zero struct is one to begin with, but for COMPARES.  Profiles are added in the order they
 * were taken; P is one of input_open_heap(). */
void leaks_add(struct leaks *l, const struct profile *p);

/* Can they be compared?  False: they are of two programs, which have no stack in common. */
bool leaks_are_of_one_program(const struct leaks *l);

/* Was there a plugin of that NAME (of its file, or the host) when P was taken, whether or not it
 * holds anything? */
bool leaks_profile_tells_of(const struct profile *p, const char *name);

/* After the last one.  With one profile, what is in use; with several, what has grown from the
 * first to the last, of stacks that never shrank in between, by more than samples differ.  ONLY: of
 * this plugin; NULL: all. */
void leaks_sum(struct leaks *l, const char *only);

void leaks_free(struct leaks *l);

#endif
