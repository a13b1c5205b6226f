/*
 * What a plugin of the samples' host exports.
 */
#ifndef SAMPLES_PLUGIN_H
#define SAMPLES_PLUGIN_H

#include <stdint.h>

/* Plugins are built with -fvisibility=hidden; this much is seen outside. */
#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C" {
#endif

/* What the host prints before the plugin's checksum. */
extern const char plugin_name[];

/* Do ROUND_COUNT rounds of work; the return is a checksum of them, the same
 * at every call with the same ROUND_COUNT.  Any number of threads at once. */
uint64_t plugin_run(uint64_t round_count);

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop

#endif
