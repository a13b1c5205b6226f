/*
 * What breaks profilers, all at once and for long:
 *
 *	soak SECONDS PLUGIN...
 *
 * exceptions, plugins that come and go, fork, short threads, signals, allocations and labels, each
 * in a thread of its own.  A line a second tells how often each came round, and the memory.  Ends
 * with "done", status 0; with status 1 when something went wrong.  When one has not come round for
 * 30 seconds, "hang:" and its name, and the process stays, for whoever looks at its stacks.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "../../src/agent/plugprof.h"

namespace {

constexpr int hang_seconds = 30;

std::atomic<bool> is_over;
std::atomic<int> failures;
std::vector<std::string> plugins;

void failed(const char *what)
{
	printf("failed: %s: %s\n", what, strerror(errno));
	failures++;
}

void nap(long nanoseconds)
{
	const timespec t = { 0, nanoseconds };

	nanosleep(&t, nullptr);
}

__attribute__((noinline)) void dig(int depth)
{
	std::string to_be_destroyed(40, 'x');

	if (depth == 0)
		throw std::runtime_error("at the bottom");
	dig(depth - 1);
	if (to_be_destroyed.size() != 40)
		abort();
}

void catch_one(int depth)
{
	try {
		dig(depth);
		failures++;
	} catch (const std::runtime_error &) {
	}
}

void throw_and_catch(unsigned)
{
	catch_one(25);
}

/* Two that come and go in turn, and one that is opened twice. */
void open_and_close(unsigned round)
{
	void *first = dlopen(plugins[round % plugins.size()].c_str(), RTLD_NOW);
	void *second = dlopen(plugins[(round / 3) % plugins.size()].c_str(), RTLD_LAZY);

	if (!first || !second) {
		printf("failed: dlopen: %s\n", dlerror());
		failures++;
		return;
	}
	if (auto run = reinterpret_cast<uint64_t (*)(uint64_t)>(dlsym(first, "plugin_run")))
		run(1);
	dlclose(second);
	dlclose(first);
}

/* The child allocates and throws; every seventh is killed.  It must not open plugins: glibc leaves
 * a lock of dlopen that another thread held. */
void fork_one(unsigned round)
{
	const pid_t child = fork();
	int status = 0;

	if (child == 0) {
		for (int i = 0; i < 200; i++) {
			catch_one(5);
			free(malloc(10000));
		}
		if (round % 7 == 0)
			raise(SIGKILL);
		_exit(7);
	}
	if (child < 0 || waitpid(child, &status, 0) != child)
		return failed("fork");
	if (round % 7 == 0 ? !WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL :
			     !WIFEXITED(status) || WEXITSTATUS(status) != 7)
		failed("a child's status");
	nap(200000000);
}

void churn_threads(unsigned round)
{
	std::vector<std::thread> threads;

	for (int i = 0; i < 16; i++)
		threads.emplace_back([round, i] {
			plugprof_set_label("round", std::to_string(round % 50).c_str());
			pthread_setname_np(pthread_self(), i % 2 ? "odd" : "even");
			catch_one(3);
			free(calloc(1, 100000));
		});
	for (auto &thread : threads)
		thread.join();
}

std::atomic<unsigned> signals_taken;

void on_signal(int)
{
	signals_taken++;
}

/* To a thread on a small stack of its own for signals. */
void send_signals(unsigned round)
{
	static const int numbers[] = { SIGUSR1, SIGPROF, SIGRTMIN + 1 };
	static char stack[16384];
	const unsigned before = signals_taken;

	if (round == 0) {
		struct sigaction action = {};
		const stack_t own = { stack, 0, sizeof(stack) };

		action.sa_handler = on_signal;
		action.sa_flags = SA_ONSTACK;
		sigaltstack(&own, nullptr);
		for (int number : numbers)
			sigaction(number, &action, nullptr);
	}
	pthread_kill(pthread_self(), numbers[round % 3]);
	if (signals_taken == before)
		failed("a signal did not come");
}

void allocate(unsigned round)
{
	static void *kept[512];
	void *&slot = kept[(round * 7919) % 512];

	if (round % 3 == 0)
		slot = realloc(slot, 1 + (round * 31) % 50000);
	else {
		free(slot);
		slot = round % 5 ? malloc(1 + (round * 17) % 3000) : aligned_alloc(64, 4096);
	}
	if (round % 1000 == 0) {
		void *mapping = mmap(nullptr, 1 << 20, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		munmap(mapping, 1 << 20);
	}
}

void label(unsigned round)
{
	plugprof_set_label("request", std::to_string(round % 20000).c_str());
	for (volatile int i = 0; i < 20000; i = i + 1)
		continue;
	plugprof_set_label(round % 2 ? "odd" : "even", round % 3 ? "yes" : nullptr);
}

struct part {
	const char *name;
	void (*run)(unsigned round);
	std::atomic<unsigned> rounds;
	unsigned seen;
	int still; /* seconds */
} parts[] = {
	{ "throw", throw_and_catch, {}, 0, 0 },
	{ "dlopen", open_and_close, {}, 0, 0 },
	{ "fork", fork_one, {}, 0, 0 },
	{ "threads", churn_threads, {}, 0, 0 },
	{ "signals", send_signals, {}, 0, 0 },
	{ "allocate", allocate, {}, 0, 0 },
	{ "labels", label, {}, 0, 0 },
};

/* Of /proc/self/status, in KiB. */
long memory(const char *what)
{
	FILE *file = fopen("/proc/self/status", "re");
	char line[200];
	long size = 0;

	while (file && fgets(line, sizeof(line), file))
		if (strncmp(line, what, strlen(what)) == 0)
			size = strtol(line + strlen(what), nullptr, 10);
	if (file)
		fclose(file);
	return size;
}

void report(int second)
{
	printf("%d s, anonymous %ld KiB, shared %ld KiB", second, memory("RssAnon:"),
		memory("RssShmem:"));
	for (auto &part : parts) {
		const unsigned rounds = part.rounds;

		printf(", %s %u", part.name, rounds);
		part.still = rounds == part.seen ? part.still + 1 : 0;
		part.seen = rounds;
	}
	printf("\n");
	for (auto &part : parts)
		if (part.still >= hang_seconds) {
			printf("hang: %s\n", part.name);
			for (;;)
				pause();
		}
}

} // namespace

int main(int argc, char **argv)
{
	const int seconds = argc > 2 ? atoi(argv[1]) : 0;
	std::vector<std::thread> threads;

	if (seconds <= 0) {
		fprintf(stderr, "usage: soak SECONDS PLUGIN...\n");
		return 2;
	}
	setvbuf(stdout, nullptr, _IOLBF, 0);
	plugins.assign(argv + 2, argv + argc);
	for (auto &part : parts)
		threads.emplace_back([&part] {
			while (!is_over)
				part.run(part.rounds++);
		});
	for (int second = 1; second <= seconds; second++) {
		sleep(1);
		report(second);
	}
	is_over = true;
	for (auto &thread : threads)
		thread.join();
	printf("done, %d failures\n", failures.load());
	return failures ? 1 : 0;
}
