/* The model as a profile.proto message (protobuf-c), and that gzipped. */
#include "pprof/profile_io.h"

#include <limits.h>
#include <stdlib.h>
#include <zlib.h>

#include "base/xalloc.h"
#include "proto/profile.pb-c.h"

#define SAMPLE_COUNT_MAX 16000
#define GZIP_LEVEL 5 /* a quarter less time than zlib's 6, for 2 % more bytes */
#define GZIP_WINDOW_BITS (15 + 16) /* 16: a gzip header, which zlib writes without a time */
#define BLOCK_SIZE ((size_t)256 << 10)

/* The message tree is thousands of small parts that live and die together. */
struct arena {
	VEC(char *) blocks;
	size_t used, capacity; /* of the last block */
};

static void *arena_take(struct arena *a, size_t count, size_t size)
{
	size_t wanted = (count * size + 15) & ~(size_t)15;

	if (a->capacity - a->used < wanted) {
		a->capacity = wanted > BLOCK_SIZE ? wanted : BLOCK_SIZE;
		a->used = 0;
		*VEC_PUSH(&a->blocks) = xmalloc(a->capacity);
	}
	a->used += wanted;
	return a->blocks.items[a->blocks.count - 1] + a->used - wanted;
}

static void arena_free(struct arena *a)
{
	for (size_t i = 0; i < a->blocks.count; i++)
		free(a->blocks.items[i]);
	VEC_FREE(&a->blocks);
}

static Perftools__Profiles__ValueType *pack_value_type(
	struct arena *a, struct profile_value_type from)
{
	Perftools__Profiles__ValueType *to = arena_take(a, 1, sizeof(*to));

	perftools__profiles__value_type__init(to);
	to->type = from.type;
	to->unit = from.unit;
	return to;
}

static Perftools__Profiles__Label *pack_label(
	struct arena *a, const struct profile_label *from)
{
	Perftools__Profiles__Label *to = arena_take(a, 1, sizeof(*to));

	perftools__profiles__label__init(to);
	to->key = from->key;
	to->str = from->str;
	to->num = from->num;
	to->num_unit = from->num_unit;
	return to;
}

static Perftools__Profiles__Sample *pack_sample(
	struct arena *a, const struct profile *p, const struct profile_sample *from)
{
	Perftools__Profiles__Sample *to = arena_take(a, 1, sizeof(*to));

	perftools__profiles__sample__init(to);
	to->n_location_id = from->location_count;
	to->location_id = arena_take(a, from->location_count, sizeof(*to->location_id));
	for (uint32_t i = 0; i < from->location_count; i++)
		to->location_id[i] = p->sample_locations.items[from->first_location + i];
	to->n_value = p->sample_types.count;
	to->value = p->values.items + from->first_value;
	to->n_label = from->label_count;
	to->label = arena_take(a, from->label_count, sizeof(*to->label));
	for (uint32_t i = 0; i < from->label_count; i++)
		to->label[i] = pack_label(a, &p->labels.items[from->first_label + i]);
	return to;
}

static Perftools__Profiles__Mapping *pack_mapping(
	struct arena *a, const struct profile_mapping *from, uint64_t id)
{
	Perftools__Profiles__Mapping *to = arena_take(a, 1, sizeof(*to));

	perftools__profiles__mapping__init(to);
	to->id = id;
	to->memory_start = from->start;
	to->memory_limit = from->limit;
	to->file_offset = from->file_offset;
	to->filename = from->filename;
	to->build_id = from->build_id;
	to->has_functions = from->has_functions;
	to->has_filenames = from->has_filenames;
	to->has_line_numbers = from->has_line_numbers;
	to->has_inline_frames = from->has_inline_frames;
	return to;
}

static Perftools__Profiles__Line *pack_line(struct arena *a, const struct profile_line *from)
{
	Perftools__Profiles__Line *to = arena_take(a, 1, sizeof(*to));

	perftools__profiles__line__init(to);
	to->function_id = from->function_id;
	to->line = from->line;
	to->column = from->column;
	return to;
}

static Perftools__Profiles__Location *pack_location(
	struct arena *a, const struct profile *p, uint32_t id)
{
	const struct profile_location *from = &p->locations.items[id - 1];
	Perftools__Profiles__Location *to = arena_take(a, 1, sizeof(*to));

	perftools__profiles__location__init(to);
	to->id = id;
	to->mapping_id = from->mapping_id;
	to->address = from->address;
	to->is_folded = from->is_folded;
	to->n_line = from->line_count;
	to->line = arena_take(a, from->line_count, sizeof(*to->line));
	for (uint32_t i = 0; i < from->line_count; i++)
		to->line[i] = pack_line(a, &p->lines.items[from->first_line + i]);
	return to;
}

static Perftools__Profiles__Function *pack_function(
	struct arena *a, const struct profile_function *from, uint64_t id)
{
	Perftools__Profiles__Function *to = arena_take(a, 1, sizeof(*to));

