#include "pprof/utf8.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/xalloc.h"

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

/* Sequences by their lead byte: what the second byte may be keeps out the overlong, the
 * surrogates and what is past U+10FFFF (Unicode, table 3-7). */
static const struct form {
	uint8_t lead_min, lead_max, length, second_min, second_max;
} forms[] = {
	{ 0xc2, 0xdf, 2, 0x80, 0xbf },
	{ 0xe0, 0xe0, 3, 0xa0, 0xbf },
	{ 0xe1, 0xec, 3, 0x80, 0xbf },
	{ 0xed, 0xed, 3, 0x80, 0x9f },
	{ 0xee, 0xef, 3, 0x80, 0xbf },
	{ 0xf0, 0xf0, 4, 0x90, 0xbf },
	{ 0xf1, 0xf3, 4, 0x80, 0xbf },
	{ 0xf4, 0xf4, 4, 0x80, 0x8f },
};

static bool is_within(uint8_t byte, uint8_t min, uint8_t max)
{
	return byte >= min && byte <= max;
}

/* Bytes of the sequence at AT; 0: none begins here.  The final NUL ends a torn one. */
static size_t sequence_length(const char *at)
{
	const uint8_t *byte = (const uint8_t *)at;

	if (byte[0] < 0x80)
		return 1;
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		const struct form *form = &forms[i];

		if (!is_within(byte[0], form->lead_min, form->lead_max))
			continue;
		if (!is_within(byte[1], form->second_min, form->second_max))
			return 0;
		for (size_t rest = 2; rest < form->length; rest++)
			if (!is_within(byte[rest], 0x80, 0xbf))
				return 0;
		return form->length;
	}
	return 0;
}

/* Where the ASCII that TEXT begins with ends, or no more than seven bytes before.  END is its
 * NUL. */
static const char *skip_ascii(const char *text, const char *end)
{
	uint64_t word;

	for (; (size_t)(end - text) >= sizeof(word); text += sizeof(word)) {
		memcpy(&word, text, sizeof(word));
		if (word & UINT64_C(0x8080808080808080))
			break;
	}
	return text;
}

static size_t count_bad(const char *text)
{
	size_t bad_count = 0;

	text = skip_ascii(text, text + strlen(text)); /* nearly always all */
	while (*text) {
		size_t length = sequence_length(text);

		bad_count += length == 0;
		text += length ? length : 1;
	}
	return bad_count;
}

char *utf8_repair(const char *text)
{
	const size_t replacement_size = strlen(REPLACEMENT);
	size_t bad_count = count_bad(text);
	char *repaired, *to;

	if (bad_count == 0)
		return NULL;
	repaired = to = xmalloc(strlen(text) + bad_count * (replacement_size - 1) + 1);
	while (*text) {
		size_t length = sequence_length(text);

		memcpy(to, length ? text : REPLACEMENT, length ? length : replacement_size);
		to += length ? length : replacement_size;
		text += length ? length : 1;
	}
	*to = '\0';
	return repaired;
}
