#!/bin/bash
# A big C++ library with debug information, for measuring symbolizers: templates of the standard
# library over types of each file's own, lambdas, nested namespaces, much inlining.
#
#   make_cxx_library.sh OUT.so COMPILER FILES     about 3 MB of DWARF a file with g++ -g -O2
#
# OUT.so.parts/ gets a library of each file by itself.
# The sources are the same for the same FILES.  Two compilers run at a time.
set -eu

out=$(realpath -m "$1") compiler=$2 files=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for number in $(seq "$files"); do
	cat >"$work/part$number.cc" <<PART
#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <random>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

namespace bench { namespace part$number {
struct key {
	std::string text;
	int number;
	bool operator<(const key &o) const { return number < o.number || text < o.text; }
	bool operator==(const key &o) const { return number == o.number && text == o.text; }
};
struct hash {
	size_t operator()(const key &k) const { return std::hash<std::string>()(k.text) * 31 + k.number; }
};
struct leaf { double value; std::shared_ptr<key> owner; };
struct node { std::vector<leaf> leaves; std::map<key, leaf> by_key; };
using anything = std::variant<int, double, std::string, leaf, node>;

namespace {
struct visitor {
	size_t operator()(int i) const { return i * ${number}u; }
	size_t operator()(double d) const { return d * 3; }
	size_t operator()(const std::string &s) const { return s.size(); }
	size_t operator()(const leaf &l) const { return l.owner ? l.owner->text.size() : 0; }
	size_t operator()(const node &n) const { return n.leaves.size() + n.by_key.size(); }
};

template <typename Container> double total(const Container &c)
{
	return std::accumulate(c.begin(), c.end(), 0.0,
		[](double sum, const leaf &l) { return sum + l.value; });
}
}

template <int Depth> struct chain {
	static double run(std::deque<leaf> &d, double x)
	{
		std::sort(d.begin(), d.end(), [x](const leaf &a, const leaf &b) {
			return a.value * (x + Depth) < b.value * (x + Depth);
		});
		return chain<Depth - 1>::run(d, x * 1.5) + total(d);
	}
};
template <> struct chain<0> {
	static double run(std::deque<leaf> &d, double x) { return d.size() + x; }
};

class engine {
	std::unordered_map<key, node, hash> nodes;
	std::set<key> keys;
	std::map<std::string, std::function<anything(const key &)>> rules;

      public:
	void add(const std::string &text, int number)
	{
		key k{ text, number };
		auto owner = std::make_shared<key>(k);
		keys.insert(k);
		nodes[k].leaves.push_back(leaf{ number * 0.5, owner });
		nodes[k].by_key.emplace(k, leaf{ number * 2.0, owner });
		rules[text] = [this, number](const key &at) -> anything {
			auto found = nodes.find(at);
			if (found == nodes.end())
				return number;
			return found->second;
		};
	}
	size_t visit() const
	{
		size_t sum = 0;
		for (const auto &rule : rules)
			for (const auto &k : keys)
				sum += std::visit(visitor(), rule.second(k));
		return sum;
	}
	double fold(unsigned seed)
	{
		std::mt19937_64 random(seed);
		std::normal_distribution<double> normal(0, $number);
		std::deque<leaf> leaves;
		for (int i = 0; i < 100; i++)
			leaves.push_back(leaf{ normal(random), nullptr });
		return chain<24>::run(leaves, normal(random));
	}
	std::optional<std::string> match(const std::string &text)
	{
		static const std::regex words("([a-z]+)-([0-9]{1,$number})(x|y|z)*");
		std::smatch found;
		if (std::regex_search(text, found, words))
			return std::regex_replace(found[1].str(), std::regex("[aeiou]"), "*");
		return std::nullopt;
	}
	std::string print() const
	{
		std::ostringstream out;
		for (const auto &n : nodes) {
			out << n.first.text << ' ' << total(n.second.leaves);
			for (const auto &k : n.second.by_key)
				out << ',' << k.first.number << '=' << k.second.value;
		}
		return out.str();
	}
};
}}

extern "C" size_t bench_part$number(const char *text, int number)
{
	bench::part$number::engine e;
	for (int i = 0; i < number; i++)
		e.add(text + std::to_string(i), i);
	return e.visit() + e.print().size() + (size_t)e.fold(number) + e.match(text)->size();
}
PART
done
seq "$files" | xargs -P 2 -I {} "$compiler" -std=c++17 -g -O2 -fPIC -c "$work/part{}.cc" -o "$work/part{}.o"
mkdir -p "$out.parts"
seq "$files" | xargs -P 2 -I {} "$compiler" -shared -Wl,--build-id "$work/part{}.o" -o "$out.parts/part{}.so"
"$compiler" -shared -Wl,--build-id -o "$out" "$work"/*.o
