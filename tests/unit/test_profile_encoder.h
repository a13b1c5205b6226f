/* Protobuf written by hand, for profiles that no library would write.  Bounded by its array. */
#ifndef TEST_PROFILE_ENCODER_H
#define TEST_PROFILE_ENCODER_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct encoder {
	uint8_t data[4096];
	size_t size;
};

static inline void put_bytes(struct encoder *e, const void *data, size_t size)
{
	if (sizeof(e->data) - e->size < size)
		abort();
	memcpy(e->data + e->size, data, size);
	e->size += size;
}

static inline void put_varint(struct encoder *e, uint64_t value)
{
	uint8_t byte;

	for (; value >= 0x80; value >>= 7) {
		byte = (uint8_t)(value | 0x80);
		put_bytes(e, &byte, 1);
	}
	byte = (uint8_t)value;
	put_bytes(e, &byte, 1);
}

static inline void put_int(struct encoder *e, unsigned int field, uint64_t value)
{
	put_varint(e, field << 3 | 0);
	put_varint(e, value);
}

static inline void put_blob(
	struct encoder *e, unsigned int field, const void *data, size_t size)
{
	put_varint(e, field << 3 | 2);
	put_varint(e, size);
	put_bytes(e, data, size);
}

static inline void put_text(struct encoder *e, unsigned int field, const char *text)
{
	put_blob(e, field, text, strlen(text));
}

static inline void put_message(
	struct encoder *e, unsigned int field, const struct encoder *part)
{
	put_blob(e, field, part->data, part->size);
}

/* The fields of profile.proto by number. */

static inline void put_sample_type(struct encoder *e, uint64_t type, uint64_t unit)
{
	struct encoder part = { .size = 0 };

	put_int(&part, 1, type);
	put_int(&part, 2, unit);
	put_message(e, 1, &part);
}

static inline void put_sample(struct encoder *e, uint64_t location_id, uint64_t value)
{
	struct encoder part = { .size = 0 };

	put_int(&part, 1, location_id);
	put_int(&part, 2, value);
	put_message(e, 2, &part);
}

static inline void put_mapping(
	struct encoder *e, uint64_t id, uint64_t start, uint64_t limit, uint64_t filename)
{
	struct encoder part = { .size = 0 };

	put_int(&part, 1, id);
	put_int(&part, 2, start);
	put_int(&part, 3, limit);
	put_int(&part, 5, filename);
	put_message(e, 3, &part);
}

static inline void put_location(struct encoder *e, uint64_t id, uint64_t mapping_id,
	uint64_t address, uint64_t function_id)
{
	struct encoder line = { .size = 0 };
	struct encoder part = { .size = 0 };

	put_int(&line, 1, function_id);
	put_int(&line, 2, 7);
	put_int(&part, 1, id);
	put_int(&part, 2, mapping_id);
	put_int(&part, 3, address);
	put_message(&part, 4, &line);
	put_message(e, 4, &part);
}

static inline void put_function(struct encoder *e, uint64_t id, uint64_t name)
{
	struct encoder part = { .size = 0 };

	put_int(&part, 1, id);
	put_int(&part, 2, name);
	put_message(e, 5, &part);
}

/* "", cpu, nanoseconds, decode, codec.so; one sample type; nothing measured. */
enum { TEXT_NONE, TEXT_CPU, TEXT_NANOSECONDS, TEXT_DECODE, TEXT_CODEC_SO, TEXT_COUNT };

static inline struct encoder encoded_header(void)
{
	struct encoder e = { .size = 0 };

	put_text(&e, 6, "");
	put_text(&e, 6, "cpu");
	put_text(&e, 6, "nanoseconds");
	put_text(&e, 6, "decode");
	put_text(&e, 6, "codec.so");
	put_sample_type(&e, TEXT_CPU, TEXT_NANOSECONDS);
	return e;
}

/* The same with one sample of one frame, and ids as given. */
static inline struct encoder encoded_profile(
	uint64_t mapping_id, uint64_t function_id, uint64_t location_id)
{
	struct encoder e = encoded_header();

	put_mapping(&e, mapping_id, 0x1000, 0x2000, TEXT_CODEC_SO);
	put_function(&e, function_id, TEXT_DECODE);
	put_location(&e, location_id, mapping_id, 0x1234, function_id);
	put_sample(&e, location_id, 10);
	return e;
}

#endif
