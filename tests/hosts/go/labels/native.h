#ifndef HOSTS_GO_LABELS_NATIVE_H
#define HOSTS_GO_LABELS_NATIVE_H

#include <stdint.h>

uint64_t c_red(uint64_t value);
uint64_t c_blue(uint64_t value);
/* It calls goRedCallback. */
uint64_t c_red_calls_go(uint64_t value);
/* 64 KiB that nobody frees. */
void *c_red_keep(uint64_t value);
void *c_take(uint64_t value);
void c_release(void *block);

#endif
