/*
 * The debug information of one file, read by our own hand: DWARF 2 to 5 in 32 and 64 bits,
 * section numbers as in the DWARF 5 standard.  Nothing is trusted: every read is bounded, every
 * chain and depth has a limit, and no walk can go backwards.
 *
 * A file is a list of units.  A unit's root DIE is read when the file is opened; the rest of it
 * (dwarf_tree.h, dwarf_lines.h) when an address of it is asked for.
 */
#ifndef SYMBOL_DWARF_FILE_H
#define SYMBOL_DWARF_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/table.h"
#include "base/vec.h"
#include "symbol/binary.h"
#include "symbol/section.h"

/* The tree is walked no deeper than this, and references are followed no further; compilers
 * stay far below. */
#define DWARF_DEPTH_MAX 512
#define DWARF_ORIGINS_MAX 8

enum dwarf_section {
	DWARF_INFO,
	DWARF_ABBREV,
	DWARF_LINE,
	DWARF_STR,
	DWARF_LINE_STR,
	DWARF_RANGES,
	DWARF_RNGLISTS,
	DWARF_ADDR,
	DWARF_STR_OFFSETS,
	DWARF_SECTION_COUNT
};

enum dwarf_kind {
	DWARF_WHOLE, /* .debug_info */
	DWARF_SPLIT, /* .debug_info.dwo */
};

struct dwarf_unit {
	struct dwarf_file *file;
	uint64_t offset; /* in .debug_info, of the header */
	uint64_t first_die;
	uint64_t end;
	uint64_t abbrev_offset;
	uint16_t version;
	uint16_t language; /* DW_LANG_* */
	uint16_t root_tag; /* 0: there is no root */
	uint8_t type; /* DW_UT_*; before DWARF 5 DW_UT_compile */
	uint8_t address_size; /* bytes, as the following */
	uint8_t offset_size;
	bool has_lines;
	bool split_tried;
	uint64_t low_pc; /* what its ranges count from */
	uint64_t str_offsets_base;
	uint64_t addr_base;
	uint64_t rnglists_base;
	uint64_t ranges_base; /* GNU's split DWARF 4 */
	uint64_t line_offset; /* when HAS_LINES */
	uint64_t split_id; /* what a skeleton and its split unit have in common; 0: none */
	const char *name;
	const char *folder; /* DW_AT_comp_dir; NULL: unknown, as NAME */
	const char *split_name; /* DW_AT_dwo_name; NULL: the functions are here */
	struct dwarf_unit *split; /* the unit with the functions, once it was found */
	struct dwarf_unit *skeleton; /* and back */
	struct abbreviation_table *abbreviations; /* NULL until they are needed */
	const struct abbreviation *dense; /* those of codes 1, 2, 3..., if they are all so */
	uint64_t dense_count;
};

struct dwarf_name { /* of a function, by the DIE that it is made from */
	uint64_t origin;
	const char *linkage_name; /* from the text pool, as NAME; NULL: there is none */
	const char *name;
	uint32_t start_line;
};

struct dwarf_file {
	const struct binary *binary;
	struct section sections[DWARF_SECTION_COUNT];
	VEC(struct dwarf_unit) units; /* sorted by offset; do not move once opened */
	VEC(struct abbreviation_table *) tables;
	uint64_t attributes_left; /* that may still be compiled, against hostile tables */
	struct dwarf_file *alt; /* what dwz has moved out of several files; borrowed */
	VEC(struct dwarf_name) names;
	struct table names_by_origin;
};

/* B is borrowed.  NULL: it has no debug information of this kind. */
struct dwarf_file *dwarf_file_open(const struct binary *b, enum dwarf_kind kind);
/* The same of sections that were found otherwise, and are taken. */
struct dwarf_file *dwarf_file_over(
	const struct binary *b, const struct section sections[static DWARF_SECTION_COUNT]);
/* All sections of the kind, "" where one is missing; the caller's to section_free(). */
void dwarf_sections_load(const struct binary *b, enum dwarf_kind kind,
	struct section sections[static DWARF_SECTION_COUNT]);
void dwarf_file_close(struct dwarf_file *f);

/* The unit whose DIEs lie around OFFSET of .debug_info; NULL: none. */
struct dwarf_unit *dwarf_file_unit(struct dwarf_file *f, uint64_t offset);

/* A cursor at OFFSET of a section, broken when that lies outside. */
struct bytes dwarf_section_at(
	const struct dwarf_file *f, enum dwarf_section section, uint64_t offset);
/* A cursor at OFFSET, which is inside the unit, that ends with it. */
struct bytes dwarf_unit_at(const struct dwarf_unit *u, uint64_t offset);
/* Where a cursor in .debug_info stands. */
static inline uint64_t dwarf_offset_of(const struct dwarf_unit *u, const struct bytes *at)
{
	return (uint64_t)(at->at - u->file->sections[DWARF_INFO].bytes.at);
}

#endif
