/*
 * A plugin with static, inlined and hidden functions.  Units of work a round:
 *
 *     plugin_run > codec_encode > codec_huffman	3, one of them in codec_bit
 *                               > codec_dct		1
 *                               > codec_quantize	1, hidden, in another file
 */
#include "plugin.h"
#include "plugin_codec.h"
#include "work.h"

const char plugin_name[] = "codec";

static inline __attribute__((always_inline)) uint64_t codec_bit(uint64_t value)
{
	return WORK(value);
}

static KEPT uint64_t codec_huffman(uint64_t value)
{
	value = WORK_STEPS(value, 2 * WORK_UNIT_STEPS);
	return codec_bit(value) + 1;
}

static KEPT uint64_t codec_dct(uint64_t value)
{
	return WORK(value);
}

static KEPT uint64_t codec_encode(uint64_t value)
{
	uint64_t code = codec_huffman(value);

	code ^= codec_dct(value);
	return code + codec_quantize(code);
}

uint64_t plugin_run(uint64_t round_count)
{
	uint64_t sum = 0;

	for (uint64_t i = 0; i < round_count; i++)
		sum += codec_encode(i);
	return sum;
}
