#ifndef SAMPLES_GO_KERNEL_H
#define SAMPLES_GO_KERNEL_H

#include <stdint.h>

/* Two units of work. */
uint64_t c_kernel(uint64_t value);

#endif
