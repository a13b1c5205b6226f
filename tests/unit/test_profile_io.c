#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/xalloc.h"
#include "pprof/profile_io.h"
#include "run_suite.h"
#include "unit/test_profile_encoder.h"

#define GZIP_WINDOW_BITS (15 + 16)

/* SIZE bytes gzipped, into a buffer of CAPACITY that has room for them. */
static size_t gzip(const void *data, size_t size, uint8_t *out, size_t capacity)
{
	z_stream z = { .next_in = (Bytef *)data, .avail_in = (uInt)size };

	z.next_out = out;
	z.avail_out = (uInt)capacity;
	deflateInit2(&z, 9, Z_DEFLATED, GZIP_WINDOW_BITS, 8, Z_DEFAULT_STRATEGY);
	ck_assert_int_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
	deflateEnd(&z);
	return z.total_out;
}

static struct profile *load_bytes(const void *data, size_t size)
{
	struct profile *p = NULL;
	char *why = NULL;
	int r = profile_load(data, size, &p, &why);

	ck_assert_msg(r == 0, "refused: %s", why ? why : strerror(-r));
	ck_assert_ptr_null(why);
	return p;
}

static struct profile *load(const struct encoder *e)
{
	return load_bytes(e->data, e->size);
}

/* Refused, in one line that has EXPECTED in it; nothing else changes. */
static void assert_refused_bytes(const void *data, size_t size, const char *expected)
{
	struct profile *p = NULL;
	char *why = NULL;

	ck_assert_int_eq(profile_load(data, size, &p, &why), -EBADMSG);
	ck_assert_ptr_null(p);
	ck_assert_ptr_nonnull(why);
	ck_assert_msg(strstr(why, expected), "\"%s\" does not say \"%s\"", why, expected);
	ck_assert_ptr_null(strchr(why, '\n'));
	free(why);
	ck_assert_int_eq(profile_load(data, size, &p, NULL), -EBADMSG);
}

static void assert_refused(const struct encoder *e, const char *expected)
{
	assert_refused_bytes(e->data, e->size, expected);
}

static struct profile *round_trip(const struct profile *p)
{
	struct profile *loaded;
	uint8_t *data;
	size_t size;

	profile_pack(p, &data, &size);
	loaded = load_bytes(data, size);
	free(data);
	return loaded;
}

/* All that a profile can hold. */
static struct profile *full_profile(void)
{
	struct profile *p = profile_new();
	struct profile_mapping host = { .start = 0x400000,
		.limit = 0x500000,
		.file_offset = 0x1000,
		.has_functions = true,
		.has_line_numbers = true };
	struct profile_mapping plugin = { .start = 0x7f0000000000,
		.limit = 0x7f0000004000,
		.has_filenames = true,
		.has_inline_frames = true };
	struct profile_line lines[2] = { { .line = 12, .column = 3 }, { .line = 40 } };
	struct profile_label labels[2] = { { .num = 0 }, { .num = -4096 } };
	const int64_t values[] = { 3, INT64_MIN };
	uint32_t stack[2];

	profile_add_sample_type(p, "samples", "count");
	profile_add_sample_type(p, "cpu", "nanoseconds");
	host.filename = profile_intern(p, "/bin/host");
	plugin.filename = profile_intern(p, "/lib/codec.so");
	plugin.build_id = profile_intern(p, "ab12cd");
	profile_add_mapping(p, &host);
	profile_add_mapping(p, &plugin);
	lines[0].function_id = profile_add_function(p, "clamp", "_Z5clampi", "clamp.h", 10);
	lines[1].function_id = profile_add_function(p, "decode", "_Z6decodev", "codec.cc", 30);
	stack[0] = profile_add_location(p, 2, 0x7f0000000123, lines, 2);
	stack[1] = profile_add_location(p, 1, UINT64_MAX, NULL, 0);
	p->locations.items[0].is_folded = true;
	labels[0].key = profile_intern(p, "plugin");
	labels[0].str = profile_intern(p, "codec.so");
	labels[1].key = profile_intern(p, "size");
	labels[1].num_unit = profile_intern(p, "bytes");
	profile_add_sample(p, stack, 2, values, labels, 2);
	profile_add_comment(p, "host --serve");
	profile_add_comment(p, "0 lost");
	p->drop_frames = profile_intern(p, "malloc");
	p->keep_frames = profile_intern(p, "mallocator");
	p->default_sample_type = profile_intern(p, "cpu");
	p->doc_url = profile_intern(p, "https://example.org/");
	p->time_ns = 1700000000000000000;
	p->duration_ns = 2000000000;
	p->period_type.type = profile_intern(p, "cpu");
	p->period_type.unit = profile_intern(p, "nanoseconds");
	p->period = 10000000;
	return p;
}

#define CK_STRING(p, id, expected) ck_assert_str_eq(profile_string(p, id), expected)

