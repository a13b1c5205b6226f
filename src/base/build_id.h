/*
 * The identity of one build of one ELF file: the bytes of its NT_GNU_BUILD_ID note.
 * Pure: no allocation, no libc beyond memcmp and memcpy, so the agent uses it too.
 */
#ifndef BASE_BUILD_ID_H
#define BASE_BUILD_ID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BUILD_ID_SIZE_MAX 40
#define BUILD_ID_HEX_SIZE (2 * BUILD_ID_SIZE_MAX + 1)

struct build_id {
	uint8_t size; /* bytes used; 0: the file has no build-ID */
	uint8_t bytes[BUILD_ID_SIZE_MAX];
};


/* Look through the notes in [NOTES, NOTES+SIZE) (System V ABI, "Note Section"; ALIGN is the
 * segment's p_align, 8 or else 4).  The first GNU build-ID goes to *ID, whose size stays 0
 * when there is none; *IS_GO (may be NULL) tells whether Go's own note was seen.
 * Notes of another size than BUILD_ID_SIZE_MAX allows are passed over.  Signal-safe. */
void build_id_from_notes(
	const void *notes, size_t size, size_t align, struct build_id *id, bool *is_go);

/* Equal and not empty: two files without build-ID are never "the same". */
bool build_id_equal(const struct build_id *a, const struct build_id *b);

/* Lower-case hexadecimal, NUL-terminated, "" when empty.  Returns HEX. */
char *build_id_to_hex(const struct build_id *id, char hex[static BUILD_ID_HEX_SIZE]);

/* False when HEX is not an even, non-zero number of hexadecimal digits that fits. */
bool build_id_from_hex(const char *hex, struct build_id *id);

#endif
