/*
 * The codec plugin's function that its own files see and nobody else.
 */
#include "plugin_codec.h"
#include "work.h"

KEPT uint64_t codec_quantize(uint64_t value)
{
	return WORK(value);
}
