#define _GNU_SOURCE
#include "spool/live_index.h"

#include <stddef.h>
#include <sys/mman.h>
#include <x86intrin.h>

#include "base/compiler.h"
#include "base/lone_thread.h"
#include "base/syscalls.h"

/* A bucket is a line of cache.  What finds no room in its own is in one of those that follow. */
#define BUCKET_WORDS 16
#define BUCKETS_TRIED 4
#define WORDS_MIN 4096
#define WORDS_MAX (1u << 24)
#define SLOT_BITS 21
static_assert(LIVE_SLOTS_MAX == 1 << SLOT_BITS, "a slot and a tag are a word");

struct live_table {
	struct live_table *before; /* a smaller one, which somebody may still be reading */
	size_t size;
	uint32_t bucket_mask;
	uint8_t *passed; /* for each bucket: how many of its own are in those that follow */
	uint32_t words[] __attribute__((aligned(64)));
};

/* The tag in the upper bits is never 0, and a free word is 0. */
static uint32_t word_of(uint64_t address, uint32_t slot)
{
	const uint32_t hash = (uint32_t)(address * UINT64_C(0x9e3779b97f4a7c15) >> 32);

	return (hash | 1u << SLOT_BITS) >> SLOT_BITS << SLOT_BITS | slot;
}

static uint32_t tag_of(uint32_t word)
{
	return word >> SLOT_BITS;
}

static uint32_t slot_of(uint32_t word)
{
	return word & (LIVE_SLOTS_MAX - 1);
}

/*
 * In place of a hash: which bucket ADDRESS has.  Blocks that lie together are used together, so
 * those of 64 bytes share a bucket, which two of the smallest blocks of most allocators do, and
 * those of 2 KiB have 32 buckets that lie together.  That also fills the buckets more evenly
 * than chance would.  Where in these 32 the first one is differs, for the sake of big blocks,
 * which all begin alike.
 */
static uint32_t bucket_of(const struct live_table *t, uint64_t address)
{
	const uint64_t group = (address >> 11) * UINT64_C(0x9e3779b97f4a7c15) >> 32;

	return (uint32_t)((group & ~(uint64_t)31) | ((group + (address >> 6)) & 31)) &
		t->bucket_mask;
}

static ALWAYS_INLINE __m128i have_tag(const __m128i *four_words, __m128i tag)
{
	return _mm_cmpeq_epi32(_mm_srli_epi32(_mm_load_si128(four_words), SLOT_BITS), tag);
}

/* A bit for each word of BUCKET that has TAG. */
static ALWAYS_INLINE uint32_t words_with_tag(
	const struct live_table *t, uint32_t bucket, uint32_t tag)
{
	const __m128i *words = (const __m128i *)&t->words[bucket * BUCKET_WORDS];
	const __m128i wanted = _mm_set1_epi32((int)tag);

	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	return (uint32_t)_mm_movemask_epi8(_mm_packs_epi16(
		_mm_packs_epi32(have_tag(words, wanted), have_tag(words + 1, wanted)),
		_mm_packs_epi32(have_tag(words + 2, wanted), have_tag(words + 3, wanted))));
}

static uint32_t *next_word(struct live_table *t, uint32_t bucket, uint32_t *found)
{
	uint32_t *word = &t->words[bucket * BUCKET_WORDS + (uint32_t)__builtin_ctz(*found)];

	*found &= *found - 1;
	return word;
}

static uint32_t next_bucket(const struct live_table *t, uint32_t bucket)
{
	return (bucket + 1) & t->bucket_mask;
}

static void count_passed(struct live_table *t, uint32_t bucket, uint32_t count, uint8_t more)
{
	for (; count > 0; count--, bucket = next_bucket(t, bucket))
		__atomic_fetch_add(&t->passed[bucket], more, __ATOMIC_SEQ_CST);
}

/* --- one table --- */

