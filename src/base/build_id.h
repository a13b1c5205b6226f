/*
 * The identity of one build of one ELF file: the bytes of its NT_GNU_BUILD_ID note.
 *
 * Go's linker made no such note before 1.24, and makes none with -B none; nor does a C linker that
 * is not told to.  But there is a note with the build-ID of cmd/go: the hashes of what a file was
 * made from and of its contents, as text of some 83 bytes with slashes.  Then the identity is the
 * first 20 bytes of the SHA-256 of that text and of each PT_LOAD's p_vaddr and p_memsz (8 bytes
 * each, little-endian): all of which a file keeps when it is stripped, and its debug file has too.
 * The segments are there because a C program that an archive of Go code (c-archive) is linked to
 * has the archive's text.  A text of another form ("redacted", as Bazel has it) says nothing.
 *
 * Pure: no allocation, no libc beyond memcmp and memcpy, so the agent uses it too.
 */
#ifndef BASE_BUILD_ID_H
#define BASE_BUILD_ID_H

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BUILD_ID_SIZE_MAX 40
#define BUILD_ID_HEX_SIZE (2 * BUILD_ID_SIZE_MAX + 1)

struct build_id {
	uint8_t size; /* bytes used; 0: the file has no build-ID */
	uint8_t bytes[BUILD_ID_SIZE_MAX];
};

#define GO_BUILD_ID_SIZE_MAX 128

/* What the notes of a file tell. */
struct build_notes {
	struct build_id gnu; /* the first of its kind */
	bool is_go; /* Go's own note was seen */
	uint8_t go_size; /* bytes of the following; 0: it does not tell builds apart */
	char go[GO_BUILD_ID_SIZE_MAX];
};

/* From its own note to the end of GNU's, which Go's linker puts behind it and leaves out of the
 * segment of notes. */
#define BUILD_NOTES_BEHIND (3 + 16 + BUILD_ID_SIZE_MAX)

/* Look through the notes in [NOTES, NOTES+SIZE) (System V ABI, "Note Section"; ALIGN is the
 * segment's p_align, 8 or else 4) for what *FOUND, zeroed before the first, has not got.  ROOM
 * bytes can be read from NOTES on, SIZE or some more: BUILD_NOTES_BEHIND are enough.
 * Notes of another size than BUILD_ID_SIZE_MAX allows are passed over.  Signal-safe. */
void build_notes_add(struct build_notes *found, const void *notes, size_t size, size_t room,
	size_t align);

/* The identity of a file with these notes and program headers; size 0: they tell none.
 * Signal-safe, with 1 KiB of stack. */
void build_id_of_notes(const struct build_notes *notes, const Elf64_Phdr *headers,
	size_t header_count, struct build_id *id);

/* Equal and not empty: two files without build-ID are never "the same". */
bool build_id_equal(const struct build_id *a, const struct build_id *b);

/* Lower-case hexadecimal, NUL-terminated, "" when empty.  Returns HEX. */
char *build_id_to_hex(const struct build_id *id, char hex[static BUILD_ID_HEX_SIZE]);

/* False when HEX is not an even, non-zero number of hexadecimal digits that fits. */
bool build_id_from_hex(const char *hex, struct build_id *id);

#endif
