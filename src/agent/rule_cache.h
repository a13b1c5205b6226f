/*
 * Rules in 64 bits, each for one pc, and the cache that remembers them: direct-mapped by pc, shared
 * by all threads, of fixed size.  A rule says how to find the caller and which library the pc is
 * in, so that a frame known before costs one cache line and two words of stack.  Rules are void
 * with the epoch of modules.h.  Signal-safe.
 */
#ifndef AGENT_RULE_CACHE_H
#define AGENT_RULE_CACHE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum shape {
	SHAPE_NONE, /* no rule: not cached */
	SHAPE_RSP, /* CFA = rsp + offset */
	SHAPE_RBP, /* CFA = rbp + offset */
	SHAPE_OUTERMOST, /* no caller */
	SHAPE_FRAME_POINTER, /* no unwind information: a checked step along rbp */
	SHAPE_FULL, /* run the call frame information each time */
	SHAPE_CODE_RSP, /* CFA = rsp + offset, as the instructions have it: to be checked */
	SHAPE_CODE, /* the instructions have it, but not so: not cached, see scratch->exit */
	SHAPE_INJECTED, /* not really there yet: a call that Go's preemption put in */
};

/* How rbp is found: unchanged, or saved at CFA + offset (the return address is at CFA - 8). */
union rule {
	struct {
		uint64_t shape : 4;
		uint64_t saves_rbp : 1;
		uint64_t is_go : 1;
		uint64_t is_agent : 1;
		uint64_t is_entered : 1; /* nothing called: a return address here is exact */
		uint64_t instance : 20;
		int64_t rbp_offset : 16; /* words */
		int64_t cfa_offset : 20; /* bytes; on top, where one shift gets it */
	};
	uint64_t word;
};
static_assert(sizeof(union rule) == 8, "a rule is one word");

#define RULE_CACHE_ENTRIES 4096

/* Two words without a lock: a reader that sees halves of two entries sees a TAG that does not
 * fit the rule, and takes it for a miss. */
struct rule_cache_entry {
	uint64_t tag;
	uint64_t rule;
};
extern struct rule_cache_entry rule_cache[RULE_CACHE_ENTRIES];

static inline struct rule_cache_entry *rule_cache_slot(uint64_t pc)
{
	return &rule_cache[(pc * 0x9e3779b97f4a7c15u) >> (64 - 12)];
}
static_assert(RULE_CACHE_ENTRIES == 1 << 12, "rule_cache_slot() takes 12 bits");

static inline uint64_t rule_cache_tag(uint64_t pc, uint64_t epoch, uint64_t rule)
{
	return (pc + epoch * 0xd1342543de82ef95u) ^ (rule * 0xff51afd7ed558ccdu);
}

static inline bool rule_cache_find(uint64_t pc, uint64_t epoch, union rule *rule)
{
	const struct rule_cache_entry *entry = rule_cache_slot(pc);
	uint64_t tag = __atomic_load_n(&entry->tag, __ATOMIC_RELAXED);

	rule->word = __atomic_load_n(&entry->rule, __ATOMIC_RELAXED);
	return rule->word && tag == rule_cache_tag(pc, epoch, rule->word);
}

void rule_cache_store(uint64_t pc, uint64_t epoch, union rule rule);

/* The processor's translations of the cache's pages are to be had soon. */
static inline void rule_cache_prefetch(void)
{
	for (size_t at = 0; at < RULE_CACHE_ENTRIES; at += 4096 / sizeof(rule_cache[0]))
		__builtin_prefetch(&rule_cache[at]);
}

#endif