	perftools__profiles__function__init(to);
	to->id = id;
	to->name = from->name;
	to->system_name = from->system_name;
	to->filename = from->filename;
	to->start_line = from->start_line;
	return to;
}

static void pack_tables(
	struct arena *a, const struct profile *p, Perftools__Profiles__Profile *to)
{
	to->n_sample_type = p->sample_types.count;
	to->sample_type = arena_take(a, to->n_sample_type, sizeof(*to->sample_type));
	for (size_t i = 0; i < to->n_sample_type; i++)
		to->sample_type[i] = pack_value_type(a, p->sample_types.items[i]);
	to->n_sample = p->samples.count;
	to->sample = arena_take(a, to->n_sample, sizeof(*to->sample));
	for (size_t i = 0; i < to->n_sample; i++)
		to->sample[i] = pack_sample(a, p, &p->samples.items[i]);
	to->n_mapping = p->mappings.count;
	to->mapping = arena_take(a, to->n_mapping, sizeof(*to->mapping));
	for (size_t i = 0; i < to->n_mapping; i++)
		to->mapping[i] = pack_mapping(a, &p->mappings.items[i], i + 1);
	to->n_location = p->locations.count;
	to->location = arena_take(a, to->n_location, sizeof(*to->location));
	for (size_t i = 0; i < to->n_location; i++)
		to->location[i] = pack_location(a, p, (uint32_t)i + 1);
	to->n_function = p->functions.count;
	to->function = arena_take(a, to->n_function, sizeof(*to->function));
	for (size_t i = 0; i < to->n_function; i++)
		to->function[i] = pack_function(a, &p->functions.items[i], i + 1);
	to->n_string_table = p->strings.count;
	to->string_table = p->strings.items;
	to->n_comment = p->comments.count;
	to->comment = arena_take(a, to->n_comment, sizeof(*to->comment));
	for (size_t i = 0; i < to->n_comment; i++)
		to->comment[i] = p->comments.items[i];
}

static Perftools__Profiles__Profile *pack_message(struct arena *a, const struct profile *p)
{
	Perftools__Profiles__Profile *to = arena_take(a, 1, sizeof(*to));

	perftools__profiles__profile__init(to);
	pack_tables(a, p, to);
	to->drop_frames = p->drop_frames;
	to->keep_frames = p->keep_frames;
	to->time_nanos = p->time_ns;
	to->duration_nanos = p->duration_ns;
	to->period_type = pack_value_type(a, p->period_type);
	to->period = p->period;
	to->default_sample_type = p->default_sample_type;
	to->doc_url = p->doc_url;
	return to;
}

static voidpf zlib_take(voidpf context, uInt count, uInt size)
{
	return xcalloc(count, size);
}

static void zlib_give(voidpf context, voidpf memory)
{
	free(memory);
}

/* Cannot fail: memory is had or the tool exits, and there is room for all. */
static void gzip(const uint8_t *plain, size_t plain_size, uint8_t **data, size_t *size)
{
	z_stream z = { .zalloc = zlib_take, .zfree = zlib_give };
	const uint8_t *in_end = plain + plain_size;
	size_t bound;
	uint8_t *out;
	int r;

	deflateInit2(
		&z, GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW_BITS, MAX_MEM_LEVEL, Z_DEFAULT_STRATEGY);
	bound = deflateBound(&z, plain_size);
	out = xmalloc(bound);
	z.next_in = (Bytef *)plain;
	z.next_out = out;
	do { /* zlib counts in unsigned int */
		size_t in_left = (size_t)(in_end - z.next_in);
		size_t out_left = bound - (size_t)(z.next_out - out);

		z.avail_in = in_left > UINT_MAX ? UINT_MAX : (uInt)in_left;
		z.avail_out = out_left > UINT_MAX ? UINT_MAX : (uInt)out_left;
		r = deflate(&z, z.avail_in == in_left ? Z_FINISH : Z_NO_FLUSH);
	} while (r == Z_OK);
	*size = (size_t)(z.next_out - out);
	*data = out;
	deflateEnd(&z);
}

void profile_pack(const struct profile *p, uint8_t **data, size_t *size)
{
	struct profile *folded = NULL;
	struct arena arena = { .used = 0 };
	Perftools__Profiles__Profile *message;
	uint8_t *plain;
	size_t plain_size;

	if (p->samples.count > SAMPLE_COUNT_MAX) {
		folded = profile_clone(p);
		profile_fold(folded, SAMPLE_COUNT_MAX);
	}
	message = pack_message(&arena, folded ? folded : p);
	plain_size = perftools__profiles__profile__get_packed_size(message);
	plain = xmalloc(plain_size);
	perftools__profiles__profile__pack(message, plain);
	arena_free(&arena);
	profile_free(folded);
	gzip(plain, plain_size, data, size);
	free(plain);
}
