#ifndef SAMPLES_PLUGIN_CODEC_H
#define SAMPLES_PLUGIN_CODEC_H

#include <stdint.h>

/* One unit of work. */
__attribute__((visibility("hidden"))) uint64_t codec_quantize(uint64_t value);

#endif
