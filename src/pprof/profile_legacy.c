#define _GNU_SOURCE
#include "pprof/profile_legacy.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/xalloc.h"

#define HEAP_MAGIC "heap profile:"
#define JEMALLOC_MAGIC "heap_v2/"
#define DEPTH_MAX 4096
#define LINE_MAX_BYTES 65536

struct stack {
	uint32_t first, count; /* in STACKS.addresses */
	int64_t values[4];
};

struct stacks {
	VEC(struct stack) list;
	VEC(uint64_t) addresses;
};

static bool is_cpu(const uint8_t *data, size_t size)
{
	struct bytes at = bytes_over(data, size);

	/* header count, header words, version */
	return bytes_u64(&at) == 0 && bytes_u64(&at) == 3 && bytes_u64(&at) == 0 &&
		bytes_ok(&at);
}

static bool is_heap(const uint8_t *data, size_t size)
{
	return size > strlen(HEAP_MAGIC) && memcmp(data, HEAP_MAGIC, strlen(HEAP_MAGIC)) == 0;
}

static bool is_jemalloc(const uint8_t *data, size_t size)
{
	return size > strlen(JEMALLOC_MAGIC) &&
		memcmp(data, JEMALLOC_MAGIC, strlen(JEMALLOC_MAGIC)) == 0;
}

bool profile_is_legacy(const uint8_t *data, size_t size)
{
	return is_cpu(data, size) || is_heap(data, size) || is_jemalloc(data, size);
}

/* --- /proc/PID/maps --- */

/* "START-END PERMS OFFSET DEV INODE PATH" of executable memory. */
static void add_mapping(struct profile *p, const char *line)
{
	uint64_t start, limit, offset;
	char permissions[8];
	int path_at = 0;

	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s %" SCNx64 " %*s %*s %n", &start, &limit,
		    permissions, &offset, &path_at) < 4 ||
		!strchr(permissions, 'x') || limit <= start)
		return;
	profile_add_mapping(p, &(struct profile_mapping){ .start = start,
		.limit = limit,
		.file_offset = offset,
		.filename = profile_intern(p, path_at ? line + path_at : "") });
}

/* The next line of TEXT without its end; NULL: there is none.  *LINE is grown as needed. */
static const char *next_line(struct bytes *text, char line[static LINE_MAX_BYTES])
{
	const size_t left = bytes_left(text);
	const uint8_t *end = left ? memchr(text->at, '\n', left) : NULL;
	const size_t size = end ? (size_t)(end - text->at) : left;
	const size_t kept = size < LINE_MAX_BYTES ? size : LINE_MAX_BYTES - 1;

	if (left == 0)
		return NULL;
	memcpy(line, text->at, kept);
	line[kept] = '\0';
	bytes_skip(text, size + (end ? 1 : 0));
	return line;
}

static uint32_t mapping_of(const struct profile *p, uint64_t address)
{
	for (size_t i = 0; i < p->mappings.count; i++)
		if (address >= p->mappings.items[i].start && address < p->mappings.items[i].limit)
			return (uint32_t)i + 1;
	return 0;
}

static void add_samples(struct profile *p, const struct stacks *stacks)
{
	VEC(uint32_t) ids = { .count = 0 };

	for (size_t i = 0; i < stacks->list.count; i++) {
		const struct stack *s = &stacks->list.items[i];

		ids.count = 0;
		for (uint32_t n = 0; n < s->count; n++) {
			const uint64_t address = stacks->addresses.items[s->first + n];

			*VEC_PUSH(&ids) = profile_add_location(
				p, mapping_of(p, address), address, NULL, 0);
		}
		profile_add_sample(p, ids.items, ids.count, s->values, NULL, 0);
	}
	VEC_FREE(&ids);
}

/* --- CPU --- */

/* The signal's own address is often once more on the stack, behind the handler. */
static void drop_frame(struct stacks *stacks, struct stack *s, uint32_t index)
{
	uint64_t *addresses = stacks->addresses.items + s->first;

	memmove(addresses + index, addresses + index + 1,
		(s->count - index - 1) * sizeof(*addresses));
	s->count--;
}