START_TEST(a_written_profile_reads_back_whole)
{
	struct profile *written = full_profile();
	struct profile *p = round_trip(written);
	const struct profile_sample *s = &p->samples.items[0];
	const struct profile_location *leaf = &p->locations.items[0];
	const struct profile_line *line = &p->lines.items[leaf->first_line];
	const struct profile_label *label = &p->labels.items[s->first_label];

	profile_free(written);
	ck_assert_uint_eq(p->sample_types.count, 2);
	CK_STRING(p, p->sample_types.items[1].type, "cpu");
	CK_STRING(p, p->sample_types.items[1].unit, "nanoseconds");
	ck_assert_uint_eq(p->samples.count, 1);
	ck_assert_uint_eq(s->location_count, 2);
	ck_assert_uint_eq(p->sample_locations.items[0], 1);
	ck_assert_uint_eq(p->sample_locations.items[1], 2);
	ck_assert_int_eq(p->values.items[0], 3);
	ck_assert_int_eq(p->values.items[1], INT64_MIN);
	ck_assert_uint_eq(s->label_count, 2);
	CK_STRING(p, label[0].key, "plugin");
	CK_STRING(p, label[0].str, "codec.so");
	CK_STRING(p, label[1].key, "size");
	ck_assert_uint_eq(label[1].str, 0);
	ck_assert_int_eq(label[1].num, -4096);
	CK_STRING(p, label[1].num_unit, "bytes");

	ck_assert_uint_eq(p->mappings.count, 2);
	CK_STRING(p, p->mappings.items[0].filename, "/bin/host");
	ck_assert_uint_eq(p->mappings.items[0].start, 0x400000);
	ck_assert_uint_eq(p->mappings.items[0].limit, 0x500000);
	ck_assert_uint_eq(p->mappings.items[0].file_offset, 0x1000);
	ck_assert(p->mappings.items[0].has_functions);
	ck_assert(!p->mappings.items[0].has_filenames);
	ck_assert(p->mappings.items[0].has_line_numbers);
	ck_assert(p->mappings.items[1].has_filenames);
	ck_assert(p->mappings.items[1].has_inline_frames);
	CK_STRING(p, p->mappings.items[1].build_id, "ab12cd");

	ck_assert_uint_eq(p->locations.count, 2);
	ck_assert_uint_eq(leaf->mapping_id, 2);
	ck_assert_uint_eq(leaf->address, 0x7f0000000123);
	ck_assert(leaf->is_folded);
	ck_assert_uint_eq(leaf->line_count, 2);
	ck_assert_int_eq(line[0].line, 12);
	ck_assert_int_eq(line[0].column, 3);
	ck_assert_int_eq(line[1].line, 40);
	CK_STRING(p, p->functions.items[line[0].function_id - 1].name, "clamp");
	CK_STRING(p, p->functions.items[line[1].function_id - 1].system_name, "_Z6decodev");
	CK_STRING(p, p->functions.items[line[1].function_id - 1].filename, "codec.cc");
	ck_assert_int_eq(p->functions.items[line[1].function_id - 1].start_line, 30);
	ck_assert_uint_eq(p->locations.items[1].address, UINT64_MAX);
	ck_assert_uint_eq(p->locations.items[1].line_count, 0);

	ck_assert_uint_eq(p->comments.count, 2);
	CK_STRING(p, p->comments.items[1], "0 lost");
	CK_STRING(p, p->drop_frames, "malloc");
	CK_STRING(p, p->keep_frames, "mallocator");
	CK_STRING(p, p->default_sample_type, "cpu");
	CK_STRING(p, p->doc_url, "https://example.org/");
	ck_assert_int_eq(p->time_ns, 1700000000000000000);
	ck_assert_int_eq(p->duration_ns, 2000000000);
	CK_STRING(p, p->period_type.type, "cpu");
	CK_STRING(p, p->period_type.unit, "nanoseconds");
	ck_assert_int_eq(p->period, 10000000);
	profile_free(p);
}
END_TEST

START_TEST(the_same_profile_gives_the_same_bytes)
{
	struct profile *p = full_profile();
	struct profile *again = round_trip(p);
	uint8_t *data, *data_again;
	size_t size, size_again;

	profile_pack(p, &data, &size);
	profile_pack(again, &data_again, &size_again);
	ck_assert_uint_eq(size, size_again);
	ck_assert_mem_eq(data, data_again, size);
	/* RFC 1952: magic, deflate, no flags, no time */
	ck_assert_mem_eq(data, "\x1f\x8b\x08\x00\x00\x00\x00\x00", 8);
	free(data);
	free(data_again);
	profile_free(p);
	profile_free(again);
}
END_TEST

START_TEST(the_first_string_in_the_file_is_empty_and_the_time_is_there_once)
{
	struct profile *p = full_profile();
	uint8_t plain[4096], *data;
	z_stream z = { .next_out = plain, .avail_out = sizeof(plain) };
	size_t size, string_count = 0, time_count = 0;
	struct bytes b;

	profile_pack(p, &data, &size);
	z.next_in = data;
	z.avail_in = (uInt)size;
	inflateInit2(&z, GZIP_WINDOW_BITS);
	ck_assert_int_eq(inflate(&z, Z_FINISH), Z_STREAM_END);
	inflateEnd(&z);
	b = bytes_over(plain, z.total_out);
	while (bytes_left(&b) > 0) {
		uint64_t tag = bytes_uleb128(&b);
		uint64_t value_or_size = bytes_uleb128(&b);

		if (tag == (6 << 3 | 2) && string_count++ == 0)
			ck_assert_uint_eq(value_or_size, 0);
		time_count += tag == (9 << 3 | 0);
		if ((tag & 7) == 2)
			bytes_skip(&b, value_or_size);
	}
	ck_assert(bytes_ok(&b));
	ck_assert_uint_eq(string_count, p->strings.count);
	ck_assert_uint_eq(time_count, 1);
	free(data);
	profile_free(p);
}
END_TEST

