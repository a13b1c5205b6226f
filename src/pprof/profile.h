/*
 * A pprof profile in memory (profile.proto, package perftools.profiles): the model, no I/O.
 *
 * Ids are dense from 1 in table order, as Parca requires; 0 means none.  Strings, functions and
 * locations are interned: adding an equal one gives the id it has.  All strings are copied
 * and made valid UTF-8 (a bad byte becomes U+FFFD).  Exits for want of memory.
 */
#ifndef PPROF_PROFILE_H
#define PPROF_PROFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/table.h"
#include "base/vec.h"

struct profile_value_type {
	uint32_t type; /* string ids throughout: profile_string() */
	uint32_t unit;
};

struct profile_mapping {
	uint64_t start, limit; /* of one executable segment, as the process had it */
	uint64_t file_offset;
	uint32_t filename;
	uint32_t build_id; /* lower-case hex, or "" */
	bool has_functions, has_filenames, has_line_numbers, has_inline_frames;
	/* Not in the file: the vaddr of START, when the maker of the profile knows it (the
	 * spool does).  A loaded profile knows only FILE_OFFSET. */
	bool knows_vaddr;
	uint64_t start_vaddr;
	uint64_t content_id; /* likewise, where there is no build-ID; 0: not known */
};

struct profile_line {
	uint32_t function_id;
	int64_t line, column;
};

struct profile_location {
	uint32_t mapping_id; /* 0: none */
	uint64_t address;
	uint32_t first_line, line_count; /* in profile.lines: innermost inlined callee first */
	bool is_folded;
};

struct profile_function {
	uint32_t name, system_name, filename;
	int64_t start_line;
};

struct profile_label {
	uint32_t key;
	uint32_t str; /* 0 ("") when the label is a number */
	int64_t num;
	uint32_t num_unit;
};

struct profile_sample {
	uint32_t first_location, location_count; /* in profile.sample_locations, leaf first */
	uint32_t first_value; /* in profile.values; one per sample type */
	uint32_t first_label, label_count; /* in profile.labels */
};

struct profile {
	VEC(struct profile_value_type) sample_types;
	VEC(struct profile_sample) samples;
	VEC(struct profile_mapping) mappings; /* id - 1; the first is the main program */
	VEC(struct profile_location) locations; /* id - 1 */
	VEC(struct profile_function) functions; /* id - 1 */
	VEC(struct profile_line) lines;
	VEC(uint32_t) sample_locations; /* location ids */
	VEC(int64_t) values;
	VEC(struct profile_label) labels;
	VEC(char *) strings; /* [0] is "" */
	VEC(uint32_t) comments;
	uint32_t drop_frames, keep_frames, default_sample_type, doc_url;
	int64_t time_ns, duration_ns; /* time: since the epoch */
	struct profile_value_type period_type;
	int64_t period;
	struct table string_index, function_index, location_index, sample_index;
};

struct profile *profile_new(void);
struct profile *profile_clone(const struct profile *p); /* with the same ids */
void profile_free(struct profile *p); /* takes NULL */

uint32_t profile_intern(struct profile *p, const char *text); /* NULL is "" */
const char *profile_string(
	const struct profile *p, uint32_t id); /* borrowed until profile_free() */

/* The text of label KEY of sample S, borrowed likewise.  NULL: no such label, or a number. */
const char *profile_label_text(
	const struct profile *p, const struct profile_sample *s, const char *key);

void profile_add_sample_type(struct profile *p, const char *type, const char *unit);
void profile_add_comment(struct profile *p, const char *text);
/* Mappings are never merged: each call adds one.  MAPPING's string ids are P's own. */
uint32_t profile_add_mapping(struct profile *p, const struct profile_mapping *mapping);
uint32_t profile_add_function(struct profile *p, const char *name, const char *system_name,
	const char *filename, int64_t start_line);
/* Equal: same mapping, address and (for mapping 0) lines.  Lines given for a location that is
 * there already are ignored. */
uint32_t profile_add_location(struct profile *p, uint32_t mapping_id, uint64_t address,
	const struct profile_line *lines, size_t line_count);
/* The same, but always a new one: the files of other profilers have locations that only their
 * lines tell apart. */
uint32_t profile_append_location(struct profile *p, uint32_t mapping_id, uint64_t address,
	const struct profile_line *lines, size_t line_count);
/* Replace what a location shows: symbolization.  The old lines stay unused in the array.
 * LINES is not a part of P's own array, which moves. */
void profile_set_lines(struct profile *p, uint32_t location_id,
	const struct profile_line *lines, size_t line_count);
/* A sample equal in locations and labels to an earlier one is added to it.
 * VALUES has one entry per sample type.  LABELS' string ids are P's own. */
void profile_add_sample(struct profile *p, const uint32_t *location_ids, size_t location_count,
	const int64_t *values, const struct profile_label *labels, size_t label_count);
/* What was added to P is found again after its tables were changed by hand. */
void profile_reindex(struct profile *p);

/* profile_shrink.c */

/* Drop the functions, strings and lines that nothing uses any more, keeping order. */
void profile_compact(struct profile *p);
/* Leave at most SAMPLE_MAX (2 or more) samples: those with the largest last value, in order.
 * The others become one sample per label set, with the one frame "(truncated)", so that the
 * total of every sample type stays what it was.  Where the label sets alone would take more
 * than half of SAMPLE_MAX, they become a single sample without labels.  Location ids change. */
void profile_fold(struct profile *p, size_t sample_max);

#endif
