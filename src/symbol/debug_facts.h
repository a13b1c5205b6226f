/*
 * What a library, its debug file and what they point at have to say about names and lines, and
 * what is missing of it.
 */
#ifndef SYMBOL_DEBUG_FACTS_H
#define SYMBOL_DEBUG_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct binary;

struct debug_facts {
	/* Functions with a name; of the debug file where it has more. */
	size_t symtab_functions;
	size_t exported_functions;

	char *debug_file; /* path of the separate one that was found; NULL: none */
	const char *debug_link; /* the name in .gnu_debuglink; NULL: none */

	bool has_debug_info; /* a section for it is there, readable or not */
	const char *compression; /* of its sections: "zlib", "zstd"; NULL: none */
	size_t unit_count; /* DWARF units that could be read */
	unsigned int version_low, version_high; /* of DWARF; 0: no units */
	size_t split_count; /* units whose contents are in a .dwo file */
	size_t split_missing; /* those whose .dwo file was not found */
	char *split_example; /* one of these; NULL: none */
	char *alt_link; /* what dwz has moved to another file: its path; NULL: nothing */
	bool alt_found;

	bool mini_debug_info; /* .gnu_debugdata */
	bool unwind_table; /* .eh_frame */
	bool unwind_index; /* PT_GNU_EH_FRAME: what finds an entry of it fast */

	bool has_text; /* .text is there and not empty */
	uint32_t text_crc32; /* of .text: equal for stripped and unstripped copies of a build */
};

/* DEBUG_FOLDERS as in debug_file.h.  debug_facts_free() afterwards. */
void debug_facts_read(
	const struct binary *b, const char *const *debug_folders, struct debug_facts *ret);
void debug_facts_free(struct debug_facts *facts);

#endif
