#include "spool/label_writer.h"

#include <string.h>

#include "base/hash.h"

#define PROBES_MAX 64

/* Put TEXT where a reader finds it, for a set just claimed. */
static void store_text(
	struct spool_writer *w, struct spool_label_set *set, const char *text, size_t size)
{
	struct spool_label_texts *texts = w->label_texts;
	const size_t capacity = w->label_texts_size - sizeof(*texts);
	uint64_t at = SPOOL_LABELS_REFUSED;

	if (spool_touch(w, texts, sizeof(*texts)))
		at = __atomic_fetch_add(&texts->used, size, __ATOMIC_RELAXED);
	if (at > capacity || size > capacity - at ||
		!spool_touch(w, (char *)(texts + 1) + at, size)) {
		__atomic_store_n(&set->text, SPOOL_LABELS_REFUSED, __ATOMIC_RELEASE);
		return;
	}
	memcpy((char *)(texts + 1) + at, text, size);
	set->size = (uint32_t)size;
	__atomic_store_n(&set->text, (uint32_t)at + 1, __ATOMIC_RELEASE);
}

/* The set that KEY stands for, claimed when new.  NULL: no room. */
static struct spool_label_set *find_set(struct spool_writer *w, uint64_t key, bool *is_new)
{
	for (uint32_t probe = 0; probe < PROBES_MAX; probe++) {
		struct spool_label_set *set =
			&w->label_sets[(key + probe) & (w->label_set_count - 1)];
		uint64_t seen;

		if (!spool_touch(w, set, sizeof(*set)))
			return NULL;
		seen = __atomic_load_n(&set->key, __ATOMIC_ACQUIRE);
		*is_new = seen == 0 && __atomic_compare_exchange_n(&set->key, &seen, key, false,
					       __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
		if (*is_new || seen == key)
			return set;
	}
	return NULL;
}

void spool_count_lost_labels(struct spool_writer *w)
{
	if (spool_touch(w, w->label_texts, sizeof(*w->label_texts)))
		__atomic_fetch_add(&w->label_texts->lost, 1, __ATOMIC_RELAXED);
}

uint32_t spool_intern_labels(struct spool_writer *w, const char *text, size_t size)
{
	const uint64_t hash = hash_bytes(text, size);
	bool is_new = false;
	struct spool_label_set *set = find_set(w, hash ? hash : 1, &is_new);

	if (set && is_new)
		store_text(w, set, text, size);
	/* Another thread may be about to store it: a reader sees it then. */
	if (set && __atomic_load_n(&set->text, __ATOMIC_RELAXED) != SPOOL_LABELS_REFUSED)
		return (uint32_t)(set - w->label_sets) + 1;
	spool_count_lost_labels(w);
	return 0;
}

bool spool_inherit_labels(struct spool_writer *w, const struct spool_writer *from)
{
	/* Limits may have changed, and the tables with them. */
	if ((char *)w->label_sets - (char *)w->header !=
		(char *)from->label_sets - (char *)from->header)
		return true;
	if (!spool_copy_touched(w, from, from->label_sets,
		    from->label_set_count * sizeof(*from->label_sets)) ||
		!spool_copy_touched(w, from, from->label_texts, from->label_texts_size))
		return false;
	if (spool_is_touched(w, w->label_texts))
		w->label_texts->lost = 0;
	return true;
}