/* COUNT samples with a stack each, their value their number, in turn of 3 plugins. */
static struct profile *profile_of_samples(size_t count)
{
	struct profile *p = profile_new();

	profile_add_sample_type(p, "samples", "count");
	profile_add_sample_type(p, "cpu", "nanoseconds");
	for (size_t i = 0; i < count; i++) {
		const int64_t values[] = { 2, (int64_t)i };
		struct profile_label label = { .key = profile_intern(p, "plugin") };
		uint32_t id = profile_add_location(p, 0, i + 1, NULL, 0);
		char plugin[8];

		snprintf(plugin, sizeof(plugin), "%zu.so", i % 3);
		label.str = profile_intern(p, plugin);
		profile_add_sample(p, &id, 1, values, &label, 1);
	}
	return p;
}

START_TEST(sixteen_thousand_samples_are_written_as_they_are)
{
	struct profile *written = profile_of_samples(16000);
	struct profile *p = round_trip(written);

	ck_assert_uint_eq(p->samples.count, 16000);
	ck_assert_uint_eq(p->locations.count, 16000);
	profile_free(written);
	profile_free(p);
}
END_TEST

START_TEST(of_more_samples_the_smallest_are_folded_and_the_totals_are_exact)
{
	const int64_t count = 40000;
	struct profile *written = profile_of_samples((size_t)count);
	struct profile *p = round_trip(written);
	int64_t sums[2] = { 0, 0 };

	ck_assert_uint_eq(written->samples.count, 40000); /* untouched */
	ck_assert_uint_eq(p->samples.count, 16000);
	for (size_t i = 0; i < p->samples.count; i++)
		for (size_t type = 0; type < 2; type++)
			sums[type] += p->values.items[p->samples.items[i].first_value + type];
	ck_assert_int_eq(sums[0], 2 * count);
	ck_assert_int_eq(sums[1], count * (count - 1) / 2);
	/* Three plugins: three frames "(truncated)", which are one location. */
	ck_assert_uint_eq(p->locations.count, 16000 - 3 + 1);
	ck_assert_uint_eq(p->functions.count, 1);
	CK_STRING(p, p->functions.items[0].name, "(truncated)");
	profile_free(written);
	profile_free(p);
}
END_TEST

START_TEST(a_plain_protobuf_loads_as_a_gzipped_one_does)
{
	struct encoder e = encoded_profile(1, 1, 1);
	uint8_t gzipped[8192];
	size_t size = gzip(e.data, e.size, gzipped, sizeof(gzipped));
	struct profile *plain = load(&e);
	struct profile *p = load_bytes(gzipped, size);

	ck_assert_uint_eq(plain->samples.count, 1);
	ck_assert_uint_eq(p->samples.count, 1);
	CK_STRING(p, p->functions.items[0].name, "decode");
	CK_STRING(p, p->mappings.items[0].filename, "codec.so");
	profile_free(plain);
	profile_free(p);
}
END_TEST

START_TEST(a_gzip_file_of_two_members_is_their_contents_in_turn)
{
	struct encoder e = encoded_profile(1, 1, 1);
	uint8_t gzipped[8192];
	size_t size = gzip(e.data, 20, gzipped, sizeof(gzipped));
	struct profile *p;

	size += gzip(e.data + 20, e.size - 20, gzipped + size, sizeof(gzipped) - size);
	p = load_bytes(gzipped, size);
	ck_assert_uint_eq(p->samples.count, 1);
	profile_free(p);
}
END_TEST

START_TEST(sparse_ids_become_dense_in_table_order)
{
	struct encoder e = encoded_header();
	struct profile *p;

	put_mapping(&e, 900, 0x1000, 0x2000, TEXT_CODEC_SO);
	put_mapping(&e, 2, 0x1000, 0x2000, TEXT_CODEC_SO);
	put_function(&e, UINT64_MAX, TEXT_DECODE);
	put_function(&e, 1, TEXT_CPU);
	put_location(&e, UINT64_MAX, 900, 0x1234, 1);
	put_location(&e, 7, 2, 0x1234, UINT64_MAX);
	put_sample(&e, 7, 10);
	put_sample(&e, UINT64_MAX, 20);
	p = load(&e);
	ck_assert_uint_eq(p->mappings.count, 2);
	ck_assert_uint_eq(p->locations.items[0].mapping_id, 1);
	ck_assert_uint_eq(p->locations.items[1].mapping_id, 2);
	ck_assert_uint_eq(p->lines.items[0].function_id, 2);
	ck_assert_uint_eq(p->lines.items[1].function_id, 1);
	CK_STRING(p, p->functions.items[0].name, "decode");
	ck_assert_uint_eq(p->sample_locations.items[0], 2);
	ck_assert_uint_eq(p->sample_locations.items[1], 1);
	profile_free(p);
}
END_TEST