static void drop_handler_frames(struct stacks *stacks)
{
	const uint64_t *addresses = stacks->addresses.items;
	struct stack *list = stacks->list.items;
	bool all_same = stacks->list.count > 1;

	for (size_t i = 0; i < stacks->list.count; i++)
		all_same &= list[i].count > 1 &&
			addresses[list[i].first + 1] == addresses[list[0].first + 1];
	for (size_t i = 0; i < stacks->list.count; i++) {
		if (all_same)
			drop_frame(stacks, &list[i], 1);
		/* Less one already, as a caller's would be. */
		if (list[i].count > 1 &&
			addresses[list[i].first] == addresses[list[i].first + 1] + 1)
			drop_frame(stacks, &list[i], 1);
	}
}

/* True: one was read.  False: the trailer, or damage (*IS_DAMAGED). */
static bool read_stack(
	struct bytes *at, struct stacks *stacks, int64_t period_ns, bool *is_damaged)
{
	const uint64_t count = bytes_u64(at), depth = bytes_u64(at);
	struct stack s = { .first = (uint32_t)stacks->addresses.count, .count = (uint32_t)depth };

	*is_damaged = !bytes_ok(at) || depth == 0 || depth > DEPTH_MAX ||
		depth > bytes_left(at) / 8 || count > INT32_MAX ||
		stacks->addresses.count > UINT32_MAX - DEPTH_MAX;
	if (*is_damaged)
		return false;
	if (count == 0 && depth == 1) { /* the trailer: its address is 0 */
		bytes_u64(at);
		return false;
	}
	for (uint64_t i = 0; i < depth; i++)
		*VEC_PUSH(&stacks->addresses) = bytes_u64(at) - (i > 0);
	s.values[0] = (int64_t)count;
	if (__builtin_mul_overflow((int64_t)count, period_ns, &s.values[1]))
		s.values[1] = INT64_MAX;
	*VEC_PUSH(&stacks->list) = s;
	return true;
}

static bool load_cpu(struct profile *p, struct bytes at, struct stacks *stacks, char **why)
{
	char *line = xmalloc(LINE_MAX_BYTES);
	uint64_t period_us;
	bool is_damaged;
	const char *text;

	bytes_skip(&at, 24);
	period_us = bytes_u64(&at);
	bytes_u64(&at);
	if (!bytes_ok(&at) || period_us == 0 || period_us > INT32_MAX) {
		*why = xstrdup("CPU profile of gperftools: its header is damaged");
		free(line);
		return false;
	}
	profile_add_sample_type(p, "samples", "count");
	profile_add_sample_type(p, "cpu", "nanoseconds");
	p->period_type = p->sample_types.items[1];
	p->period = (int64_t)period_us * 1000;
	while (read_stack(&at, stacks, p->period, &is_damaged))
		;
	drop_handler_frames(stacks);
	while (!is_damaged && (text = next_line(&at, line)) != NULL)
		add_mapping(p, text);
	free(line);
	if (is_damaged)
		*why = xstrdup("CPU profile of gperftools: "
			       "a stack is damaged, or its end is missing");
	return !is_damaged;
}

/* --- heap --- */

/* What a sample of blocks of this size stands for, when one byte in RATE is sampled. */
static double scale_of(int64_t count, int64_t bytes, int64_t rate)
{
	if (count <= 0 || bytes <= 0 || rate <= 1)
		return 1;
	return 1 / (1 - exp(-((double)bytes / (double)count) / (double)rate));
}

static int64_t scaled(int64_t value, double scale)
{
	const double result = (double)value * scale;

	return result > 9e18 ? INT64_MAX : (int64_t)result; /* cut, as pprof does */
}

/* In use, and allocated in all: blocks and bytes of each, as they were sampled. */
struct heap_counts {
	int64_t live_blocks, live_bytes, all_blocks, all_bytes;
};

