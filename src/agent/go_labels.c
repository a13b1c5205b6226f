#include "agent/go_labels.h"

#include <string.h>

#include "agent/go_runtime.h"
#include "agent/stack_memory.h"
#include "spool/label_writer.h"

/* As Go has it: not NUL-terminated. */
struct text {
	uint64_t start;
	uint64_t size;
};

struct label {
	struct text key, value;
};

/* Sorted by key. */
struct label_set {
	uint32_t count;
	bool is_incomplete;
	struct label labels[SPOOL_LABELS_MAX];
};

static int compare(const struct text *a, const struct text *b)
{
	const uint64_t size = a->size < b->size ? a->size : b->size;
	const int order = memcmp((const char *)a->start, (const char *)b->start, size);

	return order ? order : (a->size > b->size) - (a->size < b->size);
}

/* Unless there is one of that name. */
static void add(struct label_set *set, const struct label *label)
{
	uint32_t at = set->count;

	for (; at > 0; at--) {
		const int order = compare(&set->labels[at - 1].key, &label->key);

		if (order == 0)
			return;
		if (order < 0)
			break;
	}
	if (set->count == SPOOL_LABELS_MAX) {
		set->is_incomplete = true;
		return;
	}
	memmove(&set->labels[at + 1], &set->labels[at],
		(set->count - at) * sizeof(set->labels[0]));
	set->labels[at] = *label;
	set->count++;
}

/* --- what Go's memory holds --- */

/* A text that can be read, and be kept with a NUL behind it. */
static bool is_good(struct stack_memory *memory, const struct text *text)
{
	return text->size > 0 && text->size < GO_LABELS_BYTES_MAX &&
	       stack_memory_has(memory, text->start, text->size) &&
	       !memchr((const char *)text->start, '\0', text->size);
}

static bool read_text(struct stack_memory *memory, uint64_t at, struct text *text)
{
	return stack_memory_read(memory, at, &text->start) &&
	       stack_memory_read(memory, at + 8, &text->size);
}

static void add_from(
	struct stack_memory *memory, struct label_set *set, uint64_t key, uint64_t value)
{
	struct label label;

	if (!read_text(memory, key, &label.key) || !read_text(memory, value, &label.value))
		return;
	if (is_good(memory, &label.key) && is_good(memory, &label.value))
		add(set, &label);
	else if (label.value.size > 0)
		set->is_incomplete = true;
}

#define TEXT_SIZE 16
#define LIST_MAX 64 /* labels that are looked at */

/* Go 1.24: runtime/pprof/label.go, LabelSet. */
static void read_list(struct stack_memory *memory, uint64_t labels, struct label_set *set)
{
	uint64_t list, count;

	if (!stack_memory_read(memory, labels, &list) ||
		!stack_memory_read(memory, labels + 8, &count))
		return;
	if (count > LIST_MAX) {
		set->is_incomplete = true;
		count = LIST_MAX;
	}
	for (uint64_t at = list; at < list + count * 2 * TEXT_SIZE; at += 2 * TEXT_SIZE)
		add_from(memory, set, at, at + TEXT_SIZE);
}

/* Go 1.18 to 1.23: runtime/map.go, bmap and hmap. */
#define BUCKET_SLOTS 8
#define BUCKET_KEYS BUCKET_SLOTS /* behind a byte of hash each */
#define BUCKET_VALUES (BUCKET_KEYS + BUCKET_SLOTS * TEXT_SIZE)
#define BUCKET_NEXT (BUCKET_VALUES + BUCKET_SLOTS * TEXT_SIZE)
#define BUCKET_SIZE (BUCKET_NEXT + 8)
#define HASH_MIN 5 /* below: an empty slot, or one that has moved to the new buckets */
#define BUCKETS_MAX 32 /* that are looked at */
#define MAP_SAME_SIZE 8 /* in the flags: sameSizeGrow */

