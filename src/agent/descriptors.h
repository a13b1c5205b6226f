/* How many file descriptors the process has open: a plugin that leaks them shows. */
#ifndef AGENT_DESCRIPTORS_H
#define AGENT_DESCRIPTORS_H

#include <stdint.h>

/* As of NOW_NS (CLOCK_MONOTONIC), or counted up to AGE_NS before; SPOOL_UNKNOWN: no /proc.
 * Signal-safe. */
uint32_t descriptors_count(uint64_t now_ns, uint64_t age_ns);

#endif
