#include "agent/live_filter.h"

#include <string.h>
#include <sys/mman.h>

#include "base/syscalls.h"
#include "spool/live_writer.h"

/* A counter is a byte, of a cache that is the host's: they are few, and many times the samples. */
#define COUNTERS_MIN 8192
#define COUNTERS_MAX (4u << 20)
#define COUNTERS_A_LIVE_ONE 32 /* at least, when made */
#define COUNTERS_A_USED_ONE 24 /* with fewer than that it grows */
#define COUNT_MAX 255 /* there it stays */

/* One that answers no, and one that answers yes, whatever is asked. */
static struct {
	struct live_filter filter;
	uint8_t counter;
} nothing, everything = { .counter = COUNT_MAX };

struct live_filter *live_filter_current = &nothing.filter;
static struct live_filter *filling; /* the next one; NULL: none is being made */
static uint32_t maker_lock;
static bool is_everything; /* for good */

/* An empty one.  NULL: no memory. */
static struct live_filter *make_empty(uint32_t counters)
{
	const size_t size = sizeof(struct live_filter) + counters;
	long memory = raw_syscall6(SYS_mmap, 0, (long)size, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct live_filter *f = (struct live_filter *)memory;

	if (memory < 0 && memory > -4096)
		return NULL;
	f->mask = counters - 1;
	return f;
}

static void add_to(struct live_filter *f, uint64_t address)
{
	uint8_t *counter = &f->counters[live_filter_hash(address) & f->mask];
	uint8_t count = __atomic_load_n(counter, __ATOMIC_RELAXED);

	do {
		if (count == COUNT_MAX)
			return;
	} while (!__atomic_compare_exchange_n(counter, &count, (uint8_t)(count + 1), true,
		__ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
	if (count == 0)
		__atomic_fetch_add(&f->used, 1, __ATOMIC_RELAXED);
}

void live_filter_remove(struct live_filter *f, uint64_t address)
{
	uint8_t *counter = &f->counters[live_filter_hash(address) & f->mask];
	uint8_t count = __atomic_load_n(counter, __ATOMIC_RELAXED);

	do {
		if (count == COUNT_MAX || count == 0)
			return;
	} while (!__atomic_compare_exchange_n(counter, &count, (uint8_t)(count - 1), true,
		__ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
	if (count == 1)
		__atomic_fetch_sub(&f->used, 1, __ATOMIC_RELAXED);
}

/* --- growing --- */

static void add_live(uint64_t address, void *filter)
{
	add_to(filter, address);
}

static void count_one(uint64_t address, void *count)
{
	(void)address;
	++*(uint32_t *)count;
}

static bool is_too_small(const struct live_filter *f)
{
	return __atomic_load_n(&f->used, __ATOMIC_RELAXED) > (f->mask + 1) / COUNTERS_A_USED_ONE;
}

/*
 * An allocation is first among the live ones, then, behind a fence, FILLING is looked at, then
 * CURRENT.  So where it saw no FILLING it is either found below, or CURRENT was this one by then.
 * Counters may come out too high, as when it is both added and found; that makes a false "yes" at
 * worst.
 */
static void make(struct spool_writer *spool)
{
	uint32_t counters = COUNTERS_MIN, live = 0;
	struct live_filter *next;

	if (__atomic_exchange_n(&maker_lock, 1, __ATOMIC_ACQUIRE))
		return; /* another thread is at it, or the one that we interrupt */
	spool_each_live(spool, count_one, &live);
	while (counters < COUNTERS_MAX && counters / COUNTERS_A_LIVE_ONE < live)
		counters *= 4;
	next = counters / COUNTERS_A_LIVE_ONE < live ? NULL : make_empty(counters);
	if (!next) {
		/* Too many to tell apart, or no memory: then every free() is looked up. */
		__atomic_store_n(&live_filter_current, &everything.filter, __ATOMIC_SEQ_CST);
	} else {
		__atomic_store_n(&filling, next, __ATOMIC_SEQ_CST);
		spool_each_live(spool, add_live, next);
		__atomic_store_n(&live_filter_current, next, __ATOMIC_SEQ_CST);
		__atomic_store_n(&filling, NULL, __ATOMIC_SEQ_CST);
	}
	__atomic_store_n(&maker_lock, 0, __ATOMIC_RELEASE);
}

void live_filter_start(struct spool_writer *spool, bool every)
{
	is_everything = every;
	if (every)
		__atomic_store_n(&live_filter_current, &everything.filter, __ATOMIC_SEQ_CST);
	else
		make(spool);
}

void live_filter_stop(void)
{
	__atomic_store_n(&live_filter_current, &nothing.filter, __ATOMIC_SEQ_CST);
}

void live_filter_restart_in_child(void)
{
	filling = NULL;
	maker_lock = 0;
}

void live_filter_add(struct spool_writer *spool, uint64_t address)
{
	struct live_filter *next, *now;

	if (is_everything)
		return;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	next = __atomic_load_n(&filling, __ATOMIC_SEQ_CST);
	now = __atomic_load_n(&live_filter_current, __ATOMIC_SEQ_CST);
	if (next)
		add_to(next, address);
	if (now == &everything.filter || now == &nothing.filter)
		return;
	add_to(now, address);
	if (UNLIKELY(is_too_small(now)) && !next)
		make(spool);
}
