/* The plugin's C++ half. */
#include <algorithm>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "native.h"

extern "C" uint64_t goThrowing(uint64_t value);

namespace shapes
{
struct Shape {
	virtual ~Shape() = default;
	virtual uint64_t area(uint64_t value) const = 0;
};

struct Circle final : Shape {
	__attribute__((noinline)) uint64_t area(uint64_t value) const override
	{
		for (uint64_t i = 0; i < 20000; i++)
			value = (value ^ i) * 0x100000001b3;
		return value;
	}
};

__attribute__((noinline)) uint64_t sorted(uint64_t value)
{
	std::vector<uint64_t> numbers(512);

	for (auto &number : numbers)
		number = value = value * 6364136223846793005u + 1442695040888963407u;
	std::sort(numbers.begin(), numbers.end());
	return numbers[0];
}

__attribute__((noinline)) void raise_if(uint64_t value)
{
	if (value)
		throw std::runtime_error("thrown above Go");
}
} // namespace shapes

extern "C" uint64_t cxx_work(uint64_t value)
{
	std::unique_ptr<shapes::Shape> shape(new shapes::Circle);
	std::map<std::string, uint64_t> table;

	table["area"] = shape->area(value);
	table["sorted"] = shapes::sorted(value);
	return table["area"] + table["sorted"];
}

extern "C" uint64_t cxx_catches(uint64_t value)
{
	try {
		shapes::raise_if(goThrowing(value) | 1);
	} catch (const std::exception &error) {
		return std::string(error.what()).size() + value;
	}
	return 0;
}