/* " 1: 100 [ 2: 300]" and what follows it; NULL: something else. */
static const char *read_counts(const char *line, struct heap_counts *c)
{
	int at = 0;

	if (sscanf(line, " %" SCNd64 ": %" SCNd64 " [ %" SCNd64 ": %" SCNd64 "]%n",
		    &c->live_blocks, &c->live_bytes, &c->all_blocks, &c->all_bytes, &at) != 4 ||
		at == 0)
		return NULL;
	return c->live_blocks < 0 || c->live_bytes < 0 || c->all_blocks < 0 || c->all_bytes < 0 ?
		NULL :
		line + at;
}

/* Addresses to the end of the line, all of callers.  False: there is something else on it. */
static bool read_addresses(struct stacks *stacks, const char *rest, struct stack *s)
{
	char *end;

	*s = (struct stack){ .first = (uint32_t)stacks->addresses.count };
	if (stacks->addresses.count > UINT32_MAX - DEPTH_MAX)
		return false;
	while (s->count < DEPTH_MAX) {
		const uint64_t address = strtoull(rest, &end, 16);

		if (end == rest)
			break;
		*VEC_PUSH(&stacks->addresses) = address - 1;
		s->count++;
		rest = end;
	}
	return rest[strspn(rest, " \t\r")] == '\0';
}

static void add_heap_stack(
	struct stacks *stacks, struct stack *s, const struct heap_counts *c, int64_t rate)
{
	const double live_scale = scale_of(c->live_blocks, c->live_bytes, rate);
	const double all_scale = scale_of(c->all_blocks, c->all_bytes, rate);

	s->values[0] = scaled(c->all_blocks, all_scale);
	s->values[1] = scaled(c->all_bytes, all_scale);
	s->values[2] = scaled(c->live_blocks, live_scale);
	s->values[3] = scaled(c->live_bytes, live_scale);
	*VEC_PUSH(&stacks->list) = *s;
}

/* "1: 100 [2: 300] @ 0x1 0x2" */
static bool read_heap_line(struct stacks *stacks, const char *line, int64_t rate)
{
	struct heap_counts counts;
	struct stack s;

	line = read_counts(line, &counts);
	if (!line || line[strspn(line, " ")] != '@' ||
		!read_addresses(stacks, strchr(line, '@') + 1, &s))
		return false;
	add_heap_stack(stacks, &s, &counts, rate);
	return true;
}

static void add_heap_types(struct profile *p, bool with_allocated, int64_t rate)
{
	if (with_allocated) {
		profile_add_sample_type(p, "alloc_objects", "count");
		profile_add_sample_type(p, "alloc_space", "bytes");
	}
	profile_add_sample_type(p, "inuse_objects", "count");
	profile_add_sample_type(p, "inuse_space", "bytes");
	p->period_type = (struct profile_value_type){
		profile_intern(p, "space"), profile_intern(p, "bytes") };
	p->period = rate > 1 ? rate : 1;
}

/* The first line tells what was sampled: "@ heap_v2/524288", "@ heapprofile". */
static bool read_heap_header(struct profile *p, const char *line, char **why)
{
	const char *kind = strrchr(line, '@');
	int64_t rate = 1;

	if (kind)
		kind += 1 + strspn(kind + 1, " ");
	if (!kind || (strcmp(kind, "heapprofile") != 0 &&
			     sscanf(kind, "heap_v2/%" SCNd64, &rate) != 1) || rate < 0) {
		*why = xasprintf("heap profile of a kind that is not known: %.40s",
			kind ? kind : line);
		return false;
	}
	add_heap_types(p, true, rate);
	return true;
}

static bool load_heap(struct profile *p, struct bytes at, struct stacks *stacks, char **why)
{
	char *line = xmalloc(LINE_MAX_BYTES);
	bool in_maps = false, ok = read_heap_header(p, next_line(&at, line), why);

	while (ok && next_line(&at, line)) {
		if (strncmp(line, "MAPPED_LIBRARIES:", 17) == 0)
			in_maps = true;
		else if (in_maps)
			add_mapping(p, line);
		else if (line[strspn(line, " \t\r")] && line[0] != '#')
			ok = read_heap_line(stacks, line, p->period);
	}
	if (!ok && !*why)
		*why = xasprintf("heap profile: this line of it is damaged: %.60s", line);
	free(line);
	return ok;
}

