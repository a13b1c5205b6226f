/*
 * Allocates with C++'s operators, and says of each function what it allocated and holds at the end:
 * name, objects, bytes, objects in use, bytes in use.
 *
 *   operators all       with each of the 20 operators, small and large, of 0 bytes, and of NULL
 *   operators fails     too much: std::bad_alloc, a new handler, NULL; and goes on
 *   operators crosses   to free and realloc what new gave, to delete what malloc gave
 *   operators threads   what one thread allocates another frees
 *
 * Compiled by the tests that use it: -std=c++17 -pthread.
 */
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <thread>
#include <vector>

#define FUNCTION extern "C" __attribute__((noinline)) void

namespace
{

const std::size_t block_count = 200;
const std::align_val_t wide{ 256 };
const std::nothrow_t &tag = std::nothrow;

struct told {
	std::size_t objects = 0, bytes = 0, held_objects = 0, held_bytes = 0;

	void took(std::size_t size)
	{
		objects++, held_objects++;
		bytes += size, held_bytes += size;
	}
	void gave(std::size_t size)
	{
		held_objects--;
		held_bytes -= size;
	}
	void say(const char *name) const
	{
		std::printf("%s %zu %zu %zu %zu\n", name, objects, bytes, held_objects, held_bytes);
	}
};

} // namespace

/* Every fourth block is kept.  Sizes are multiples of the alignment: libstdc++ rounds them. */
#define SITE(name, allocate, release)                                                          \
	FUNCTION name()                                                                        \
	{                                                                                      \
		told t;                                                                        \
		for (std::size_t i = 0; i < block_count; i++) {                                \
			const std::size_t size = i % 50 == 49 ? i << 14 : i << 8;              \
			void *volatile p = allocate;                                           \
			if (size)                                                              \
				std::memset(p, 1, 1);                                          \
			t.took(size);                                                          \
			if (i % 4 == 0)                                                        \
				continue;                                                      \
			release;                                                               \
			t.gave(size);                                                          \
		}                                                                              \
		t.say(#name);                                                                  \
		void *volatile p = nullptr;                                                    \
		const std::size_t size = 0;                                                    \
		(void)size;                                                                    \
		release;                                                                       \
	}

SITE(one, ::operator new(size), ::operator delete(p))
SITE(many, ::operator new[](size), ::operator delete[](p))
SITE(one_sized, ::operator new(size), ::operator delete(p, size))
SITE(many_sized, ::operator new[](size), ::operator delete[](p, size))
SITE(one_nothrow, ::operator new(size, tag), ::operator delete(p, tag))
SITE(many_nothrow, ::operator new[](size, tag), ::operator delete[](p, tag))
SITE(one_aligned, ::operator new(size, wide), ::operator delete(p, wide))
SITE(many_aligned, ::operator new[](size, wide), ::operator delete[](p, wide))
SITE(one_aligned_sized, ::operator new(size, wide), ::operator delete(p, size, wide))
SITE(many_aligned_sized, ::operator new[](size, wide), ::operator delete[](p, size, wide))
SITE(one_aligned_nothrow, ::operator new(size, wide, tag), ::operator delete(p, wide, tag))
SITE(many_aligned_nothrow, ::operator new[](size, wide, tag), ::operator delete[](p, wide, tag))
SITE(afterwards, ::operator new(size), ::operator delete(p))

static void all()
{
	one();
	many();
	one_sized();
	many_sized();
	one_nothrow();
	many_nothrow();
	one_aligned();
	many_aligned();
	one_aligned_sized();
	many_aligned_sized();
	one_aligned_nothrow();
	many_aligned_nothrow();
}

/* --- failures --- */

static int handler_calls;

static void handler()
{
	if (++handler_calls % 3 == 0)
		std::set_new_handler(nullptr);
}

FUNCTION too_much()
{
	const volatile std::size_t most = SIZE_MAX / 2 - 4096;
	int thrown = 0, null = 0;

	for (int i = 0; i < 30; i++) {
		std::set_new_handler(i % 2 ? handler : nullptr);
		try {
			void *volatile p =
				i % 3 ? ::operator new(most) : ::operator new[](most, wide);
			::operator delete(p);
		} catch (const std::bad_alloc &) {
			thrown++;
		}
		std::set_new_handler(nullptr);
		null += ::operator new(most, tag) == nullptr;
		null += ::operator new[](most, wide, tag) == nullptr;
	}
	std::fprintf(stderr, "thrown %d, null %d, handler %d\n", thrown, null, handler_calls);
}

static void fails()
{
	too_much();
	all();
	too_much();
	afterwards();
}

/* --- other doors --- */

FUNCTION crosses()
{
	told t;

	for (std::size_t size = 16; size < 4000; size += 16) {
		void *p = ::operator new(size);
		t.took(size);
		std::free(p);
		t.gave(size);
		p = std::malloc(size);
		t.took(size);
		::operator delete(p);
		t.gave(size);
		p = ::operator new[](size);
		t.took(size);
		p = std::realloc(p, 2 * size);
		t.gave(size);
		t.took(2 * size);
		if (size % 64 == 0)
			continue;
		::operator delete[](p);
		t.gave(2 * size);
	}
	t.say(__func__);
}

/* --- threads --- */

static const std::size_t thread_count = 4, rounds = 500;
static void *blocks[thread_count][rounds];

FUNCTION fill(std::size_t index)
{
	for (std::size_t i = 0; i < rounds; i++)
		blocks[index][i] = ::operator new(i + 1);
}

FUNCTION empty(std::size_t index)
{
	for (std::size_t i = 0; i < rounds; i++)
		if (i % 5)
			::operator delete(blocks[(index + 1) % thread_count][i], i + 1);
}

static void in_threads(void (*routine)(std::size_t))
{
	std::thread running[thread_count];

	for (std::size_t i = 0; i < thread_count; i++)
		running[i] = std::thread(routine, i);
	for (std::thread &one : running)
		one.join();
}

static void threads()
{
	told t;

	in_threads(fill);
	in_threads(empty);
	for (std::size_t i = 0; i < thread_count * rounds; i++) {
		const std::size_t size = i % rounds + 1;

		t.took(size);
		if (size % 5 != 1)
			t.gave(size);
	}
	t.say("fill");
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)();
	} modes[] = { { "all", all }, { "fails", fails }, { "crosses", crosses },
		{ "threads", threads } };

	std::setvbuf(stdout, nullptr, _IONBF, 0);
	for (const auto &mode : modes)
		if (argc == 2 && std::strcmp(argv[1], mode.name) == 0) {
			mode.run();
			return 0;
		}
	std::fprintf(stderr, "usage: operators all|fails|crosses|threads\n");
	return 2;
}