/* The word WANTED; or, where not IS_EXACT, one with its tag whose slot has ADDRESS. */
static ALWAYS_INLINE bool find(const struct live_index *x, struct live_table *t,
	uint64_t address, uint32_t wanted, bool is_exact, struct live_place *place)
{
	uint32_t bucket = bucket_of(t, address);

	for (uint32_t passed = 0; passed < BUCKETS_TRIED; passed++) {
		uint32_t like_it = words_with_tag(t, bucket, tag_of(wanted));

		while (like_it) {
			uint32_t *at = next_word(t, bucket, &like_it);
			const uint32_t word = __atomic_load_n(at, __ATOMIC_ACQUIRE);

			if (UNLIKELY(is_exact
						? word != wanted
						: tag_of(word) != tag_of(wanted) ||
							__atomic_load_n(
								&x->slots[slot_of(word)].address,
								__ATOMIC_ACQUIRE) != address))
				continue;
			*place = (struct live_place){ t, at, word, passed };
			return true;
		}
		if (LIKELY(!__atomic_load_n(&t->passed[bucket], __ATOMIC_ACQUIRE)))
			break;
		bucket = next_bucket(t, bucket);
	}
	return false;
}

static inline bool put_in_bucket(struct live_table *t, uint32_t bucket, uint32_t word)
{
	uint32_t empty = words_with_tag(t, bucket, 0);

	while (empty) {
		uint32_t nothing = 0;

		if (LIKELY(lone_swap32(next_word(t, bucket, &empty), &nothing, word)))
			return true;
	}
	return false;
}

static bool put(struct live_table *t, uint64_t address, uint32_t word)
{
	const uint32_t first = bucket_of(t, address);
	uint32_t bucket = first;

	if (LIKELY(put_in_bucket(t, bucket, word)))
		return true;
	for (uint32_t passes = 1; passes < BUCKETS_TRIED; passes++) {
		bucket = next_bucket(t, bucket);
		count_passed(t, first, passes, 1);
		if (put_in_bucket(t, bucket, word))
			return true;
		count_passed(t, first, passes, (uint8_t)-1);
	}
	return false;
}

static void uncount_passed(uint64_t address, const struct live_place *place)
{
	if (UNLIKELY(place->buckets_passed))
		count_passed(place->table, bucket_of(place->table, address),
			place->buckets_passed, (uint8_t)-1);
}

/* Take WORD out, which is perhaps there. */
static NOINLINE void take_out(
	const struct live_index *x, struct live_table *t, uint64_t address, uint32_t word)
{
	struct live_place place;

	if (find(x, t, address, word, true, &place) && lone_swap32(place.at, &word, 0))
		uncount_passed(address, &place);
}

/* --- growing --- */

/* So full a table grows. */
static bool is_too_small(uint32_t words, uint32_t slots)
{
	return slots > words / 8 * 5;
}

static struct live_table *make_empty(uint32_t words)
{
	const size_t passed_at = sizeof(struct live_table) + (size_t)words * sizeof(uint32_t);
	const size_t size = passed_at + words / BUCKET_WORDS;
	const long memory = raw_syscall6(SYS_mmap, 0, (long)size, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | (words > WORDS_MIN ? MAP_POPULATE : 0), -1, 0);
	struct live_table *t = (struct live_table *)memory;

	if (memory < 0 && memory > -4096)
		return NULL;
	t->size = size;
	t->bucket_mask = words / BUCKET_WORDS - 1;
	t->passed = (uint8_t *)t + passed_at;
	return t;
}

static uint32_t words_in(const struct live_table *t)
{
	return t ? (t->bucket_mask + 1) * BUCKET_WORDS : 0;
}

/*
 * A slot first has its address, then, behind a fence, FILLING is looked at, then CURRENT.  So
 * where no FILLING was seen it is either found below, or CURRENT was this one by then.  A slot
 * that loses its address does so before its words are taken out of FILLING: either that is seen
 * below, or the word is found there.
 */
static bool fill(struct live_index *x, struct live_table *next)
{
	const uint32_t count = __atomic_load_n(&x->slots_used, __ATOMIC_SEQ_CST);

	for (uint32_t i = 0; i < count; i++) {
		const uint64_t *at = &x->slots[i].address;
		const uint64_t address = __atomic_load_n(at, __ATOMIC_SEQ_CST);

		if (address <= SPOOL_LIVE_BUSY)
			continue;
		if (!put(next, address, word_of(address, i)))
			return false;
		if (__atomic_load_n(at, __ATOMIC_SEQ_CST) != address)
			take_out(x, next, address, word_of(address, i));
	}
	return true;
}