START_TEST(locations_that_only_their_lines_tell_apart_stay_apart)
{
	struct encoder e = encoded_header();
	struct profile *p;

	put_mapping(&e, 1, 0, 0, TEXT_CODEC_SO);
	put_function(&e, 1, TEXT_DECODE);
	put_function(&e, 2, TEXT_CPU);
	put_location(&e, 1, 1, 0, 1);
	put_location(&e, 2, 1, 0, 2);
	put_sample(&e, 1, 10);
	put_sample(&e, 2, 20);
	p = load(&e);
	ck_assert_uint_eq(p->locations.count, 2);
	ck_assert_uint_eq(p->samples.count, 2);
	profile_free(p);
}
END_TEST

static struct encoder with_stack_of_three(bool is_packed)
{
	static const uint8_t ids[] = { 3, 2, 1 }, values[] = { 10 };
	struct encoder e = encoded_header();
	struct encoder sample = { .size = 0 };

	put_function(&e, 1, TEXT_DECODE);
	for (uint64_t id = 1; id <= 3; id++)
		put_location(&e, id, 0, id, 1);
	if (is_packed) {
		put_blob(&sample, 1, ids, sizeof(ids));
		put_blob(&sample, 2, values, sizeof(values));
	} else {
		for (size_t i = 0; i < ARRAY_SIZE(ids); i++)
			put_int(&sample, 1, ids[i]);
		put_int(&sample, 2, values[0]);
	}
	put_message(&e, 2, &sample);
	return e;
}

START_TEST(repeated_numbers_load_packed_and_one_by_one)
{
	struct encoder e = with_stack_of_three(_i);
	struct profile *p = load(&e);

	ck_assert_uint_eq(p->samples.items[0].location_count, 3);
	ck_assert_uint_eq(p->sample_locations.items[0], 3);
	ck_assert_uint_eq(p->sample_locations.items[2], 1);
	ck_assert_int_eq(p->values.items[0], 10);
	profile_free(p);
}
END_TEST

START_TEST(fields_of_a_later_schema_are_skipped)
{
	struct encoder e = encoded_profile(1, 1, 1);
	struct profile *p;

	put_int(&e, 77, 5);
	put_text(&e, 78, "later");
	put_varint(&e, 79 << 3 | 1);
	put_bytes(&e, "12345678", 8);
	put_varint(&e, 80 << 3 | 5);
	put_bytes(&e, "1234", 4);
	p = load(&e);
	ck_assert_uint_eq(p->samples.count, 1);
	profile_free(p);
}
END_TEST

START_TEST(what_pprof_takes_is_taken)
{
	struct encoder e = encoded_header();
	struct encoder label = { .size = 0 }, sample = { .size = 0 };
	struct profile *p = load(&e); /* a sample type, no samples */

	ck_assert_uint_eq(p->samples.count, 0);
	profile_free(p);

	put_function(&e, 1, TEXT_DECODE);
	put_mapping(&e, 1, 0x1000, 0x2000, TEXT_CODEC_SO);
	put_location(&e, 1, 99, 0x1234, 1); /* a mapping that is not there */
	put_location(&e, 2, 1, 0x9999, 1); /* an address outside the mapping */
	put_sample(&e, 1, 1);
	put_sample(&e, 2, 1);
	put_int(&sample, 2, 1); /* an empty stack, and a label twice: as text and as number */
	put_int(&label, 1, TEXT_CPU);
	put_int(&label, 2, TEXT_DECODE);
	put_message(&sample, 3, &label);
	label.size = 0;
	put_int(&label, 1, TEXT_CPU);
	put_int(&label, 3, 42);
	put_message(&sample, 3, &label);
	put_message(&e, 2, &sample);
	p = load(&e);
	ck_assert_uint_eq(p->samples.count, 3);
	ck_assert_uint_eq(p->locations.items[0].mapping_id, 0);
	ck_assert_uint_eq(p->locations.items[1].mapping_id, 1);
	ck_assert_uint_eq(p->samples.items[2].location_count, 0);
	ck_assert_uint_eq(p->samples.items[2].label_count, 2);
	profile_free(p);
}
END_TEST

START_TEST(a_string_that_is_not_utf8_is_repaired)
{
	struct encoder e = encoded_profile(1, 1, 1);
	struct profile *p;

	put_text(&e, 6, "caf\xe9");
	put_function(&e, 2, TEXT_COUNT);
	p = load(&e);
	CK_STRING(p, p->functions.items[1].name, "caf\xef\xbf\xbd");
	profile_free(p);
}
END_TEST

START_TEST(an_empty_input_is_refused)
{
	assert_refused_bytes("", 0, "empty");
	assert_refused_bytes(NULL, 0, "empty");
}
END_TEST

