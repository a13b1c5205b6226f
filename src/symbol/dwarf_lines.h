/*
 * The line table of a unit: DWARF 5 section 6.2, and the same of versions 2 to 4.
 */
#ifndef SYMBOL_DWARF_LINES_H
#define SYMBOL_DWARF_LINES_H

#include "symbol/dwarf_file.h"
#include "symbol/dwarf_wanted.h"
#include "symbol/text_pool.h"

struct dwarf_row { /* holds until the next row's address */
	uint64_t vaddr;
	uint32_t file; /* as the table counts; UINT32_MAX: behind a sequence, nothing holds */
	uint32_t line;
	uint32_t column;
};

struct dwarf_line_file {
	const char *name; /* in the file, as FOLDER */
	const char *folder; /* NULL: the unit's */
	const char *path; /* from the text pool, made when first asked for */
};

struct dwarf_lines {
	VEC(struct dwarf_row) rows; /* sorted by address */
	VEC(struct dwarf_line_file) files;
	const struct dwarf_unit *unit;
};

/* Read the table at U's line_offset, with the rows that WANTED needs or without any.  LINES is
 * empty before; it stays so, or keeps what came before the damage, when the table is damaged. */
void dwarf_lines_read(
	struct dwarf_lines *lines, struct dwarf_unit *u, const struct dwarf_wanted *wanted);
void dwarf_lines_read_files(struct dwarf_lines *lines, struct dwarf_unit *u, uint64_t offset);
void dwarf_lines_free(struct dwarf_lines *lines);

/* The row that VADDR belongs to; NULL: none. */
const struct dwarf_row *dwarf_lines_find(const struct dwarf_lines *lines, uint64_t vaddr);

/* The path of file NUMBER as TEXTS keeps it, absolute when the compilation folder is known;
 * NULL: there is no such file. */
const char *dwarf_lines_path(
	struct dwarf_lines *lines, struct text_pool *texts, uint32_t number);

#endif
