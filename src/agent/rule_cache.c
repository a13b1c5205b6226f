#include "agent/rule_cache.h"

struct rule_cache_entry rule_cache[RULE_CACHE_ENTRIES];

void rule_cache_store(uint64_t pc, uint64_t epoch, union rule rule)
{
	struct rule_cache_entry *entry = rule_cache_slot(pc);

	__atomic_store_n(&entry->rule, rule.word, __ATOMIC_RELAXED);
	__atomic_store_n(&entry->tag, rule_cache_tag(pc, epoch, rule.word), __ATOMIC_RELAXED);
}