static void read_chain(struct stack_memory *memory, uint64_t bucket, struct label_set *set,
	uint32_t *buckets_left)
{
	uint64_t hashes;

	for (; bucket && stack_memory_read(memory, bucket, &hashes); (*buckets_left)--) {
		if (*buckets_left == 0) {
			set->is_incomplete = true;
			return;
		}
		for (uint64_t i = 0; i < BUCKET_SLOTS; i++)
			if ((hashes >> 8 * i & 0xff) >= HASH_MIN)
				add_from(memory, set, bucket + BUCKET_KEYS + i * TEXT_SIZE,
					bucket + BUCKET_VALUES + i * TEXT_SIZE);
		if (!stack_memory_read(memory, bucket + BUCKET_NEXT, &bucket))
			return;
	}
}

static void read_buckets(struct stack_memory *memory, uint64_t buckets, uint64_t count,
	struct label_set *set, uint32_t *buckets_left)
{
	for (uint64_t i = 0; buckets && i < count && *buckets_left > 0; i++)
		read_chain(memory, buckets + i * BUCKET_SIZE, set, buckets_left);
}

static void read_map(struct stack_memory *memory, uint64_t labels, struct label_set *set)
{
	uint32_t buckets_left = BUCKETS_MAX;
	uint64_t map, flags, buckets, old_buckets, count;

	if (!stack_memory_read(memory, labels, &map) || !map ||
		!stack_memory_read(memory, map + 8, &flags) ||
		!stack_memory_read(memory, map + 16, &buckets) ||
		!stack_memory_read(memory, map + 24, &old_buckets))
		return;
	count = (uint64_t)1 << (flags >> 8 & 63);
	if (count > BUCKETS_MAX) {
		set->is_incomplete = true;
		return;
	}
	read_buckets(memory, buckets, count, set, &buckets_left);
	/* A map that was growing when it was written last stays so: half as many old buckets, or
	 * as many where it only made its chains shorter. */
	read_buckets(memory, old_buckets, flags & MAP_SAME_SIZE ? count : count / 2, set,
		&buckets_left);
}

/* --- the set --- */

static void add_own(struct label_set *set, const char *own, size_t size)
{
	const char *const end = own + size;

	while (own < end) {
		struct label label = { .key = { (uint64_t)own, strlen(own) } };

		own += label.key.size + 1;
		label.value = (struct text){ (uint64_t)own, strlen(own) };
		own += label.value.size + 1;
		add(set, &label);
	}
}

static char *put(char *to, const struct text *text)
{
	memcpy(to, (const char *)text->start, text->size);
	to[text->size] = '\0';
	return to + text->size + 1;
}

static size_t write_text(struct label_set *set, char text[static GO_LABELS_BYTES_MAX])
{
	char *end = text;

	for (uint32_t i = 0; i < set->count; i++) {
		const struct label *label = &set->labels[i];

		if (label->key.size + label->value.size + 2 >
			(uint64_t)(text + GO_LABELS_BYTES_MAX - end)) {
			set->is_incomplete = true;
			continue;
		}
		end = put(put(end, &label->key), &label->value);
	}
	return (size_t)(end - text);
}

bool go_labels_intern(struct spool_writer *spool, const char *own, size_t size, uint32_t *number)
{
	struct stack_memory memory = { .pages_next = 0 };
	struct label_set set = { .count = 0 };
	char text[GO_LABELS_BYTES_MAX];
	enum go_label_form form;
	const uint64_t labels = go_runtime_labels(&memory, &form);

	if (!labels)
		return false;
	if (form == GO_LABELS_LIST)
		read_list(&memory, labels, &set);
	else
		read_map(&memory, labels, &set);
	if (set.count == 0 && !set.is_incomplete)
		return false;
	add_own(&set, own, size);
	size = write_text(&set, text);
	*number = size ? spool_intern_labels(spool, text, size) : 0;
	if (set.is_incomplete && (*number || !size))
		spool_count_lost_labels(spool);
	return true;
}