START_TEST(what_is_no_profile_is_refused)
{
	static const char html[] = "<html><body>404 page not found</body></html>";
	static const char other[] = "heap profile: 1: 2 [3: 4] @ growthz\n";

	assert_refused_bytes(html, strlen(html), "not a pprof profile");
	assert_refused_bytes(other, strlen(other), "heap profile of a kind that is not known");
	assert_refused_bytes("\x1f", 1, "not a pprof profile");
}
END_TEST

static const char old_maps[] =
	"401000-402000 r-xp 1000 08:01 42 /opt/app/host\n"
	"403000-404000 rw-p 3000 08:01 42 /opt/app/host\n"
	"7f0000001000-7f0000003000 r-xp 1000 08:01 43 /opt/app/a codec.so\n";

/* Five ticks at one stack, two at another, both through the handler, then the trailer. */
static size_t put_old_cpu_profile(uint8_t *to)
{
	static const uint64_t words[] = { 0, 3, 0, 10000, 0, /* header: 100 Hz */
		5, 3, 0x7f0000001234, 0x401300, 0x401500, 2, 3, 0x401600, 0x401300, 0x401700, 0, 1,
		0 };

	memcpy(to, words, sizeof(words));
	memcpy(to + sizeof(words), old_maps, strlen(old_maps));
	return sizeof(words) + strlen(old_maps);
}

static uint64_t address_of(const struct profile *p, size_t sample, size_t frame)
{
	const uint32_t id = p->sample_locations.items[p->samples.items[sample].first_location +
		frame];

	return p->locations.items[id - 1].address;
}

START_TEST(a_cpu_profile_of_gperftools_is_read_as_pprof_reads_it)
{
	uint8_t data[512];
	const size_t size = put_old_cpu_profile(data);
	struct profile *p;

	ck_assert_int_eq(profile_load(data, size, &p, NULL), 0);
	ck_assert_uint_eq(p->samples.count, 2);
	ck_assert_int_eq(p->values.items[0], 5);
	ck_assert_int_eq(p->values.items[1], 50000000);
	ck_assert_int_eq(p->period, 10000000);
	ck_assert_uint_eq(p->samples.items[0].location_count, 2); /* without the handler */
	ck_assert_uint_eq(address_of(p, 0, 0), 0x7f0000001234);
	ck_assert_uint_eq(address_of(p, 0, 1), 0x401500 - 1);
	ck_assert_uint_eq(p->mappings.count, 2);
	ck_assert_str_eq(profile_string(p, p->mappings.items[1].filename),
		"/opt/app/a codec.so");
	ck_assert_uint_eq(p->mappings.items[1].file_offset, 0x1000);
	profile_free(p);
	/* Its maps may be cut short; a stack may not. */
	for (size_t cut = 24; cut < 17 * 8; cut++)
		ck_assert_int_eq(profile_load(data, cut, &p, NULL), -EBADMSG);
}
END_TEST

/* Its second stack is seen by two threads; the leaf of both is jemalloc's own. */
START_TEST(a_heap_of_jemalloc_is_scaled_and_its_own_frames_are_dropped)
{
	static const char heap[] = "heap_v2/524288\n"
		"  t*: 3: 6144 [%s]\n"
		"  t0: 3: 6144 [0: 0]\n"
		"@ 0x7001 0x2001\n"
		"  t*: 1: 2048 [%s]\n"
		"  t0: 1: 2048 [0: 0]\n"
		"@ 0x7011 0x7021 0x2002 0x2101\n"
		"  t*: 2: 4096 [0: 0]\n"
		"  t0: 1: 2048 [0: 0]\n"
		"  t1: 1: 2048 [0: 0]\n"
		"\nMAPPED_LIBRARIES:\n"
		"2000-3000 r-xp 00001000 fe:00 1 /bin/host\n"
		"7000-8000 r-xp 00001000 fe:00 2 /usr/lib/libjemalloc.so.2\n";
	const double scale = 1 / (1 - exp(-2048.0 / 524288));
	const size_t types = _i ? 4 : 2;
	struct profile *p;
	const struct profile_location *leaf;
	const int64_t *values;
	char text[1024];

	snprintf(text, sizeof(text), heap, _i ? "9: 9000" : "0: 0", _i ? "4: 8192" : "0: 0");
	ck_assert_int_eq(profile_load((const uint8_t *)text, strlen(text), &p, NULL), 0);
	ck_assert_uint_eq(p->sample_types.count, types);
	ck_assert_uint_eq(p->samples.count, 2);
	ck_assert_uint_eq(p->samples.items[0].location_count, 1);
	ck_assert_uint_eq(p->samples.items[1].location_count, 2);
	leaf = &p->locations.items
			[p->sample_locations.items[p->samples.items[1].first_location] - 1];
	ck_assert_uint_eq(leaf->address, 0x2001);
	values = &p->values.items[p->samples.items[1].first_value];
	ck_assert_int_eq(values[types - 2], (int64_t)(2 * scale));
	ck_assert_int_eq(values[types - 1], (int64_t)(4096 * scale));
	values = &p->values.items[p->samples.items[0].first_value];
	if (_i)
		ck_assert_int_eq(values[1], (int64_t)(8192 * scale));
	ck_assert_str_eq(profile_string(p, p->sample_types.items[types - 1].type), "inuse_space");
	ck_assert_int_eq(p->period, 524288);
	profile_free(p);
}
END_TEST

