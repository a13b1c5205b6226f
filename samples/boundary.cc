/*
 * The plugin of cxxhost: throws to its host, and is thrown through by it.
 */
#include <vector>

#include "boundary.h"
#include "work.h"

namespace boundary {

KEPT static uint64_t dig(uint64_t value)
{
	uint64_t found = WORK_STEPS(value, 2 * WORK_UNIT_STEPS);

	if (value % 2 == 1)
		throw boundary_error(found);
	return found;
}

KEPT static uint64_t call_back(uint64_t value, uint64_t (*callback)(uint64_t value))
{
	const std::vector<uint64_t> to_be_destroyed(8, value);

	return callback(to_be_destroyed.back()) + 1;
}

} // namespace boundary

KEPT uint64_t boundary_run(uint64_t value, uint64_t (*callback)(uint64_t value))
{
	uint64_t found = boundary::dig(value);

	return found + boundary::call_back(found & ~UINT64_C(1), callback);
}
