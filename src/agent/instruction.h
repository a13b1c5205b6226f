/*
 * One x86-64 instruction, as far as its length, its operands in general registers and memory,
 * and its immediate go.  Sources as in code_exit.h.  Signal-safe.
 */
#ifndef AGENT_INSTRUCTION_H
#define AGENT_INSTRUCTION_H

#include <stdbool.h>
#include <stdint.h>

#define INSTRUCTION_SIZE_MAX 15
#define INSTRUCTION_READS    32

enum instruction_map {
	MAP_ONE_BYTE, /* opcodes of one byte */
	MAP_0F, /* behind 0f */
	MAP_VECTOR, /* VEX and EVEX, and behind 0f 38 and 0f 3a: nothing in it touches rsp or
		       rbp */
};

struct instruction {
	uint8_t size; /* bytes */
	uint8_t map; /* enum instruction_map */
	uint8_t opcode;
	bool has_modrm, is_wide; /* REX.W */
	uint8_t mod, reg, rm; /* of ModRM; REG and RM with their bit of REX */
	uint8_t base; /* of a memory operand, with its bit of REX; NO_REGISTER: rip, none, or
			 two */
	int32_t displacement;
	int64_t immediate; /* also the distance of a jump */
};

#define NO_REGISTER 0xff

/* The instruction whose first byte is at CODE, where INSTRUCTION_READS bytes can be read.
 * False: none. */
bool instruction_read(const uint8_t *code, struct instruction *i);

#endif
