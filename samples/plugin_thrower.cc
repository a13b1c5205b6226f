/*
 * A plugin in C++ that throws through frames which have work to do on the
 * way, while a std::thread of its own works too.  Units of work a round:
 *
 *     plugin_run > thrower::attempt > outer > middle > inner		1, then it throws
 *     plugin_run > thrower::attempt > outer > middle > cleanup::~cleanup()	2
 *     start_thread > execute_native_thread_routine > ... > thrower::background	1
 *
 * The work of ~cleanup runs between two halves of an unwinding, in a frame
 * that the exception has reached.
 */
#include <stdexcept>
#include <string>
#include <thread>

#include "plugin.h"
#include "work.h"

const char plugin_name[] = "thrower";

namespace thrower {

struct failure : std::runtime_error {
	explicit failure(uint64_t v) : std::runtime_error("failure"), value(v) {}
	uint64_t value;
};

class cleanup {
public:
	explicit cleanup(uint64_t *v) : value(v) {}
	cleanup(const cleanup &) = delete;
	cleanup &operator=(const cleanup &) = delete;
	KEPT ~cleanup() { *value = WORK_STEPS(*value, 2 * WORK_UNIT_STEPS); }

private:
	uint64_t *value;
};

KEPT static uint64_t inner(uint64_t value)
{
	value = WORK(value);
	if (value != 0)
		throw failure(value);
	return value;
}

KEPT static uint64_t middle(uint64_t *value)
{
	cleanup on_the_way(value);

	return inner(*value) + 1;
}

KEPT static uint64_t outer(uint64_t *value)
{
	const std::string to_be_destroyed(100, 'x');

	return middle(value) + to_be_destroyed.size();
}

KEPT static uint64_t attempt(uint64_t value)
{
	try {
		return outer(&value) + 1;
	} catch (const failure &caught) {
		return caught.value + value;
	}
}

KEPT static void background(uint64_t round_count, uint64_t *sum)
{
	for (uint64_t i = 0; i < round_count; i++)
		*sum += WORK(i);
}

} // namespace thrower

uint64_t plugin_run(uint64_t round_count)
{
	uint64_t background_sum = 0, sum = 0;
	std::thread other(thrower::background, round_count, &background_sum);

	for (uint64_t i = 0; i < round_count; i++)
		sum += thrower::attempt(i);
	other.join();
	return sum + background_sum;
}