START_TEST(a_damaged_heap_of_jemalloc_is_refused)
{
	static const char *const heaps[] = { "heap_v2/x\n", "heap_v2/0\n", "heap_v2/-1\n",
		"heap_v2/1\n t*: 1: 2 [0: 0]\n t*: 1: 2 [0: 0]\n",
		"heap_v2/1\n t*: 1: 2 [0: 0]\n@ 0x1 x\n", "heap_v2/1\n t*: 1: -2 [0: 0]\n",
		"heap_v2/1\nwhat\n" };

	assert_refused_bytes(
		heaps[_i], strlen(heaps[_i]), "heap profile of jemalloc: this line of it is");
}
END_TEST

START_TEST(a_sampled_heap_of_gperftools_is_scaled)
{
	static const char heap[] = "heap profile: 2: 4096 [5: 9000] @ heap_v2/524288\n"
				   "  1: 1024 [ 3: 3072] @ 0x401501 0x401601\n"
				   "MAPPED_LIBRARIES:\n401000-402000 r-xp 1000 08:01 42 /host\n";
	struct profile *p;

	ck_assert_int_eq(profile_load((const uint8_t *)heap, strlen(heap), &p, NULL), 0);
	ck_assert_uint_eq(p->samples.count, 1);
	/* 1 / (1 - e^(-1024/524288)) = 512.5 blocks for each that was sampled */
	ck_assert_int_eq(p->values.items[0], 1537);
	ck_assert_int_eq(p->values.items[2], 512);
	ck_assert_int_eq(p->values.items[3], 524800);
	ck_assert_uint_eq(address_of(p, 0, 0), 0x401500);
	ck_assert_int_eq(p->period, 524288);
	profile_free(p);
}
END_TEST

START_TEST(every_beginning_of_a_profile_loads_or_is_refused)
{
	struct encoder e = encoded_profile(1, 1, 1);

	for (size_t size = 0; size < e.size; size++) {
		uint8_t *exact = malloc(size + 1); /* so that a sanitizer sees one byte more */
		struct profile *p = NULL;
		char *why = NULL;

		memcpy(exact + 1, e.data, size);
		ck_assert_int_eq(
			profile_load(exact + 1, size, &p, &why) == 0, p != NULL);
		ck_assert((p != NULL) != (why != NULL));
		profile_free(p);
		free(why);
		free(exact);
	}
}
END_TEST

START_TEST(a_truncated_gzip_is_refused_wherever_it_ends)
{
	struct encoder e = encoded_profile(1, 1, 1);
	uint8_t gzipped[8192];
	size_t size = gzip(e.data, e.size, gzipped, sizeof(gzipped));

	for (size_t left = 2; left < size; left++)
		assert_refused_bytes(gzipped, left, "decompressing");
}
END_TEST

START_TEST(a_damaged_gzip_is_refused)
{
	struct encoder e = encoded_profile(1, 1, 1);
	uint8_t gzipped[8192];
	size_t size = gzip(e.data, e.size, gzipped, sizeof(gzipped) - 4);

	gzipped[size - 6] ^= 1; /* the checksum */
	assert_refused_bytes(gzipped, size, "decompressing: incorrect data check");
	gzipped[size - 6] ^= 1;
	memcpy(gzipped + size, "tail", 4);
	assert_refused_bytes(gzipped, size + 4, "decompressing");
}
END_TEST

START_TEST(a_gzip_bomb_stops_at_the_limit)
{
	const size_t member_plain = 16 << 20;
	const size_t member_count = PROFILE_SIZE_MAX / member_plain + 1;
	uint8_t *zeros = xcalloc(member_plain, 1);
	uint8_t *member = xmalloc(member_plain);
	size_t size = gzip(zeros, member_plain, member, member_plain);
	uint8_t *bomb = xmalloc(size * member_count); /* 1 MiB */
	struct profile *p = NULL;
	char *why = NULL;

	for (size_t i = 0; i < member_count; i++)
		memcpy(bomb + i * size, member, size);
	ck_assert_int_eq(profile_load(bomb, size * member_count, &p, &why), -EFBIG);
	ck_assert_ptr_null(p);
	ck_assert_ptr_null(why);
	free(zeros);
	free(member);
	free(bomb);
}
END_TEST

/* Empty samples are 2 bytes in the file and a hundred in memory. */
START_TEST(a_message_bomb_stops_at_the_limit)
{
	const size_t size = 64 << 20;
	uint8_t *bomb = xmalloc(size);
	struct profile *p = NULL;

	for (size_t i = 0; i < size; i += 2) {
		bomb[i] = 2 << 3 | 2;
		bomb[i + 1] = 0;
	}
	ck_assert_int_eq(profile_load(bomb, size, &p, NULL), -EFBIG);
	ck_assert_ptr_null(p);
	free(bomb);
}
END_TEST

START_TEST(a_string_table_that_does_not_begin_with_the_empty_string_is_refused)
{
	struct encoder e = { .size = 0 };

	put_text(&e, 6, "cpu");
	put_text(&e, 6, "");
	put_sample_type(&e, 0, 1);
	assert_refused(&e, "string_table[0] is not empty");
}
END_TEST