/* --- jemalloc --- */

/* Its own functions, which are the leaves of every stack, say nothing of the program. */
static void drop_allocator_frames(const struct profile *p, struct stacks *stacks)
{
	for (size_t i = 0; i < stacks->list.count; i++) {
		struct stack *s = &stacks->list.items[i];

		while (s->count > 1) {
			const uint32_t id =
				mapping_of(p, stacks->addresses.items[s->first]);

			if (!id || !strstr(profile_string(p, p->mappings.items[id - 1].filename),
					   "/libjemalloc.so"))
				break;
			s->first++;
			s->count--;
		}
	}
}

/* Where allocations that were freed are not counted (prof_accum is off), only what is in use. */
static void keep_live_values(struct stacks *stacks)
{
	for (size_t i = 0; i < stacks->list.count; i++) {
		int64_t *values = stacks->list.items[i].values;

		values[0] = values[2];
		values[1] = values[3];
	}
}

/* A stack, "@ 0x1 0x2", then "t*: COUNTS" of all threads and "t1: COUNTS" of each; the first t* is
 * of the whole.  (jemalloc, doc/jemalloc.xml: "HEAP PROFILE FORMAT") */
struct jemalloc_lines {
	struct stack stack;
	bool has_stack, has_whole, counts_all;
};

static bool read_jemalloc_line(
	struct stacks *stacks, struct jemalloc_lines *lines, const char *line, int64_t rate)
{
	struct heap_counts counts;

	line += strspn(line, " \t\r");
	if (line[0] == '@') {
		lines->has_stack = true;
		return read_addresses(stacks, line + 1, &lines->stack);
	}
	if (line[0] == '\0' || (line[0] == 't' && line[1] != '*'))
		return true;
	if (strncmp(line, "t*:", 3) != 0 || !read_counts(line + 3, &counts))
		return false;
	if (!lines->has_whole)
		lines->counts_all = counts.all_blocks > 0;
	else if (lines->has_stack)
		add_heap_stack(stacks, &lines->stack, &counts, rate);
	else
		return false;
	lines->has_whole = true;
	lines->has_stack = false;
	return true;
}

static bool load_jemalloc(struct profile *p, struct bytes at, struct stacks *stacks, char **why)
{
	struct jemalloc_lines lines = { .has_stack = false };
	char *line = xmalloc(LINE_MAX_BYTES);
	bool in_maps = false, ok;
	int64_t rate = 0;

	ok = sscanf(next_line(&at, line), JEMALLOC_MAGIC "%" SCNd64, &rate) == 1 && rate > 0;
	while (ok && next_line(&at, line)) {
		if (strncmp(line, "MAPPED_LIBRARIES:", 17) == 0)
			in_maps = true;
		else if (in_maps)
			add_mapping(p, line);
		else
			ok = read_jemalloc_line(stacks, &lines, line, rate);
	}
	if (ok) {
		drop_allocator_frames(p, stacks);
		if (!lines.counts_all)
			keep_live_values(stacks);
		add_heap_types(p, lines.counts_all, rate);
	} else {
		*why = xasprintf(
			"heap profile of jemalloc: this line of it is damaged: %.60s", line);
	}
	free(line);
	return ok;
}

int profile_load_legacy(const uint8_t *data, size_t size, struct profile **ret, char **why)
{
	struct profile *p = profile_new();
	struct stacks stacks = { .list = { NULL, 0, 0 } };
	const struct bytes bytes = bytes_over(data, size);
	const bool ok = is_cpu(data, size) ? load_cpu(p, bytes, &stacks, why)
		: is_jemalloc(data, size)  ? load_jemalloc(p, bytes, &stacks, why)
					   : load_heap(p, bytes, &stacks, why);

	if (ok) {
		add_samples(p, &stacks);
		*ret = p;
	} else {
		profile_free(p);
	}
	VEC_FREE(&stacks.list);
	VEC_FREE(&stacks.addresses);
	return ok ? 0 : -EBADMSG;
}
