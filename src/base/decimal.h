/* Numbers as text without stdio, for the agent.  Pure, signal-safe. */
#ifndef BASE_DECIMAL_H
#define BASE_DECIMAL_H

#include <stddef.h>
#include <stdint.h>

/* NUMBER in decimal at TO, up to 20 digits, no NUL.  Where it ends. */
static inline char *decimal_put(char *to, uint64_t number)
{
	char digits[20];
	size_t count = 0;

	do
		digits[count++] = (char)('0' + number % 10);
	while (number /= 10);
	while (count)
		*to++ = digits[--count];
	return to;
}

#endif
