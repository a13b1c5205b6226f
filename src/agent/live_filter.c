#include "agent/live_filter.h"

#include <string.h>
#include <sys/mman.h>

#include "base/compiler.h"
#include "base/syscalls.h"
#include "spool/heap_writer.h"

#define BITS_MIN 65536
#define BITS_MAX (4u << 20)
#define BITS_A_LIVE_ONE 32 /* at least, when made anew */
#define BITS_A_SET_ONE 12 /* fewer than that: make it anew */

/* Two words: to zeroed memory that answers no, and to one that answers yes. */
static const struct {
	struct live_filter filter;
	uint32_t word;
} nothing, everything = { .word = 1 };

const struct live_filter *live_filter_current = &nothing.filter;
static struct live_filter *filling; /* the next one; NULL: none is being made */
static uint32_t maker_lock;

/* A filter is used again when as many others were current since, so no thread reads it still. */
#define RING 8
static struct live_filter *ring[RING];
static uint32_t ring_next;

static size_t size_of(uint32_t bits)
{
	return sizeof(struct live_filter) + bits / 8;
}

/* An empty one of BITS bits.  NULL: no memory. */
static struct live_filter *make_empty(uint32_t bits)
{
	struct live_filter **slot = &ring[ring_next++ % RING];

	if (!*slot || (*slot)->mask + 1 < bits) {
		long memory = raw_syscall6(SYS_mmap, 0, (long)size_of(bits), PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (memory < 0 && memory > -4096)
			return NULL;
		/* The smaller one before it may still be read: it is left. */
		*slot = (struct live_filter *)memory;
	} else {
		memset(*slot, 0, size_of((*slot)->mask + 1));
	}
	(*slot)->mask = bits - 1;
	return *slot;
}

static void set_bit(struct live_filter *f, uint64_t address)
{
	const uint32_t bit = live_filter_hash((void *)address) & f->mask;
	const uint32_t set = (uint32_t)1 << (bit % 32);

	if (!(__atomic_fetch_or(&f->words[bit / 32], set, __ATOMIC_SEQ_CST) & set))
		__atomic_fetch_add(&f->bits_set, 1, __ATOMIC_RELAXED);
}

static void set_bit_of(uint64_t address, void *filter)
{
	set_bit(filter, address);
}

static void count_one(uint64_t address, void *count)
{
	(void)address;
	++*(uint32_t *)count;
}

static bool is_worn(const struct live_filter *f)
{
	return __atomic_load_n(&f->bits_set, __ATOMIC_RELAXED) > (f->mask + 1) / BITS_A_SET_ONE;
}

/*
 * An allocation is first among the live ones, then FILLING is looked at, then CURRENT.  So where it
 * saw no FILLING it is either found below, or CURRENT was this one by then.
 */
static void make_anew(struct spool_writer *spool)
{
	uint32_t bits = BITS_MIN, live = 0;
	struct live_filter *next;

	if (__atomic_exchange_n(&maker_lock, 1, __ATOMIC_ACQUIRE))
		return; /* another thread is at it, or the one that we interrupt */
	spool_each_live(spool, count_one, &live);
	while (bits < BITS_MAX && bits / BITS_A_LIVE_ONE < live)
		bits *= 4;
	next = bits / BITS_A_LIVE_ONE < live ? NULL : make_empty(bits);
	if (!next) {
		/* Too many to tell apart, or no memory: then every free() is looked up. */
		__atomic_store_n(&live_filter_current, &everything.filter, __ATOMIC_SEQ_CST);
	} else {
		__atomic_store_n(&filling, next, __ATOMIC_SEQ_CST);
		spool_each_live(spool, set_bit_of, next);
		__atomic_store_n(&live_filter_current, next, __ATOMIC_SEQ_CST);
		__atomic_store_n(&filling, NULL, __ATOMIC_SEQ_CST);
	}
	__atomic_store_n(&maker_lock, 0, __ATOMIC_RELEASE);
}

void live_filter_start(struct spool_writer *spool, bool every)
{
	if (every)
		__atomic_store_n(&live_filter_current, &everything.filter, __ATOMIC_SEQ_CST);
	else
		make_anew(spool);
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
	struct live_filter *next = __atomic_load_n(&filling, __ATOMIC_SEQ_CST);
	struct live_filter *now = (struct live_filter *)__atomic_load_n(
		&live_filter_current, __ATOMIC_SEQ_CST);

	if (next)
		set_bit(next, address);
	if (now == &everything.filter || now == &nothing.filter)
		return;
	set_bit(now, address);
	if (UNLIKELY(is_worn(now)))
		make_anew(spool);
}
