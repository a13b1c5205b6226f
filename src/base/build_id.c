#include "base/build_id.h"

#include <string.h>

#include "base/bytes.h"
#include "base/sha256.h"

#define NOTE_TYPE_GNU_BUILD_ID 3 /* NT_GNU_BUILD_ID */
#define NOTE_TYPE_GO_BUILD_ID 4 /* cmd/link: ELF_NOTE_GOBUILDID_TAG */
#define GO_HASH_SIZE 20 /* characters: cmd/internal/buildid, HashToString() */
#define GO_IDENTITY_SIZE 20 /* bytes, as GNU's have */

static bool note_is(const char *owner, uint32_t owner_size, const char *name, size_t name_size)
{
	return owner_size == name_size && memcmp(owner, name, name_size) == 0;
}

static bool is_base64url(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
		c == '-' || c == '_';
}

/* "ACTION/.../CONTENT": does the last part look like a hash? */
static bool is_by_cmd_go(const char *text, size_t size)
{
	if (size <= GO_HASH_SIZE || size > GO_BUILD_ID_SIZE_MAX ||
		text[size - GO_HASH_SIZE - 1] != '/')
		return false;
	for (size_t i = size - GO_HASH_SIZE; i < size; i++)
		if (!is_base64url(text[i]))
			return false;
	return true;
}

static void add_note(struct build_notes *found, const char *owner, size_t owner_size,
	uint32_t type, const void *desc, size_t desc_size)
{
	if (note_is(owner, owner_size, "GNU", 4) && type == NOTE_TYPE_GNU_BUILD_ID &&
		found->gnu.size == 0 && desc_size <= BUILD_ID_SIZE_MAX) {
		found->gnu.size = (uint8_t)desc_size;
		memcpy(found->gnu.bytes, desc, desc_size);
	}
	if (note_is(owner, owner_size, "Go\0", 4) && type == NOTE_TYPE_GO_BUILD_ID) {
		found->is_go = true;
		if (found->go_size == 0 && is_by_cmd_go(desc, desc_size)) {
			found->go_size = (uint8_t)desc_size;
			memcpy(found->go, desc, desc_size);
		}
	}
}

static void add_notes(struct build_notes *found, struct bytes rest, size_t align)
{
	const size_t mask = (align == 8 ? 8 : 4) - 1;

	while (bytes_left(&rest) >= 12) {
		uint32_t owner_size = bytes_u32(&rest);
		uint32_t desc_size = bytes_u32(&rest);
		uint32_t type = bytes_u32(&rest);
		const char *owner = bytes_take(&rest, ((size_t)owner_size + 3) & ~(size_t)3);
		const void *desc = bytes_take(&rest, desc_size);
		size_t padding = -(size_t)desc_size & mask;

		if (!owner || !desc)
			return;
		add_note(found, owner, owner_size, type, desc, desc_size);
		bytes_skip(&rest, padding);
	}
}

void build_notes_add(struct build_notes *found, const void *notes, size_t size, size_t room,
	size_t align)
{
	struct bytes behind = bytes_over(notes, room);

	add_notes(found, bytes_over(notes, size), align);
	if (found->is_go && found->gnu.size == 0 && bytes_skip(&behind, (size + 3) & ~(size_t)3)) {
		if (bytes_left(&behind) > BUILD_NOTES_BEHIND)
			behind.end = behind.at + BUILD_NOTES_BEHIND;
		add_notes(found, behind, 4);
	}
}

void build_id_of_notes(const struct build_notes *notes, const Elf64_Phdr *headers,
	size_t header_count, struct build_id *id)
{
	uint8_t digest[SHA256_SIZE];
	struct sha256 hash;

	*id = notes->gnu;
	if (id->size > 0 || notes->go_size == 0)
		return;
	sha256_begin(&hash);
	sha256_add(&hash, notes->go, notes->go_size);
	for (size_t i = 0; i < header_count; i++)
		if (headers[i].p_type == PT_LOAD) {
			sha256_add(&hash, &headers[i].p_vaddr, sizeof(headers[i].p_vaddr));
			sha256_add(&hash, &headers[i].p_memsz, sizeof(headers[i].p_memsz));
		}
	sha256_end(&hash, digest);
	id->size = GO_IDENTITY_SIZE;
	memcpy(id->bytes, digest, GO_IDENTITY_SIZE);
}

bool build_id_equal(const struct build_id *a, const struct build_id *b)
{
	return a->size > 0 && a->size == b->size && memcmp(a->bytes, b->bytes, a->size) == 0;
}

char *build_id_to_hex(const struct build_id *id, char hex[static BUILD_ID_HEX_SIZE])
{
	static const char digits[] = "0123456789abcdef";
	char *to = hex;

	for (size_t i = 0; i < id->size && i < BUILD_ID_SIZE_MAX; i++) {
		*to++ = digits[id->bytes[i] >> 4];
		*to++ = digits[id->bytes[i] & 15];
	}
	*to = '\0';
	return hex;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool build_id_from_hex(const char *hex, struct build_id *id)
{
	struct build_id found = { .size = 0 };

	for (; hex[0]; hex += 2) {
		int high = hex_digit(hex[0]);
		int low = high < 0 ? -1 : hex_digit(hex[1]);

		if (low < 0 || found.size == BUILD_ID_SIZE_MAX)
			return false;
		found.bytes[found.size++] = (uint8_t)(high << 4 | low);
	}
	if (found.size == 0)
		return false;
	*id = found;
	return true;
}
