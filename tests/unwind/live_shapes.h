/* Code whose stacks are worth a look, beyond what the sample plugins do. */
#ifndef TESTS_UNWIND_LIVE_SHAPES_H
#define TESTS_UNWIND_LIVE_SHAPES_H

#include <stdint.h>

/* Each does a fraction of a millisecond of work and comes back. */
uint64_t shape_sort(uint64_t seed); /* qsort and its callback */
uint64_t shape_strings(uint64_t seed); /* memcpy, memset, strlen, memcmp: assembler leaves */
uint64_t shape_alloca(uint64_t seed); /* a frame of changing size, a realigned one, both */
uint64_t shape_recursion(uint64_t seed); /* 150 frames */
uint64_t shape_jump(uint64_t seed); /* setjmp and longjmp */
uint64_t shape_coroutine(uint64_t seed); /* on a stack that makecontext() was given */
uint64_t shape_handler(uint64_t seed); /* in a signal handler on an alternate stack */
uint64_t shape_wait(uint64_t seed); /* in system calls */
uint64_t shape_format(uint64_t seed); /* libc's stdio */
uint64_t shape_hand_made(uint64_t seed); /* assembler with pushes, pops and rbp as a number */
/* Calls a dozen functions of libc for the first time: by way of the lazy binder, when linked
 * with -z lazy.  Once. */
uint64_t shape_first_calls(uint64_t seed);

#endif
