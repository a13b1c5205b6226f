/*
 * The symbol map of one build of one library: for every address the functions there, inlined ones
 * too, with file, line and column.  plugprof-map(5) says the same in prose.
 *
 *     header | ranges | locations | functions | strings
 *
 * Each section is a table of records that differ little from the one before, cut into blocks that
 * can be read by themselves: first an index, one entry a block, then the blocks.  In the file a
 * section is packed page by page (pages.h).  So a question is a binary search in an index and the
 * reading of one block in each section, for which a few pages are unpacked.  Numbers in blocks are
 * LEB128 (DWARF 5 section 7.6), all others little-endian.
 *
 * Ranges: struct map_range_block, then for each record ULEB128 address less that before it (in the
 * block; the first is the index's) and SLEB128 location less that before it (the first counts from
 * 0).  Location 0 is "nothing is known here"; others are numbered from 1.  A range ends where the
 * next one starts.
 *
 * Locations: u32 offset of each block; a record is a byte of flags and those of these that the
 * flags do not call equal to the record before (the first of a block follows zeros):
 *     SLEB128 change of function   (1: equal)
 *     SLEB128 change of file       (2: equal)
 *     SLEB128 change of line       (4: equal)
 *     ULEB128 column               (8: equal)
 *     ULEB128 own number less that of the caller's location (16: there is no caller)
 * A caller is always of a lower number, so a chain ends.  Flag 32 leaves nothing out: the linker
 * made one of several functions here.  It is set where a chain begins, at the innermost function.
 *
 * Functions, numbered from 1: u32 offset of each block; ULEB128 linkage name, ULEB128 name to show
 * where it is not made from the linkage name, ULEB128 line of the declaration.  Names are strings;
 * 0 is none.
 *
 * Strings, numbered from 1, sorted: u32 offset of each block; ULEB128 how many bytes are those of
 * the string before (0 in a block's first), ULEB128 how many follow, those bytes.
 */
#ifndef MAPSTORE_MAP_FORMAT_H
#define MAPSTORE_MAP_FORMAT_H

#include <assert.h>
#include <stdint.h>

#define MAP_MAGIC "PLUGPSYM"
#define MAP_VERSION 2

#define MAP_RANGES_PER_BLOCK 32
#define MAP_RECORDS_PER_BLOCK 16
#define MAP_STRING_SIZE_MAX 65536
#define MAP_DEPTH_MAX 512 /* locations of one chain */

enum map_section_number {
	MAP_RANGES,
	MAP_LOCATIONS,
	MAP_FUNCTIONS,
	MAP_STRINGS,
	MAP_SECTION_COUNT
};

struct map_section {
	uint64_t offset; /* in the file */
	uint64_t packed_size; /* bytes there */
	uint64_t size; /* bytes when unpacked, the index included */
	uint64_t count; /* of records */
};

/* A PT_LOAD of the file: how an offset in a mapping becomes an address. */
struct map_segment {
	uint64_t vaddr;
	uint64_t memory_size; /* bytes, as the following */
	uint64_t offset;
	uint64_t file_size;
	uint64_t executable; /* 0 or 1 */
};

#define MAP_SEGMENTS_MAX 8

struct map_header {
	char magic[8];
	uint32_t version;
	uint32_t header_size; /* sections begin behind it */
	uint64_t file_size;
	uint32_t body_crc; /* CRC-32 of all behind the header */
	uint32_t header_crc; /* CRC-32 of the header with this field 0 */
	uint64_t base; /* vaddr that addresses count from */
	uint64_t source_size; /* bytes of the file it was made from */
	uint16_t machine; /* e_machine */
	uint8_t has_lines; /* it was made from debug information, not symbols alone */
	uint8_t build_id_size; /* bytes of the following */
	uint8_t build_id[64];
	uint32_t source_name; /* string: the file it was made from, without folders */
	uint32_t segment_count;
	uint32_t reserved; /* 0 */
	struct map_segment segments[MAP_SEGMENTS_MAX];
	struct map_section sections[MAP_SECTION_COUNT];
};
static_assert(sizeof(struct map_header) == 576, "map format changed");

struct map_range_block {
	uint32_t address; /* of the first record, from the header's base */
	uint32_t offset; /* of the block, in its section */
};

enum map_location_flag {
	MAP_SAME_FUNCTION = 1,
	MAP_SAME_FILE = 2,
	MAP_SAME_LINE = 4,
	MAP_SAME_COLUMN = 8,
	MAP_NO_CALLER = 16,
	MAP_FOLDED = 32,
};

#endif