START_TEST(a_profile_without_strings_is_refused)
{
	struct encoder e = { .size = 0 };

	put_sample_type(&e, 0, 0);
	assert_refused(&e, "no string table");
}
END_TEST

static void index_in_sample_type(struct encoder *e, uint64_t index)
{
	put_sample_type(e, TEXT_CPU, index);
}

static void index_in_period_type(struct encoder *e, uint64_t index)
{
	struct encoder part = { .size = 0 };

	put_int(&part, 1, index);
	put_message(e, 11, &part);
}

static void index_in_mapping(struct encoder *e, uint64_t index)
{
	put_mapping(e, 5, 0, 0, index);
}

static void index_in_build_id(struct encoder *e, uint64_t index)
{
	struct encoder part = { .size = 0 };

	put_int(&part, 1, 5);
	put_int(&part, 6, index);
	put_message(e, 3, &part);
}

static void index_in_function(struct encoder *e, uint64_t index)
{
	put_function(e, 5, index);
}

static void index_in_label(struct encoder *e, unsigned int field, uint64_t index)
{
	struct encoder label = { .size = 0 }, sample = { .size = 0 };

	put_int(&label, field, index);
	put_int(&sample, 2, 1);
	put_message(&sample, 3, &label);
	put_message(e, 2, &sample);
}

static void index_in_label_key(struct encoder *e, uint64_t index)
{
	index_in_label(e, 1, index);
}

static void index_in_label_text(struct encoder *e, uint64_t index)
{
	index_in_label(e, 2, index);
}

static void index_in_label_unit(struct encoder *e, uint64_t index)
{
	index_in_label(e, 4, index);
}

static void index_in_comment(struct encoder *e, uint64_t index)
{
	put_int(e, 13, index);
}

static void index_in_drop_frames(struct encoder *e, uint64_t index)
{
	put_int(e, 7, index);
}

static void index_in_doc_url(struct encoder *e, uint64_t index)
{
	put_int(e, 15, index);
}

static const struct {
	void (*put)(struct encoder *e, uint64_t index);
	const char *record;
} index_cases[] = {
	{ index_in_sample_type, "sample type 2: its unit" },
	{ index_in_period_type, "period_type" },
	{ index_in_mapping, "mapping 2: its filename" },
	{ index_in_build_id, "mapping 2: its build_id" },
	{ index_in_function, "function 2: its name" },
	{ index_in_label_key, "sample 2: its label's key" },
	{ index_in_label_text, "sample 2: its label's text" },
	{ index_in_label_unit, "sample 2: its label's unit" },
	{ index_in_comment, "comment 1" },
	{ index_in_drop_frames, "drop_frames" },
	{ index_in_doc_url, "doc_url" },
};

START_TEST(a_string_index_out_of_range_is_refused_with_its_record)
{
	struct encoder e = encoded_profile(1, 1, 1);
	struct encoder negative = e;

	index_cases[_i].put(&e, TEXT_COUNT);
	assert_refused(&e, index_cases[_i].record);
	assert_refused(&e, "string 5, and there are 5");
	index_cases[_i].put(&negative, (uint64_t)-1);
	assert_refused(&negative, index_cases[_i].record);
	assert_refused(&negative, "string -1, and");
}
END_TEST

START_TEST(a_sample_with_more_or_fewer_values_than_types_is_refused)
{
	struct encoder e = encoded_profile(1, 1, 1);
	struct encoder more = e, sample = { .size = 0 };

	put_sample_type(&e, TEXT_CPU, TEXT_NANOSECONDS);
	assert_refused(&e, "sample 1: it has 1 values, and there are 2 sample types");
	put_int(&sample, 2, 1);
	put_int(&sample, 2, 1);
	put_message(&more, 2, &sample);
	assert_refused(&more, "sample 2: it has 2 values, and there are 1 sample types");
}
END_TEST

START_TEST(a_sample_at_a_location_that_is_not_there_is_refused)
{
	struct encoder e = encoded_profile(1, 1, 1);
	struct encoder zero = e;

	put_sample(&e, 99, 1);
	assert_refused(&e, "sample 2: no location has id 99");
	put_sample(&zero, 0, 1);
	assert_refused(&zero, "sample 2: no location has id 0");
}
END_TEST

START_TEST(the_reserved_id_0_is_refused)
{
	struct encoder e = encoded_profile(1, 1, 1);
	struct encoder in_function = e, in_location = e;

	put_mapping(&e, 0, 0, 0, 0);
	assert_refused(&e, "mapping 2 has the reserved id 0");
	put_function(&in_function, 0, TEXT_CPU);
	assert_refused(&in_function, "function 2 has the reserved id 0");
	put_location(&in_location, 0, 1, 0x1235, 1);
	assert_refused(&in_location, "location 2 has the reserved id 0");
}
END_TEST

