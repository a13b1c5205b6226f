/*
 * What libdw says about a register of a frame, worked out for made-up registers and memory.
 * Independent of src/agent/cfi.c, which it is compared with.
 */
#ifndef TESTS_UNWIND_LOCATION_H
#define TESTS_UNWIND_LOCATION_H

#include <elfutils/libdw.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MACHINE_REGISTERS 17

/* A made-up state of the machine: every word of memory has a value of its own. */
struct machine_state {
	uint64_t registers[MACHINE_REGISTERS];
	uint64_t seed; /* of the memory */
	uint64_t cfa; /* what DW_OP_call_frame_cfa gives */
};

uint64_t machine_word(const struct machine_state *state, uint64_t address);

/* The value of the expression OPS.  False: it holds what this cannot follow. */
bool location_evaluate(const struct machine_state *state, const Dwarf_Op *ops, size_t count,
	uint64_t *value);

/* The value of what the location OPS describes: memory, a register or a computed value. */
bool location_read(const struct machine_state *state, const Dwarf_Op *ops, size_t count,
	uint64_t *value);

#endif
