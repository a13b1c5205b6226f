/* Go's pclntab in each of its layouts, written as the linker of that time did. */
#ifndef UNIT_GO_IMAGE_H
#define UNIT_GO_IMAGE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define GO_TEXT 0x401000u

static uint8_t go_image[1024];

static void put(size_t at, uint64_t value, size_t size)
{
	memcpy(go_image + at, &value, size);
}

static void put_text(size_t at, const char *text)
{
	strcpy((char *)go_image + at, text);
}

/* Where things lie in the image, the same for all versions. */
enum {
	NAMES = 0x100,
	OUTER = 0x08, /* names, in NAMES */
	INNER = 0x20,
	LAST = 0x30,
	UNITS = 0x140,
	FILES = 0x160,
	VALUES = 0x1a0,
	FILE_VALUES = 1, /* lists, in VALUES */
	LINE_VALUES = 8,
	INLINE_VALUES = 0x18,
	FUNCTIONS = 0x200,
	RECORDS = 0x80, /* in FUNCTIONS */
	INLINING = 0x3a0,
	TREE = 0x10 /* in INLINING */
};

/* Two functions, 0x100 and 0x40 bytes long; the middle of the first, 0x20 to 0x30, is inlined from
 * a call in its line 12. */
static const uint8_t file_values[] = { 2 /* -1 + 1 */, 0x80, 0x02, 0 };
static const uint8_t line_values[] = { 22, 0x10, 4, 0x10, 0x40 /* 12 + 32 */, 0x10,
	0x3f /* 44 - 32 */, 0xd0, 0x01, 0 };
static const uint8_t inline_values[] = { 0, 0x20, 2 /* 0 */, 0x10, 1 /* -1 */, 0xd0, 0x01, 0 };

static void put_common(uint32_t magic)
{
	memset(go_image, 0, sizeof(go_image));
	put(0, magic, 4);
	put(6, 1, 1);
	put(7, 8, 1);
	put(8, 2, 8);
	put_text(NAMES + OUTER, "main.(*T).outer");
	put_text(NAMES + INNER, "main.inner");
	put_text(NAMES + LAST, "main.last");
	put(UNITS + 4, 1, 4);
	put_text(FILES + 1, "/src/main.go");
	memcpy(go_image + VALUES + FILE_VALUES, file_values, sizeof(file_values));
	memcpy(go_image + VALUES + LINE_VALUES, line_values, sizeof(line_values));
	memcpy(go_image + VALUES + INLINE_VALUES, inline_values, sizeof(inline_values));
}

static void put_offsets(size_t at)
{
	static const uint64_t offsets[] = { NAMES, UNITS, FILES, VALUES, FUNCTIONS };

	for (int i = 0; i < 5; i++)
		put(at + 8 * (size_t)i, offsets[i], 8);
}

/* What follows the entry's address in a record; UNIT and START_LINE where the version has them. */
static void put_record(size_t at, uint32_t name, bool has_unit, bool has_start_line, bool inlines)
{
	put(at, name, 4);
	put(at + 16, FILE_VALUES, 4);
	put(at + 20, LINE_VALUES, 4);
	put(at + 24, inlines ? 3 : 0, 4);
	at += 28;
	if (has_unit) {
		put(at, 1, 4);
		at += 4;
	}
	if (has_start_line) {
		put(at, 10, 4);
		at += 4;
	}
	put(at + 3, inlines ? 4 : 0, 1);
	if (!inlines)
		return;
	put(at + 4 + 2 * 4, INLINE_VALUES, 4);
	put(at + 4 + 3 * 4 + 3 * 4, TREE, 4);
}

static void put_go_1_2(void)
{
	const size_t records = 0x80;

	put_common(0xfffffffb);
	for (int i = 0; i < 3; i++)
		put(16 + 16 * (size_t)i, GO_TEXT + (i == 0 ? 0 : i == 1 ? 0x100 : 0x140), 8);
	put(24, records, 8);
	put(40, records + 0x28, 8);
	put(56, FILES, 4);
	put_record(records + 8, NAMES + OUTER, false, false, false);
	put_record(records + 0x28 + 8, NAMES + LAST, false, false, false);
	put(records + 8 + 16, VALUES + FILE_VALUES, 4);
	put(records + 8 + 20, VALUES + LINE_VALUES, 4);
	/* File 1's name, relative to the start; here after the list of values -1 + 1 = 0. */
	memset(go_image + FILES, 0, 32);
	put(FILES, FILES + 8, 4);
	put_text(FILES + 8, "/src/main.go");
}

static void put_go_1_16(void)
{
	put_common(0xfffffffa);
	put(16, 1, 8);
	put_offsets(24);
	for (int i = 0; i < 3; i++)
		put(FUNCTIONS + 16 * (size_t)i, GO_TEXT + (i == 0 ? 0 : i == 1 ? 0x100 : 0x140), 8);
	put(FUNCTIONS + 8, RECORDS, 8);
	put(FUNCTIONS + 24, RECORDS + 0x50, 8);
	put_record(FUNCTIONS + RECORDS + 8, OUTER, true, false, false);
	put_record(FUNCTIONS + RECORDS + 0x50 + 8, LAST, true, false, false);
}

static void put_halves(bool has_start_line)
{
	for (int i = 0; i < 3; i++)
		put(FUNCTIONS + 8 * (size_t)i, i == 0 ? 0 : i == 1 ? 0x100 : 0x140, 4);
	put(FUNCTIONS + 4, RECORDS, 4);
	put(FUNCTIONS + 12, RECORDS + 0x50, 4);
	put_record(FUNCTIONS + RECORDS + 4, OUTER, true, has_start_line, true);
	put_record(FUNCTIONS + RECORDS + 0x50 + 4, LAST, true, has_start_line, false);
}

static void put_go_1_18(void)
{
	put_common(0xfffffff0);
	put(16, 1, 8);
	put(24, GO_TEXT, 8);
	put_offsets(32);
	put_halves(false);
	put(INLINING + TREE + 12, INNER, 4);
	put(INLINING + TREE + 16, 0x18, 4); /* the call is at line 12's code */
}

static void put_go_1_20(void)
{
	put_common(0xfffffff1);
	put(16, 1, 8);
	put_offsets(32); /* Go 1.26 leaves the start of the text out */
	put_halves(true);
	put(INLINING + TREE + 4, INNER, 4);
	put(INLINING + TREE + 8, 0x18, 4);
	put(INLINING + TREE + 12, 40, 4);
}

static const struct {
	void (*put)(void);
	uint64_t text_start;
	bool has_inlining;
} go_images[] = {
	{ put_go_1_2, 0, false },
	{ put_go_1_16, 0, false },
	{ put_go_1_18, 0, true },
	{ put_go_1_20, GO_TEXT, true },
};
#define GO_IMAGES 4

#endif
