#include "symbol/dwarf_package.h"

#include <errno.h>

#include "base/compiler.h"

#define COLUMNS_MAX 16 /* of the index; there are eight kinds of sections */
#define UNITS_MAX (1u << 24)

/* Sections of a package by their number in the index (DWARF 5 table 7.1; version 2, where it
 * differs: 5 is .debug_loc, 8 .debug_macro). */
static const struct {
	uint32_t number;
	enum dwarf_section section;
	bool is_of_5_alone;
} kinds[] = {
	{ 1, DWARF_INFO, false },
	{ 3, DWARF_ABBREV, false },
	{ 4, DWARF_LINE, false },
	{ 6, DWARF_STR_OFFSETS, false },
	{ 8, DWARF_RNGLISTS, true },
};

struct dwarf_package {
	struct binary *binary;
	struct section sections[DWARF_SECTION_COUNT];
	struct section index;
	uint16_t version;
	uint32_t column_count, unit_count, slot_count;
	/* Of the index: a hash table of unit numbers, rows of the table beside it, and for each
	 * row offsets and sizes of a unit's parts. */
	struct bytes signatures, rows, numbers, offsets, sizes;
};

/* The next SIZE bytes. */
static struct bytes take(struct bytes *at, uint64_t size)
{
	const void *taken = bytes_take(at, size);

	return bytes_over(taken ? taken : "", taken ? size : 0);
}

/* Word INDEX of WORDS; 0: there are less. */
static uint32_t word_of(struct bytes words, uint64_t index)
{
	const uint32_t word = bytes_skip(&words, 4 * index) ? bytes_u32(&words) : 0;

	return bytes_ok(&words) ? word : 0;
}

static bool read_index(struct dwarf_package *p)
{
	struct bytes at = p->index.bytes;
	uint64_t cells;

	p->version = bytes_u16(&at);
	bytes_u16(&at);
	p->column_count = bytes_u32(&at);
	p->unit_count = bytes_u32(&at);
	p->slot_count = bytes_u32(&at);
	if (!bytes_ok(&at) || (p->version != 2 && p->version != 5) ||
		p->column_count > COLUMNS_MAX || p->unit_count > UNITS_MAX ||
		p->slot_count > 4 * (uint64_t)UNITS_MAX ||
		(p->slot_count & (p->slot_count - 1)) || p->slot_count == 0)
		return false;
	cells = (uint64_t)p->column_count * p->unit_count;
	p->signatures = take(&at, 8 * (uint64_t)p->slot_count);
	p->rows = take(&at, 4 * (uint64_t)p->slot_count);
	p->numbers = take(&at, 4 * (uint64_t)p->column_count);
	p->offsets = take(&at, 4 * cells);
	p->sizes = take(&at, 4 * cells);
	return bytes_ok(&at);
}

int dwarf_package_open(const char *path, struct dwarf_package **ret)
{
	struct dwarf_package *p = xcalloc(1, sizeof(*p));
	int r = binary_open_relocatable(path, &p->binary);

	if (r == 0 && (!section_load(p->binary, ".debug_cu_index", &p->index) || !read_index(p)))
		r = -ENODATA;
	if (r) {
		dwarf_package_close(p);
		return r;
	}
	dwarf_sections_load(p->binary, DWARF_SPLIT, p->sections);
	*ret = p;
	return 0;
}

void dwarf_package_close(struct dwarf_package *p)
{
	if (!p)
		return;
	for (int i = 0; i < DWARF_SECTION_COUNT; i++)
		section_free(&p->sections[i]);
	section_free(&p->index);
	binary_close(p->binary);
	free(p);
}

/* The row of the unit, counted from 1; 0: it has none.  The second hash is the step between slots
 * that are tried, which is odd, so all are. */
static uint32_t find_row(const struct dwarf_package *p, uint64_t split_id)
{
	const uint64_t mask = p->slot_count - 1;
	const uint64_t step = ((split_id >> 32) & mask) | 1;
	uint64_t slot = split_id & mask;

	for (uint32_t tried = 0; tried < p->slot_count; tried++) {
		struct bytes signature = p->signatures;
		const uint32_t row = word_of(p->rows, slot);

		bytes_skip(&signature, 8 * slot);
		if (row == 0 || bytes_u64(&signature) == split_id)
			return row <= p->unit_count ? row : 0;
		slot = (slot + step) & mask;
	}
	return 0;
}

/* The unit's part of a section, of the column COLUMN of the index. */
static void take_part(const struct dwarf_package *p, uint32_t row, uint32_t column,
	struct section parts[static DWARF_SECTION_COUNT])
{
	const uint32_t number = word_of(p->numbers, column);
	const uint64_t cell = (uint64_t)(row - 1) * p->column_count + column;

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct bytes whole = p->sections[kinds[i].section].bytes;

		if (kinds[i].number != number || (kinds[i].is_of_5_alone && p->version != 5))
			continue;
		bytes_skip(&whole, word_of(p->offsets, cell));
		parts[kinds[i].section].bytes = take(&whole, word_of(p->sizes, cell));
	}
}

struct dwarf_file *dwarf_package_find(const struct dwarf_package *p, uint64_t split_id)
{
	struct section parts[DWARF_SECTION_COUNT];
	const uint32_t row = find_row(p, split_id);

	if (row == 0)
		return NULL;
	for (int i = 0; i < DWARF_SECTION_COUNT; i++)
		parts[i] = (struct section){ .bytes = bytes_over("", 0) };
	/* Strings are shared, and were renumbered. */
	parts[DWARF_STR].bytes = p->sections[DWARF_STR].bytes;
	parts[DWARF_LINE_STR].bytes = p->sections[DWARF_LINE_STR].bytes;
	for (uint32_t column = 0; column < p->column_count; column++)
		take_part(p, row, column, parts);
	return dwarf_file_over(p->binary, parts);
}
