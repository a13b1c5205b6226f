#include "agent/instruction.h"

#include <string.h>

#include "base/compiler.h"

#define REX_W 8
#define REX_R 4
#define REX_X 2
#define REX_B 1

/* What follows an opcode: ModRM, and an immediate of so many bytes. */
enum {
	M = 0x10, /* ModRM */
	Z = 0x20, /* an immediate of 4 bytes; 2 with the prefix 66 */
	V = 0x40, /* the same, 8 bytes with REX.W */
	X = 0x80, /* no instruction of 64-bit code, or none that is met */
};

/* SDM tables: opcodes of one byte, 16 a line. */
static const uint8_t one_byte[256] = {
	M, M, M, M, 1, Z, X, X, M, M, M, M, 1, Z, X, X, /* 00 */
	M, M, M, M, 1, Z, X, X, M, M, M, M, 1, Z, X, X, /* 10 */
	M, M, M, M, 1, Z, X, X, M, M, M, M, 1, Z, X, X, /* 20 */
	M, M, M, M, 1, Z, X, X, M, M, M, M, 1, Z, X, X, /* 30 */
	X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, /* 40: REX */
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, /* 50 */
	X, X, X, M, X, X, X, X, Z, M | Z, 1, M | 1, 0, 0, 0, 0, /* 60 */
	1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, /* 70 */
	M | 1, M | Z, X, M | 1, M, M, M, M, M, M, M, M, M, M, M, M, /* 80 */
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, X, 0, 0, 0, 0, 0, /* 90 */
	8, 8, 8, 8, 0, 0, 0, 0, 1, Z, 0, 0, 0, 0, 0, 0, /* a0 */
	1, 1, 1, 1, 1, 1, 1, 1, V, V, V, V, V, V, V, V, /* b0 */
	M | 1, M | 1, 2, 0, X, X, M | 1, M | Z, 3, 0, 2, 0, 0, 1, X, 0, /* c0 */
	M, M, M, M, X, X, X, 0, M, M, M, M, M, M, M, M, /* d0 */
	1, 1, 1, 1, 1, 1, 1, 1, Z, Z, X, 1, 0, 0, 0, 0, /* e0 */
	X, 0, X, X, 0, 0, M, M, 0, 0, 0, 0, 0, 0, M, M, /* f0 */
};

static bool is_prefix(uint8_t byte)
{
	return byte == 0x66 || byte == 0x67 || byte == 0xf2 || byte == 0xf3 || byte == 0xf0 ||
		byte == 0x64 || byte == 0x65 || (byte & 0xe7) == 0x26;
}

/* SDM table A-3. */
static uint8_t behind_0f(uint8_t opcode)
{
	switch (opcode) {
	case 0x04: case 0x0a: case 0x0c:
	case 0x24 ... 0x27: case 0x36: case 0x39: case 0x3b ... 0x3f:
		return X;
	case 0x05 ... 0x09: case 0x0b: case 0x0e: case 0x30 ... 0x35: case 0x37: case 0x77:
	case 0xa0 ... 0xa2: case 0xa8 ... 0xaa: case 0xc8 ... 0xcf:
		return 0;
	case 0x80 ... 0x8f:
		return Z;
	case 0x0f: case 0x70 ... 0x73:
	case 0xa4: case 0xac: case 0xba: case 0xc2: case 0xc4 ... 0xc6:
		return M | 1;
	}
	return M;
}

/* VEX and EVEX, by map: 1 is 0f, 2 is 0f 38, 3 is 0f 3a, 5 and 6 are FP16's. */
static uint8_t of_vector(uint8_t map, uint8_t opcode)
{
	switch (map) {
	case 1:
		return opcode >= 0x80 && opcode < 0x90 ? X : behind_0f(opcode);
	case 2:
	case 5:
	case 6:
		return M;
	case 3:
		return M | 1;
	}
	return X;
}

