/* From a file's bytes to the message in it. */
#define _GNU_SOURCE
#include "pprof/profile_message.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/bytes.h"
#include "base/xalloc.h"
#include "pprof/profile_io.h"

#define GZIP_WINDOW_BITS (15 + 16) /* 16: gzip, nothing else */
#define FIELD_TIME_NANOS 9

/* A byte of a message may become a hundred in memory: what protobuf-c takes is bounded. */
struct budget {
	size_t left;
	bool is_exceeded;
};

static void *budget_take(void *context, size_t size)
{
	struct budget *budget = context;
	void *memory = NULL;

	if (size <= budget->left)
		memory = malloc(size ? size : 1);
	if (memory)
		budget->left -= size;
	else
		budget->is_exceeded = true;
	return memory;
}

static void budget_give(void *context, void *memory)
{
	free(memory);
}

/* Is there more than one time in this message?  Two files in one read as a merged message
 * otherwise: that is what concatenating means in protobuf. */
static bool is_concatenated(const uint8_t *data, size_t size)
{
	static const uint8_t wire_sizes[8] = { [1] = 8, [5] = 4 };
	struct bytes b = bytes_over(data, size);
	bool has_time = false;

	while (bytes_left(&b) > 0) {
		uint64_t tag = bytes_uleb128(&b);
		unsigned int wire_type = tag & 7;

		if (wire_type == 0) {
			uint64_t value = bytes_uleb128(&b);

			if (tag >> 3 != FIELD_TIME_NANOS)
				continue;
			if (has_time)
				return true;
			has_time = value != 0;
		} else if (wire_type == 2) {
			bytes_skip(&b, bytes_uleb128(&b));
		} else if (!bytes_skip(&b, wire_sizes[wire_type]) || !wire_sizes[wire_type]) {
			return false; /* no protobuf: the unpacker says so */
		}
	}
	return false;
}

static int open_plain(
	const uint8_t *data, size_t size, struct profile_message *ret, char **why)
{
	struct budget budget = { .left = PROFILE_UNPACKED_MAX };
	ProtobufCAllocator allocator = { budget_take, budget_give, &budget };

	if (size == 0) {
		*why = xstrdup("it is empty");
		return -EBADMSG;
	}
	if (is_concatenated(data, size)) {
		*why = xstrdup("time_nanos is there twice: these are two profiles in one file");
		return -EBADMSG;
	}
	ret->size = size;
	ret->profile = perftools__profiles__profile__unpack(&allocator, size, data);
	if (ret->profile)
		return 0;
	if (budget.is_exceeded)
		return -EFBIG;
	*why = xstrdup("not a pprof profile: it does not parse as profile.proto");
	return -EBADMSG;
}

void profile_message_close(struct profile_message *m)
{
	ProtobufCAllocator allocator = { budget_take, budget_give, NULL };

	perftools__profiles__profile__free_unpacked(m->profile, &allocator);
}

struct plain {
	uint8_t *data;
	size_t size, capacity;
};

/* Inflate until the output is full, the input is used up or a gzip member ends. */
static int inflate_step(z_stream *z, const uint8_t *in_end, struct plain *plain)
{
	size_t in_left = (size_t)(in_end - z->next_in);
	size_t room;
	int r;

	if (plain->size == plain->capacity) {
		plain->capacity *= 2;
		plain->data = xreallocarray(plain->data, plain->capacity, 1);
	}
	room = plain->capacity - plain->size;
	z->avail_in = in_left > UINT_MAX ? UINT_MAX : (uInt)in_left;
	z->next_out = plain->data + plain->size;
	z->avail_out = room > UINT_MAX ? UINT_MAX : (uInt)room;
	r = inflate(z, Z_NO_FLUSH);
	plain->size = (size_t)(z->next_out - plain->data);
	return r;
}

/* A gzip file may have several members: their contents follow each other. */
static int gunzip(const uint8_t *data, size_t size, struct plain *plain, char **why)
{
	z_stream z = { .next_in = (Bytef *)data };
	const uint8_t *end = data + size;
	int r = inflateInit2(&z, GZIP_WINDOW_BITS);

	if (r != Z_OK)
		return -ENOMEM;
	do {
		r = inflate_step(&z, end, plain);
		if (r == Z_STREAM_END && z.next_in < end)
			r = inflateReset(&z);
	} while (r == Z_OK && plain->size <= PROFILE_SIZE_MAX);
	if (plain->size > PROFILE_SIZE_MAX) {
		r = -EFBIG;
	} else if (r == Z_STREAM_END) {
		r = 0;
	} else {
		*why = r == Z_BUF_ERROR ? xstrdup("decompressing: its end is missing") :
					  xasprintf("decompressing: %s",
						  z.msg ? z.msg : "it is damaged");
		r = -EBADMSG;
	}
	inflateEnd(&z);
	return r;
}

static int open_gzipped(
	const uint8_t *data, size_t size, struct profile_message *ret, char **why)
{
	struct plain plain = { .capacity = 65536 };
	int r;

	plain.data = xmalloc(plain.capacity);
	r = gunzip(data, size, &plain, why);
	if (r == 0)
		r = open_plain(plain.data, plain.size, ret, why);
	free(plain.data);
	return r;
}

int profile_message_open(
	const uint8_t *data, size_t size, struct profile_message *ret, char **why)
{
	if (size > PROFILE_SIZE_MAX)
		return -EFBIG;
	ret->is_gzipped = size >= 2 && data[0] == 0x1f && data[1] == 0x8b;
	return ret->is_gzipped ? open_gzipped(data, size, ret, why)
			       : open_plain(data, size, ret, why);
}
