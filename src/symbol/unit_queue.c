#define _GNU_SOURCE
#include "symbol/unit_queue.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>

#define AHEAD_UNITS_MAX 4 /* that are read, or being read, and not yet taken */
#define AHEAD_BYTES_MAX (16u << 20) /* of DWARF, likewise; one may be larger */

enum unit_state { UNIT_WAITS, UNIT_IS_BEING_READ, UNIT_IS_READ, UNIT_IS_GONE };

struct queued_unit {
	struct dwarf_unit *unit;
	struct dwarf_wanted wanted;
	struct dwarf_loaded *loaded;
	enum unit_state state;
	bool is_dropped; /* while it is being read */
};

struct unit_queue {
	VEC(struct queued_unit) units; /* does not move while the thread runs */
	size_t first; /* those before it are gone, or dropped */
	size_t next; /* those from it on wait */
	uint64_t ahead_bytes; /* of DWARF from FIRST to NEXT */
	bool has_thread;
	bool stops;
	pthread_t thread;
	pthread_mutex_t lock; /* all of the above, once there is a thread */
	pthread_cond_t changed;
};

struct unit_queue *unit_queue_new(void)
{
	struct unit_queue *q = xcalloc(1, sizeof(*q));

	pthread_mutex_init(&q->lock, NULL);
	pthread_cond_init(&q->changed, NULL);
	return q;
}

void unit_queue_free(struct unit_queue *q)
{
	if (!q)
		return;
	unit_queue_clear(q);
	pthread_cond_destroy(&q->changed);
	pthread_mutex_destroy(&q->lock);
	free(q);
}

void unit_queue_add(struct unit_queue *q, struct dwarf_unit *u, struct dwarf_wanted wanted)
{
	*VEC_PUSH(&q->units) = (struct queued_unit){ .unit = u, .wanted = wanted };
}

static uint64_t size_of(const struct queued_unit *unit)
{
	const struct dwarf_unit *u = dwarf_function_unit(unit->unit);

	return u->end - u->offset;
}

/* --- under the lock --- */

static bool may_read_next(const struct unit_queue *q)
{
	return q->next < q->units.count && q->next - q->first < AHEAD_UNITS_MAX &&
		(q->next == q->first || q->ahead_bytes < AHEAD_BYTES_MAX);
}

static void drop(struct queued_unit *unit)
{
	if (unit->state == UNIT_IS_BEING_READ) {
		unit->is_dropped = true;
		return;
	}
	free(unit->state == UNIT_WAITS ? unit->wanted.vaddrs : NULL);
	dwarf_loaded_free(unit->loaded);
	unit->loaded = NULL;
	unit->state = UNIT_IS_GONE;
}

/* Read UNIT, which waits; the lock is given back meanwhile. */
static void read_unit(struct unit_queue *q, struct queued_unit *unit)
{
	struct dwarf_loaded *loaded;

	unit->state = UNIT_IS_BEING_READ;
	pthread_mutex_unlock(&q->lock);
	loaded = dwarf_loaded_read(unit->unit, unit->wanted);
	pthread_mutex_lock(&q->lock);
	unit->loaded = loaded;
	unit->state = UNIT_IS_READ;
	if (unit->is_dropped)
		drop(unit);
	pthread_cond_signal(&q->changed);
}

static void read_next(struct unit_queue *q)
{
	struct queued_unit *unit = &q->units.items[q->next++];

	q->ahead_bytes += size_of(unit);
	read_unit(q, unit);
}

/* Nobody will ask for what comes before FIRST. */
static void move_to(struct unit_queue *q, size_t first)
{
	for (; q->first < first; q->first++) {
		struct queued_unit *unit = &q->units.items[q->first];

		if (q->first < q->next)
			q->ahead_bytes -= size_of(unit);
		else
			q->next = q->first + 1;
		drop(unit);
	}
	pthread_cond_signal(&q->changed);
}

/* --- the thread --- */

static void *read_ahead(void *argument)
{
	struct unit_queue *q = argument;

	pthread_mutex_lock(&q->lock);
	while (!q->stops && q->next < q->units.count) {
		if (may_read_next(q))
			read_next(q);
		else
			pthread_cond_wait(&q->changed, &q->lock);
	}
	pthread_mutex_unlock(&q->lock);
	return NULL;
}

static bool is_work_for_two(const struct unit_queue *q, uint64_t bytes)
{
	uint64_t size = 0;
	cpu_set_t set;

	if (q->units.count < 2)
		return false;
	for (size_t i = 0; i < q->units.count; i++)
		size += size_of(&q->units.items[i]);
	return size >= bytes &&
		sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) > 1;
}

/* Without a thread all is read when it is asked for. */
void unit_queue_start(struct unit_queue *q, uint64_t bytes)
{
	sigset_t all, before;

	if (q->has_thread || !is_work_for_two(q, bytes))
		return;
	q->stops = false;
	sigfillset(&all); /* signals are the other thread's to handle */
	pthread_sigmask(SIG_SETMASK, &all, &before);
	q->has_thread = pthread_create(&q->thread, NULL, read_ahead, q) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void unit_queue_clear(struct unit_queue *q)
{
	if (q->has_thread) {
		pthread_mutex_lock(&q->lock);
		q->stops = true;
		pthread_cond_signal(&q->changed);
		pthread_mutex_unlock(&q->lock);
		pthread_join(q->thread, NULL);
		q->has_thread = false;
	}
	move_to(q, q->units.count);
	VEC_FREE(&q->units);
	q->first = q->next = 0;
	q->ahead_bytes = 0;
}

/* --- asking --- */

static size_t find(const struct unit_queue *q, const struct dwarf_unit *u)
{
	size_t i = q->first;

	while (i < q->units.count && q->units.items[i].unit != u)
		i++;
	return i;
}

static struct dwarf_loaded *take(struct unit_queue *q, struct queued_unit *unit)
{
	struct dwarf_loaded *loaded;

	while (unit->state != UNIT_IS_READ) {
		if (may_read_next(q))
			read_next(q);
		else
			pthread_cond_wait(&q->changed, &q->lock);
	}
	loaded = unit->loaded;
	unit->loaded = NULL;
	return loaded;
}

struct dwarf_loaded *unit_queue_take(struct unit_queue *q, struct dwarf_unit *u)
{
	struct dwarf_loaded *loaded = NULL;
	size_t index;

	pthread_mutex_lock(&q->lock);
	index = find(q, u);
	if (index < q->units.count && index - q->first < AHEAD_UNITS_MAX) {
		move_to(q, index);
		loaded = take(q, &q->units.items[index]);
		move_to(q, index + 1);
	}
	pthread_mutex_unlock(&q->lock);
	return loaded;
}
