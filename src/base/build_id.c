#include "base/build_id.h"

#include <string.h>

#include "base/bytes.h"

#define NOTE_TYPE_GNU_BUILD_ID 3 /* NT_GNU_BUILD_ID */
#define NOTE_TYPE_GO_BUILD_ID 4 /* cmd/link: ELF_NOTE_GOBUILDID_TAG */

static bool note_is(const char *owner, uint32_t owner_size, const char *name, size_t name_size)
{
	return owner_size == name_size && memcmp(owner, name, name_size) == 0;
}

void build_id_from_notes(
	const void *notes, size_t size, size_t align, struct build_id *id, bool *is_go)
{
	struct bytes rest = bytes_over(notes, size);
	const size_t mask = (align == 8 ? 8 : 4) - 1;

	id->size = 0;
	if (is_go)
		*is_go = false;
	while (bytes_left(&rest) >= 12) {
		uint32_t owner_size = bytes_u32(&rest);
		uint32_t desc_size = bytes_u32(&rest);
		uint32_t type = bytes_u32(&rest);
		const char *owner = bytes_take(&rest, ((size_t)owner_size + 3) & ~(size_t)3);
		const void *desc = bytes_take(&rest, desc_size);
		size_t padding = -(size_t)desc_size & mask;

		if (!owner || !desc)
			return;
		if (note_is(owner, owner_size, "GNU", 4) && type == NOTE_TYPE_GNU_BUILD_ID &&
			id->size == 0 && desc_size <= BUILD_ID_SIZE_MAX) {
			id->size = (uint8_t)desc_size;
			memcpy(id->bytes, desc, desc_size);
		}
		if (is_go && note_is(owner, owner_size, "Go\0", 4) &&
			type == NOTE_TYPE_GO_BUILD_ID)
			*is_go = true;
		bytes_skip(&rest, padding);
	}
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
