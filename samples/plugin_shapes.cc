/*
 * A plugin in C++, with the names that C++ makes.  Units of work a round:
 *
 *     plugin_run > acme::shapes::survey
 *       > acme::shapes::circle::area(unsigned long) const			2
 *       > acme::shapes::polygon<6>::area(unsigned long) const		1
 *       > ...::{lambda(unsigned long)#1}::operator()(unsigned long) const	1
 *       > acme::shapes::(anonymous namespace)::perimeter(unsigned long)	1
 *       > acme::shapes::parse > parse_point > parse_number	1, then it throws
 */
#include <memory>
#include <stdexcept>
#include <vector>

#include "plugin.h"
#include "work.h"

const char plugin_name[] = "shapes";

namespace acme {
namespace shapes {

struct shape {
	virtual ~shape() = default;
	virtual uint64_t area(uint64_t value) const = 0;
};

struct circle : shape {
	KEPT uint64_t area(uint64_t value) const override
	{
		return WORK_STEPS(value, 2 * WORK_UNIT_STEPS);
	}
};

template <unsigned side_count> struct polygon : shape {
	KEPT uint64_t area(uint64_t value) const override
	{
		return WORK(value + side_count);
	}
};

namespace {

KEPT uint64_t perimeter(uint64_t value)
{
	return WORK(value);
}

} // namespace

KEPT static uint64_t parse_number(uint64_t value)
{
	value = WORK(value);
	if (value != 0)
		throw std::invalid_argument("not a number");
	return value;
}

KEPT static uint64_t parse_point(uint64_t value)
{
	return parse_number(value) + 1;
}

KEPT static uint64_t parse(uint64_t value)
{
	const std::vector<uint64_t> to_be_destroyed(8, value);

	return parse_point(to_be_destroyed.back()) + 1;
}

template <typename Function>
KEPT static uint64_t apply(const Function &function, uint64_t value)
{
	return function(value) + 1;
}

KEPT static uint64_t survey(const std::vector<std::unique_ptr<shape>> &all, uint64_t value)
{
	auto twist = [](uint64_t x) KEPT { return WORK(x); };
	uint64_t sum = 0;

	for (const auto &one : all)
		sum += one->area(value);
	sum += apply(twist, value);
	sum += perimeter(value);
	try {
		sum += parse(value);
	} catch (const std::invalid_argument &) {
		sum += 1000003;
	}
	return sum;
}

} // namespace shapes
} // namespace acme

uint64_t plugin_run(uint64_t round_count)
{
	std::vector<std::unique_ptr<acme::shapes::shape>> all;
	uint64_t sum = 0;

	all.emplace_back(new acme::shapes::circle);
	all.emplace_back(new acme::shapes::polygon<6>);
	for (uint64_t i = 0; i < round_count; i++)
		sum += acme::shapes::survey(all, i);
	return sum;
}
