#include "deep_stack.h"

typedef long step(unsigned depth, deep_leaf *leaf, void *argument);

static step *const functions[DEEP_FUNCTIONS];

/* N is written in octal.  What is added last keeps the call from being a jump. */
#define FUNCTION(n)                                                                          \
	static __attribute__((noinline)) long f_##n(                                         \
		unsigned depth, deep_leaf *leaf, void *argument)                             \
	{                                                                                    \
		char locals[16 + 24 * (0##n % 7)];                                           \
		long sum = 0;                                                                \
                                                                                             \
		__asm__ volatile("" : : "r"(locals) : "memory");                             \
		if (depth == 1)                                                              \
			leaf(argument);                                                      \
		else                                                                         \
			sum = functions[(0##n + 1) % DEEP_FUNCTIONS](depth - 1, leaf, argument); \
		__asm__ volatile("" : : "r"(locals) : "memory");                             \
		return sum + 0##n + depth;                                                   \
	}

#define EIGHT(what, n)                                                                       \
	what(n##0) what(n##1) what(n##2) what(n##3) what(n##4) what(n##5) what(n##6) what(n##7)
#define ALL(what)                                                                            \
	EIGHT(what, 0) EIGHT(what, 1) EIGHT(what, 2) EIGHT(what, 3) EIGHT(what, 4)           \
	EIGHT(what, 5) EIGHT(what, 6) EIGHT(what, 7)

ALL(FUNCTION)

#define NAME(n) f_##n,
static step *const functions[DEEP_FUNCTIONS] = { ALL(NAME) };

deep_call_function deep_call;

__attribute__((visibility("default"))) long deep_call(
	unsigned first, unsigned depth, deep_leaf *leaf, void *argument)
{
	return 1 + functions[first % DEEP_FUNCTIONS](depth, leaf, argument);
}