/* A bigger one.  False: another thread is at it, or the one that we interrupt; or no memory. */
static NOINLINE bool make(struct live_index *x)
{
	const uint32_t slots = __atomic_load_n(&x->slots_used, __ATOMIC_RELAXED);
	uint32_t words = x->current ? words_in(x->current) * 4 : WORDS_MIN;
	struct live_table *next = NULL;
	bool is_filled;

	if (__atomic_exchange_n(&x->is_making, 1, __ATOMIC_ACQUIRE))
		return false;
	while (is_too_small(words, slots))
		words *= 4;
	if (words <= WORDS_MAX)
		next = make_empty(words);
	if (!next)
		return false; /* nor will there be: IS_MAKING stays */
	next->before = x->current;
	__atomic_store_n(&x->filling, next, __ATOMIC_SEQ_CST);
	is_filled = fill(x, next);
	if (is_filled)
		__atomic_store_n(&x->current, next, __ATOMIC_SEQ_CST);
	__atomic_store_n(&x->filling, NULL, __ATOMIC_SEQ_CST);
	__atomic_store_n(&x->is_making, !is_filled, __ATOMIC_RELEASE);
	return is_filled;
}

bool live_index_start(struct live_index *x, const struct spool_live *slots)
{
	*x = (struct live_index){ .slots = slots };
	return make(x);
}

void live_index_free(struct live_index *x)
{
	for (struct live_table *t = x->current, *before; t; t = before) {
		before = t->before;
		munmap(t, t->size);
	}
	x->current = NULL;
}

/* --- all of them --- */

static struct live_table *current_of(const struct live_index *x)
{
	return __atomic_load_n(&x->current, __ATOMIC_SEQ_CST);
}

static NOINLINE bool put_once(
	const struct live_index *x, struct live_table *t, uint64_t address, uint32_t word)
{
	struct live_place place;

	return find(x, t, address, word, true, &place) || put(t, address, word);
}

void live_index_use(struct live_index *x, uint32_t count)
{
	uint32_t before = __atomic_load_n(&x->slots_used, __ATOMIC_RELAXED);

	while (before < count && !__atomic_compare_exchange_n(&x->slots_used, &before, count,
					 true, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
		continue;
}

bool live_index_add(struct live_index *x, uint64_t address, uint32_t slot)
{
	const uint32_t word = word_of(address, slot);
	struct live_table *now = current_of(x), *next;
	bool is_there = put(now, address, word);

	next = __atomic_load_n(&x->filling, __ATOMIC_SEQ_CST);
	if (UNLIKELY(next))
		put_once(x, next, address, word);
	if (UNLIKELY(!is_there || is_too_small(words_in(now), x->slots_used)) && !next)
		make(x);
	if (UNLIKELY(current_of(x) != now))
		is_there = put_once(x, current_of(x), address, word);
	return is_there;
}

bool live_index_find(
	const struct live_index *x, uint64_t address, uint32_t *slot, struct live_place *place)
{
	if (!find(x, current_of(x), address, word_of(address, 0), false, place))
		return false;
	*slot = slot_of(place->word);
	return true;
}

void live_index_remove(struct live_index *x, uint64_t address, const struct live_place *place)
{
	struct live_table *next, *now;

	/* In the table that was current then, it is nobody else's to take out. */
	__atomic_store_n(place->at, 0, __ATOMIC_RELEASE);
	uncount_passed(address, place);
	next = __atomic_load_n(&x->filling, __ATOMIC_SEQ_CST);
	if (UNLIKELY(next))
		take_out(x, next, address, place->word);
	now = current_of(x);
	if (UNLIKELY(now != place->table))
		take_out(x, now, address, place->word);
}

void live_index_prefetch(const struct live_index *x, uint64_t address)
{
	const struct live_table *t = current_of(x);

	__builtin_prefetch(&t->words[bucket_of(t, address) * BUCKET_WORDS], 1);
}

bool live_index_may_have(const struct live_index *x, uint64_t address)
{
	const struct live_table *t = current_of(x);
	const uint32_t bucket = bucket_of(t, address);

	return words_with_tag(t, bucket, tag_of(word_of(address, 0))) ||
		__atomic_load_n(&t->passed[bucket], __ATOMIC_ACQUIRE);
}
