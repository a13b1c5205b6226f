/*
 * A host in C++ whose exceptions cross the boundary to its plugin: the plugin
 * throws to the host, and the host's callback throws through the plugin.
 * Units of work in two rounds, an even and an odd one:
 *
 *     main > work > pass > attempt > boundary_run > boundary::dig		4
 *     main > ... > attempt > boundary_run > boundary::call_back > callback	1, throws
 *     main > ... > attempt > recover						2
 */
#include <dlfcn.h>
#include <unistd.h>

#include <cinttypes>
#include <cstdio>
#include <cstdlib>

#include "boundary.h"
#include "work.h"

namespace cxxhost {

using run_function = decltype(&boundary_run);

struct refusal : std::logic_error {
	explicit refusal(uint64_t v) : std::logic_error("refusal"), value(v) {}
	uint64_t value;
};

KEPT static uint64_t callback(uint64_t value)
{
	value = WORK(value);
	if (value != 0)
		throw refusal(value);
	return value;
}

KEPT static uint64_t recover(uint64_t value)
{
	return WORK(value);
}

KEPT static uint64_t attempt(run_function run, uint64_t value)
{
	uint64_t thrown;

	try {
		return run(value, callback) + 1;
	} catch (const boundary_error &error) {
		thrown = error.value;
	} catch (const refusal &error) {
		thrown = error.value * 3;
	}
	return recover(thrown) + 1;
}

KEPT static uint64_t pass(run_function run, uint64_t round_count)
{
	uint64_t sum = 0;

	for (uint64_t i = 0; i < round_count; i++)
		sum += attempt(run, i);
	return sum;
}

KEPT static uint64_t work(run_function run, uint64_t round_count, double cpu_seconds)
{
	const double end = work_thread_cpu_seconds() + cpu_seconds;
	const uint64_t checksum = pass(run, round_count);

	while (cpu_seconds > 0 && work_thread_cpu_seconds() < end) {
		if (pass(run, round_count) != checksum) {
			fputs("cxxhost: checksum differs between passes\n", stderr);
			exit(2);
		}
	}
	return checksum;
}

static run_function plugin_open(const char *path)
{
	void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	void *run = handle ? dlsym(handle, "boundary_run") : nullptr;

	if (!run) {
		fprintf(stderr, "cxxhost: %s\n", dlerror());
		exit(2);
	}
	return reinterpret_cast<run_function>(run);
}

} // namespace cxxhost

int main(int argc, char **argv)
{
	uint64_t round_count = 10;
	double cpu_seconds = 0;
	int c;

	while ((c = getopt(argc, argv, "t:r:")) != -1) {
		switch (c) {
		case 't': cpu_seconds = strtod(optarg, nullptr); break;
		case 'r': round_count = strtoull(optarg, nullptr, 10); break;
		default: optind = argc; break;
		}
	}
	if (optind != argc - 1) {
		fputs("usage: cxxhost [-t CPU_SECONDS] [-r ROUNDS] boundary.so\n", stderr);
		return 2;
	}
	printf("checksum %016" PRIx64 "\n",
	       cxxhost::work(cxxhost::plugin_open(argv[optind]), round_count, cpu_seconds));
	return 0;
}