static const uint8_t *read_modrm(const uint8_t *at, uint8_t rex, struct instruction *i)
{
	const uint8_t modrm = *at++;
	int8_t byte;

	i->mod = modrm >> 6;
	i->reg = (modrm >> 3 & 7) | (rex & REX_R ? 8 : 0);
	i->rm = (modrm & 7) | (rex & REX_B ? 8 : 0);
	i->base = NO_REGISTER;
	i->displacement = 0;
	if (i->mod == 3)
		return at;
	if ((modrm & 7) == 4) {
		const uint8_t sib = *at++;
		const bool has_index = (sib >> 3 & 7) != 4 || (rex & REX_X);

		if ((sib & 7) == 5 && i->mod == 0) {
			memcpy(&i->displacement, at, 4);
			return at + 4;
		}
		if (!has_index)
			i->base = (sib & 7) | (rex & REX_B ? 8 : 0);
	} else if ((modrm & 7) == 5 && i->mod == 0) {
		memcpy(&i->displacement, at, 4);
		return at + 4;
	} else {
		i->base = i->rm;
	}
	if (i->mod == 1) {
		memcpy(&byte, at, 1);
		i->displacement = byte;
		return at + 1;
	}
	if (i->mod == 2) {
		memcpy(&i->displacement, at, 4);
		return at + 4;
	}
	return at;
}

static const uint8_t *read_immediate(
	const uint8_t *at, uint8_t form, bool is_short, bool is_wide, struct instruction *i)
{
	uint8_t size = form & 0x0f;
	int8_t byte;
	int16_t half;
	int32_t word;

	if (form & (Z | V))
		size = form & V && is_wide ? 8 : is_short ? 2 : 4;
	i->immediate = 0;
	if (size == 1) {
		memcpy(&byte, at, 1);
		i->immediate = byte;
	} else if (size == 2) {
		memcpy(&half, at, 2);
		i->immediate = half;
	} else if (size == 4) {
		memcpy(&word, at, 4);
		i->immediate = word;
	} /* Of 3 and of 8 bytes nobody asks for. */
	return at + size;
}

/* The form of the opcode at *AT, which is left behind; prefixes VEX and EVEX included. */
static uint8_t read_opcode(const uint8_t **at, uint8_t *rex, struct instruction *i)
{
	const uint8_t *p = *at;
	uint8_t form;

	i->map = MAP_ONE_BYTE;
	if (*p == 0xc5) {
		i->map = MAP_VECTOR;
		form = of_vector(1, p[2]);
		p += 2;
	} else if (*p == 0xc4) {
		i->map = MAP_VECTOR;
		form = of_vector(p[1] & 31, p[3]);
		p += 3;
	} else if (*p == 0x62) {
		i->map = MAP_VECTOR;
		form = of_vector(p[1] & 7, p[4]);
		p += 4;
	} else if (*p == 0x0f && (p[1] == 0x38 || p[1] == 0x3a)) {
		i->map = MAP_VECTOR;
		form = p[1] == 0x38 ? M : M | 1;
		p += 2;
	} else if (*p == 0x0f) {
		i->map = MAP_0F;
		form = behind_0f(*++p);
	} else {
		form = one_byte[*p];
	}
	if (i->map == MAP_VECTOR)
		*rex = 0;
	i->opcode = *p;
	*at = p + 1;
	return form;
}

bool instruction_read(const uint8_t *code, struct instruction *i)
{
	const uint8_t *at = code;
	bool is_short = false;
	uint8_t rex = 0, form;

	for (; is_prefix(*at); at++) {
		is_short |= *at == 0x66;
		if (at - code == 4)
			return false; /* five of them: these are no instructions */
	}
	if ((*at & 0xf0) == 0x40)
		rex = *at++;
	i->is_wide = rex & REX_W;
	form = read_opcode(&at, &rex, i);
	if (form & X)
		return false;
	i->has_modrm = form & M;
	if (i->has_modrm)
		at = read_modrm(at, rex, i);
	if (i->map == MAP_ONE_BYTE && (i->opcode & 0xfe) == 0xf6 && (i->reg & 7) < 2)
		form |= i->opcode & 1 ? Z : 1; /* TEST, in a group of others without */
	if (i->map == MAP_ONE_BYTE && !i->has_modrm)
		i->rm = (i->opcode & 7) | (rex & REX_B ? 8 : 0);
	/* Jumps have 4 bytes whatever the prefix (as Intel's do). */
	if (form & Z && (i->map == MAP_0F || (i->opcode & 0xfe) == 0xe8))
		is_short = false;
	at = read_immediate(at, form, is_short && !i->is_wide, i->is_wide, i);
	i->size = (uint8_t)(at - code);
	return i->size <= INSTRUCTION_SIZE_MAX;
}