START_TEST(an_id_given_twice_is_refused)
{
	struct encoder e = encoded_profile(1, 1, 1);
	struct encoder in_function = e, in_location = e;

	put_mapping(&e, 1, 0, 0, 0);
	assert_refused(&e, "more than one mapping has id 1");
	put_function(&in_function, 1, TEXT_DECODE);
	assert_refused(&in_function, "more than one function has id 1");
	put_location(&in_location, 1, 1, 0x1234, 1);
	assert_refused(&in_location, "more than one location has id 1");
}
END_TEST

START_TEST(a_line_of_a_function_that_is_not_there_is_refused)
{
	struct encoder e = encoded_profile(1, 1, 1);
	struct encoder zero = e;

	put_location(&e, 2, 1, 0x1235, 99);
	assert_refused(&e, "location 2: no function has id 99");
	put_location(&zero, 2, 1, 0x1235, 0);
	assert_refused(&zero, "location 2: no function has id 0");
}
END_TEST

START_TEST(samples_without_a_type_and_a_profile_of_nothing_are_refused)
{
	struct encoder e = { .size = 0 };
	struct encoder empty_sample = { .size = 0 };

	put_text(&e, 6, "");
	assert_refused(&e, "neither sample types nor samples");
	put_message(&e, 2, &empty_sample);
	assert_refused(&e, "samples but no sample types");
}
END_TEST

START_TEST(two_profiles_in_one_file_are_refused)
{
	struct encoder e = encoded_profile(1, 1, 1);

	put_int(&e, 9, 1700000000);
	profile_free(load(&e));
	put_int(&e, 9, 1700000001);
	assert_refused(&e, "two profiles in one file");
}
END_TEST

static TCase *writing_tests(void)
{
	TCase *tests = tcase_create("pack");

	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, a_written_profile_reads_back_whole);
	tcase_add_test(tests, the_same_profile_gives_the_same_bytes);
	tcase_add_test(
		tests, the_first_string_in_the_file_is_empty_and_the_time_is_there_once);
	tcase_add_test(tests, sixteen_thousand_samples_are_written_as_they_are);
	tcase_add_test(
		tests, of_more_samples_the_smallest_are_folded_and_the_totals_are_exact);
	return tests;
}

static TCase *reading_tests(void)
{
	TCase *tests = tcase_create("load");

	tcase_add_test(tests, a_plain_protobuf_loads_as_a_gzipped_one_does);
	tcase_add_test(tests, a_gzip_file_of_two_members_is_their_contents_in_turn);
	tcase_add_test(tests, sparse_ids_become_dense_in_table_order);
	tcase_add_test(tests, locations_that_only_their_lines_tell_apart_stay_apart);
	tcase_add_loop_test(tests, repeated_numbers_load_packed_and_one_by_one, 0, 2);
	tcase_add_test(tests, fields_of_a_later_schema_are_skipped);
	tcase_add_test(tests, what_pprof_takes_is_taken);
	tcase_add_test(tests, a_string_that_is_not_utf8_is_repaired);
	return tests;
}

static TCase *refusing_tests(void)
{
	TCase *tests = tcase_create("refuse");

	tcase_set_timeout(tests, 120); /* the bombs take their time under sanitizers */
	tcase_add_test(tests, an_empty_input_is_refused);
	tcase_add_test(tests, what_is_no_profile_is_refused);
	tcase_add_test(tests, a_cpu_profile_of_gperftools_is_read_as_pprof_reads_it);
	tcase_add_test(tests, a_sampled_heap_of_gperftools_is_scaled);
	tcase_add_loop_test(
		tests, a_heap_of_jemalloc_is_scaled_and_its_own_frames_are_dropped, 0, 2);
	tcase_add_loop_test(tests, a_damaged_heap_of_jemalloc_is_refused, 0, 7);
	tcase_add_test(tests, every_beginning_of_a_profile_loads_or_is_refused);
	tcase_add_test(tests, a_truncated_gzip_is_refused_wherever_it_ends);
	tcase_add_test(tests, a_damaged_gzip_is_refused);
	tcase_add_test(tests, a_gzip_bomb_stops_at_the_limit);
	tcase_add_test(tests, a_message_bomb_stops_at_the_limit);
	tcase_add_test(tests,
		a_string_table_that_does_not_begin_with_the_empty_string_is_refused);
	tcase_add_test(tests, a_profile_without_strings_is_refused);
	tcase_add_loop_test(tests, a_string_index_out_of_range_is_refused_with_its_record, 0,
		ARRAY_SIZE(index_cases));
	tcase_add_test(tests, a_sample_with_more_or_fewer_values_than_types_is_refused);
	tcase_add_test(tests, a_sample_at_a_location_that_is_not_there_is_refused);
	tcase_add_test(tests, the_reserved_id_0_is_refused);
	tcase_add_test(tests, an_id_given_twice_is_refused);
	tcase_add_test(tests, a_line_of_a_function_that_is_not_there_is_refused);
	tcase_add_test(tests, samples_without_a_type_and_a_profile_of_nothing_are_refused);
	tcase_add_test(tests, two_profiles_in_one_file_are_refused);
	return tests;
}

int main(void)
{
	Suite *suite = suite_create("profile_io");

	suite_add_tcase(suite, writing_tests());
	suite_add_tcase(suite, reading_tests());
	suite_add_tcase(suite, refusing_tests());
	return run_suite(suite);
}
