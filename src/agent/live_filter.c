#include "agent/live_filter.h"

#define COUNT_MAX UINT8_MAX

uint8_t live_filter_counters[1 << LIVE_FILTER_BITS];

/* Count up or down, where COUNT is neither of these, between which it could not be told. */
static void change(uint64_t address, uint8_t more, uint8_t except)
{
	uint8_t *counter = &live_filter_counters[live_filter_place(address)];
	uint8_t count = __atomic_load_n(counter, __ATOMIC_RELAXED);

	do {
		if (count == COUNT_MAX || count == except)
			return;
	} while (!__atomic_compare_exchange_n(counter, &count, (uint8_t)(count + more), true,
		__ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
}

void live_filter_add(uint64_t address)
{
	change(address, 1, COUNT_MAX);
}

void live_filter_remove(uint64_t address)
{
	change(address, (uint8_t)-1, 0);
}

void live_filter_keep(uint64_t address)
{
	__atomic_store_n(&live_filter_counters[live_filter_place(address)], COUNT_MAX,
		__ATOMIC_RELAXED);
}
