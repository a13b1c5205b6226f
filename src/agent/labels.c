#include "agent/labels.h"

#include <string.h>

#include "agent/go_labels.h"
#include "agent/go_runtime.h"
#include "agent/plugprof.h"
#include "agent/threads.h"
#include "base/compiler.h"
#include "spool/label_writer.h"

/* Key and value in turn, sorted by key, each with its NUL: equal sets have equal texts. */
struct label_list {
	uint32_t size; /* bytes of text; 0: no labels */
	uint32_t count;
	uint32_t set; /* its number in the spool; 0: not asked for yet */
	char text[PLUGPROF_LABEL_BYTES_MAX];
};

/* What a thread with labels is lent.  A change is made in the list that is not current, so that
 * a tick in the middle of it sees the one before. */
struct labels {
	struct label_list lists[2];
	uint8_t current; /* one store makes a list the current one */
	uint8_t is_changing;
};

#define LABELLED_THREADS_MAX 2048
static struct labels lent[LABELLED_THREADS_MAX]; /* thread_self.labels is an index, plus one */
static uint64_t lent_bits[LABELLED_THREADS_MAX / 64];

static bool is_started;

void labels_start(void)
{
	is_started = true;
}

static struct labels *own_labels(void)
{
	return thread_self.labels ? &lent[thread_self.labels - 1] : NULL;
}

static void give_back(uint32_t index)
{
	__atomic_fetch_and(
		&lent_bits[index / 64], ~((uint64_t)1 << index % 64), __ATOMIC_RELEASE);
}

/* NULL: all are taken. */
static struct labels *borrow(void)
{
	for (uint32_t i = 0; i < LABELLED_THREADS_MAX; i++) {
		const uint64_t bit = (uint64_t)1 << i % 64;

		if (__atomic_load_n(&lent_bits[i / 64], __ATOMIC_RELAXED) == ~(uint64_t)0) {
			i |= 63;
			continue;
		}
		if (__atomic_fetch_or(&lent_bits[i / 64], bit, __ATOMIC_ACQUIRE) & bit)
			continue;
		lent[i].lists[0].size = lent[i].lists[0].count = 0;
		lent[i].current = 0;
		lent[i].is_changing = 0;
		__atomic_signal_fence(__ATOMIC_SEQ_CST);
		thread_self.labels = (uint16_t)(i + 1);
		return &lent[i];
	}
	return NULL;
}

static bool append(struct label_list *list, const char *key, const char *value)
{
	const size_t key_size = strlen(key) + 1, value_size = strlen(value) + 1;

	if (list->count == PLUGPROF_LABELS_MAX ||
		key_size + value_size > sizeof(list->text) - list->size)
		return false;
	memcpy(list->text + list->size, key, key_size);
	memcpy(list->text + list->size + key_size, value, value_size);
	list->size += (uint32_t)(key_size + value_size);
	list->count++;
	return true;
}

/* TO becomes FROM with KEY's value changed, or, with a VALUE of NULL, without it. */
static bool change(struct label_list *to, const struct label_list *from, const char *key,
	const char *value)
{
	bool is_done = !value;

	*to = (struct label_list){ .size = 0 };
	for (const char *at = from->text; at < from->text + from->size;) {
		const char *old_value = at + strlen(at) + 1;
		const int order = strcmp(at, key);

		if (!is_done && order >= 0) {
			if (!append(to, key, value))
				return false;
			is_done = true;
		}
		if (order != 0 && !append(to, at, old_value))
			return false;
		at = old_value + strlen(old_value) + 1;
	}
	return is_done || append(to, key, value);
}

EXPORT int plugprof_set_thread_label(const char *key, const char *value)
{
	struct labels *labels = own_labels();
	bool is_changed;

	if (!is_started)
		return 0;
	if (!key || !key[0] ||
		strnlen(key, PLUGPROF_LABEL_KEY_MAX + 1) > PLUGPROF_LABEL_KEY_MAX ||
		(value && strnlen(value, PLUGPROF_LABEL_BYTES_MAX) == PLUGPROF_LABEL_BYTES_MAX))
		return -1;
	if (value && !value[0])
		value = NULL;
	if (!labels && !value)
		return 0;
	if (!labels)
		labels = borrow();
	if (!labels || labels->is_changing)
		return -1; /* a handler's call, in the middle of this very function */
	labels->is_changing = 1;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	is_changed = change(
		&labels->lists[!labels->current], &labels->lists[labels->current], key, value);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	if (is_changed)
		labels->current = !labels->current;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	labels->is_changing = 0;
	return is_changed ? 0 : -1;
}

/* Also under the name of the header's function, for those who call it without the header: through
 * dlsym(), or by a weak reference that they test themselves. */
EXPORT int set_label_by_its_usual_name(const char *key, const char *value) __asm__(
	"plugprof_set_label") __attribute__((alias("plugprof_set_thread_label")));

static uint32_t own_set(struct spool_writer *spool, struct label_list *list)
{
	if (list->size && list->set == 0)
		list->set = spool_intern_labels(spool, list->text, list->size);
	return list->set;
}

spool_frame labels_note(struct spool_writer *spool)
{
	static struct label_list none; /* written by nobody */
	struct labels *labels = own_labels();
	struct label_list *list = labels ? &labels->lists[labels->current] : &none;
	uint32_t set;

	if (LIKELY(!labels && !go_place_count))
		return 0;
	if (!go_place_count || !go_labels_intern(spool, list->text, list->size, &set))
		set = own_set(spool, list);
	return set ? spool_frame_note(SPOOL_NOTE_LABELS, set) : 0;
}

size_t labels_append(spool_frame *frames, size_t count, spool_frame note)
{
	if (LIKELY(!note))
		return count;
	if (count == SPOOL_FRAMES_PER_STACK_MAX) {
		frames[count - 2] = frames[count - 1]; /* the note that the stack goes on */
		count--;
	}
	frames[count] = note;
	return count + 1;
}

void labels_thread_ends(void)
{
	const uint32_t number = thread_self.labels;

	if (!number)
		return;
	thread_self.labels = 0;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	give_back(number - 1);
}

void labels_restart_in_child(void)
{
	const uint32_t index = (uint32_t)thread_self.labels - 1;

	for (size_t i = 0; i < ARRAY_SIZE(lent_bits); i++)
		if (lent_bits[i]) /* a page not written to is not copied */
			lent_bits[i] = 0;
	if (!thread_self.labels)
		return;
	lent_bits[index / 64] = (uint64_t)1 << index % 64;
	lent[index].lists[0].set = lent[index].lists[1].set = 0;
}
