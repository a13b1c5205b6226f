/*
 * A server in C++ that labels its work: each thread serves requests of two tenants in turn, the
 * second's twice as dear, and keeps a block of memory for each.  Units of work a round:
 *
 *	serve > work, labels tenant=red and request=N			1
 *	serve > work, labels tenant=blue and request=N			2
 *	idle, without labels						1
 */
#include <atomic>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "../src/agent/plugprof.h"
#include "work.h"

namespace labels {

/* A label for as long as the object lives. */
class scope {
public:
	scope(const char *key, const std::string &value) : key_(key)
	{
		plugprof_set_label(key_, value.c_str());
	}
	~scope() { plugprof_set_label(key_, nullptr); }
	scope(const scope &) = delete;
	scope &operator=(const scope &) = delete;

private:
	const char *key_;
};

KEPT static uint64_t work(uint64_t value)
{
	return WORK(value) + 1;
}

KEPT static void remember(unsigned units)
{
	static std::atomic<void *> latest;

	latest = malloc(units << 20);
}

KEPT static uint64_t idle(uint64_t value)
{
	return WORK(value) + 1;
}

KEPT static uint64_t serve(const char *tenant, uint64_t request, unsigned units, uint64_t value)
{
	scope tenant_label("tenant", tenant);
	scope request_label("request", std::to_string(request % 4));

	if (request < 2)
		remember(units);
	for (unsigned i = 0; i < units; i++)
		value = work(value);
	return value;
}

} // namespace labels

int main(int argc, char **argv)
{
	const uint64_t rounds = argc > 1 ? strtoull(argv[1], nullptr, 10) : 1000;
	std::vector<uint64_t> sums(2);
	std::vector<std::thread> threads;
	uint64_t sum = 0;

	for (auto &own : sums)
		threads.emplace_back([&own, rounds] {
			for (uint64_t i = 0; i < rounds; i++) {
				own += labels::serve("red", i, 1, i);
				own += labels::serve("blue", i, 2, i);
				own += labels::idle(i);
			}
		});
	for (auto &thread : threads)
		thread.join();
	for (auto own : sums)
		sum += own;
	printf("checksum %016" PRIx64 "\n", sum);
	return 0;
}
