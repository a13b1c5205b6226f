/* Reading a spool into a profile: what every kind of profile has in common. */
#ifndef CLI_SPOOL_PROFILE_H
#define CLI_SPOOL_PROFILE_H

#include <stddef.h>
#include <stdint.h>

#include "cli/plugins.h"
#include "pprof/profile.h"
#include "spool/spool_reader.h"

struct reading {
	const struct spool_reader *spool;
	struct profile *profile;
	/* By module id: its first mapping's id (one per segment follows), 0 not made yet. */
	uint32_t *first_mapping;
	struct plugins plugins;
	uint32_t anonymous_mapping;
};

/* A profile with its times and the program's mapping. */
void reading_begin(struct reading *r, const struct spool_reader *spool);
/* The profile, the caller's to profile_free(). */
struct profile *reading_end(struct reading *r);

/* Add the locations of STACK's frames, leaf first.  Their number; their ids go to LOCATION_IDS,
 * which holds SPOOL_FRAMES_PER_STACK_MAX. */
size_t reading_add_frames(
	struct reading *r, const struct spool_stack_view *stack, uint32_t *location_ids);

/* The labels "plugin" (see plugins_innermost()), "generation" and "thread" as far as they are
 * known, then those that the host gave.  Their number. */
#define READING_LABELS_MAX (3 + SPOOL_LABELS_MAX)
size_t reading_make_labels(const struct reading *r, const struct spool_stack_view *stack,
	struct profile_label labels[static READING_LABELS_MAX]);

#endif
