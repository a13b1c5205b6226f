/*
 * The way from a place in the code to the return address of its function, read from the
 * instructions themselves, for code that has no unwind tables: assembler (libavcodec,
 * libcrypto, gmp) and what some JIT compilers write.  However a function has made its frame, on
 * its way to RET it takes all of it down; so the instructions are followed to the nearest RET,
 * and what they do to rsp and rbp is added up.
 *
 * Pure functions over bytes that nobody vouches for.  Every read and loop is bounded; where the
 * instructions are not understood the answer is "not found".  Signal-safe.  Sources: Intel SDM
 * volume 2, chapter 2 (lengths; VEX, EVEX) and appendix A (opcode maps).
 */
#ifndef AGENT_CODE_EXIT_H
#define AGENT_CODE_EXIT_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/instruction.h"
#include "base/compiler.h"

enum code_exit_base {
	CODE_EXIT_RSP, /* the return address is at rsp + offset */
	CODE_EXIT_RBP, /* ... at rbp + offset */
	CODE_EXIT_SAVED, /* the word at rsp + saved_at is what rsp was: ... at that + offset */
	CODE_EXIT_ALIGNED, /* only on the way: rsp was rounded down, nobody knows by how much */
};

struct code_exit {
	enum code_exit_base base;
	int32_t offset, saved_at; /* bytes */
	bool restores_rbp; /* else it still holds the caller's */
	int32_t rbp_offset; /* bytes from the return address to where it is saved */
};

/* May INSTRUCTION_READS bytes of code at ADDRESS be read?  Else the way ends there. */
typedef bool code_exit_is_readable(void *context, uint64_t address);

/* What is known at a place on the way. */
struct code_exit_state {
	uint64_t pc;
	enum code_exit_base base;
	int32_t offset; /* rsp is BASE + this */
	int32_t saved_at;
	uint8_t copy; /* this register is BASE + COPY_VALUE: rsp of before; NO_REGISTER */
	int32_t copy_value,
		copy_at; /* where it was stored, from rsp as it was aligned; 0: not yet */
	int32_t stored_at; /* where another was, from BASE, the last time */
	bool changes_rbp, has_callers_rbp; /* since the beginning; now (again) */
	bool rbp_is_rsp; /* rbp is BASE + RBP_VALUE */
	bool saves_rbp, restores_rbp;
	int32_t rbp_value, rbp_at; /* from BASE */
	struct {
		int32_t at; /* where the caller's rbp was saved on the way */
		bool restores_rbp; /* and what was known of it then */
		int32_t rbp_at;
	} saved;
};

#define CODE_EXIT_FORKS_MAX 32
#define CODE_EXIT_JUMPS_MAX 64

/* The first five are the caller's to set.  The way stays within [LOW, HIGH): a jump to
 * elsewhere is one to another function, and as good as RET. */
struct code_exit_way {
	uint64_t low, high; /* pc */
	code_exit_is_readable *is_readable;
	void *context;
	uint32_t left; /* instructions that may be looked at, on all ways together */
	struct code_exit_state now;
	struct code_exit_state forks[CODE_EXIT_FORKS_MAX]; /* at the other way of a jump */
	uint32_t fork_count, jump_count;
	uint64_t jumps[CODE_EXIT_JUMPS_MAX]; /* where those lead that were followed */
};

/* From PC on, the next instruction to run.  False: not found. */
bool code_exit_find(struct code_exit_way *way, uint64_t pc, struct code_exit *exit) MUST_CHECK;

#endif
