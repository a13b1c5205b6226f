/*
 * Makes tests/fuzz/corpus/profile: `make_profile_corpus FOLDER`.  good-* load here and in
 * go tool pprof, bad-* in neither: tests/e2e/pprof_reads_our_profiles.sh holds that.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

#include "base/compiler.h"
#include "unit/test_profile_encoder.h"

static void make_gzipped(struct encoder *e)
{
	struct encoder plain = *e;
	z_stream z = { .next_in = plain.data, .avail_in = (uInt)plain.size };

	z.next_out = e->data;
	z.avail_out = sizeof(e->data);
	if (deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK ||
		deflate(&z, Z_FINISH) != Z_STREAM_END)
		abort();
	e->size = z.total_out;
	deflateEnd(&z);
}

static void make_torn_gzip(struct encoder *e)
{
	make_gzipped(e);
	e->size -= 12;
}

static void make_html(struct encoder *e)
{
	static const char page[] = "<html><body>404 page not found</body></html>\n";

	e->size = 0;
	put_bytes(e, page, strlen(page));
}

static void make_torn(struct encoder *e)
{
	e->size -= 1;
}

static void make_plain(struct encoder *e)
{
}

static void add_packed_sample(struct encoder *e)
{
	static const uint8_t ids[] = { 1, 1, 1 }, values[] = { 20 };
	struct encoder sample = { .size = 0 };

	put_blob(&sample, 1, ids, sizeof(ids));
	put_blob(&sample, 2, values, sizeof(values));
	put_message(e, 2, &sample);
}

static void add_sparse_ids(struct encoder *e)
{
	put_mapping(e, 1000000, 0x1000, 0x2000, TEXT_CODEC_SO);
	put_function(e, UINT64_MAX, TEXT_CPU);
	put_location(e, UINT64_MAX, 1000000, 0x1235, UINT64_MAX);
	put_sample(e, UINT64_MAX, 20);
}

static void add_labels(struct encoder *e)
{
	struct encoder sample = { .size = 0 }, text = { .size = 0 }, number = { .size = 0 };

	put_int(&text, 1, TEXT_CPU);
	put_int(&text, 2, TEXT_CODEC_SO);
	put_int(&number, 1, TEXT_DECODE);
	put_int(&number, 3, 4096);
	put_int(&number, 4, TEXT_NANOSECONDS);
	put_int(&sample, 1, 1);
	put_int(&sample, 2, 20);
	put_message(&sample, 3, &text);
	put_message(&sample, 3, &number);
	put_message(e, 2, &sample);
}

static void add_header_fields(struct encoder *e)
{
	struct encoder period_type = { .size = 0 };

	put_int(&period_type, 1, TEXT_CPU);
	put_int(&period_type, 2, TEXT_NANOSECONDS);
	put_message(e, 11, &period_type);
	put_int(e, 7, TEXT_DECODE);
	put_int(e, 8, TEXT_CODEC_SO);
	put_int(e, 9, 1700000000000000000);
	put_int(e, 10, 2000000000);
	put_int(e, 12, 10000000);
	put_int(e, 13, TEXT_DECODE);
	put_int(e, 14, TEXT_CPU);
	put_int(e, 77, 5); /* of a later schema */
}

static void add_text_that_is_not_utf8(struct encoder *e)
{
	put_text(e, 6, "caf\xe9");
	put_function(e, 2, TEXT_COUNT);
	put_location(e, 2, 1, 0x1236, 2);
	put_sample(e, 2, 30);
}

static void add_missing_mapping(struct encoder *e)
{
	put_location(e, 2, 99, 0x1235, 1);
	put_sample(e, 2, 20);
}

static void add_empty_stack(struct encoder *e)
{
	struct encoder sample = { .size = 0 };

	put_int(&sample, 2, 20);
	put_message(e, 2, &sample);
}

static void add_first_string(struct encoder *e)
{
	struct encoder rest = *e;

	e->size = 0;
	put_text(e, 6, "first");
	put_bytes(e, rest.data, rest.size);
}

static void add_string_index(struct encoder *e)
{
	put_function(e, 2, TEXT_COUNT);
}

static void add_negative_string_index(struct encoder *e)
{
	put_function(e, 2, (uint64_t)-1);
}

static void add_second_sample_type(struct encoder *e)
{
	put_sample_type(e, TEXT_CPU, TEXT_NANOSECONDS);
}

static void add_missing_location(struct encoder *e)
{
	put_sample(e, 99, 1);
}

static void add_missing_function(struct encoder *e)
{
	put_location(e, 2, 1, 0x1235, 99);
}

static void add_mapping_0(struct encoder *e)
{
	put_mapping(e, 0, 0, 0, 0);
}

static void add_function_0(struct encoder *e)
{
	put_function(e, 0, TEXT_CPU);
}

static void add_location_0(struct encoder *e)
{
	put_location(e, 0, 1, 0x1235, 1);
}

static void add_mapping_again(struct encoder *e)
{
	put_mapping(e, 1, 0, 0, 0);
}

static void add_function_again(struct encoder *e)
{
	put_function(e, 1, TEXT_DECODE);
}

static void add_location_again(struct encoder *e)
{
	put_location(e, 1, 1, 0x1234, 1);
}

static void add_time_twice(struct encoder *e)
{
	put_int(e, 9, 1700000000000000000);
	put_int(e, 9, 1700000000000000000);
}

/* As plugprof's own: what plugprof plugins reads. */
static void add_lives(struct encoder *e)
{
	enum { TEXT_PLUGIN = TEXT_COUNT, TEXT_ONE, TEXT_TWO };
	struct encoder sample = { .size = 0 }, label = { .size = 0 };

	put_text(e, 6, "plugin");
	put_text(e, 6,
		"#plugprof life\taa\t/p/codec.so\t0\t1\t9\t8\t2\t5\t99\t2\t0\t7:1:2,8:3:4,9:5:");
	put_text(e, 6,
		"#plugprof life\t\t/p/codec.so\tfedcba98\t1\t1000\t1000\t0\t5\t991\t9\t28\t1:1:2");
	put_int(e, 13, TEXT_ONE);
	put_int(e, 13, TEXT_TWO);
	put_int(&label, 1, TEXT_PLUGIN);
	put_int(&label, 2, TEXT_CODEC_SO);
	put_int(&sample, 1, 1);
	put_int(&sample, 2, 20);
	put_message(&sample, 3, &label);
	put_message(e, 2, &sample);
}

static void make_header_only(struct encoder *e)
{
	*e = encoded_header();
}

static void make_nothing(struct encoder *e)
{
	e->size = 0;
	put_text(e, 6, "");
}

/* Each is the profile of one sample of one frame, changed. */
static const struct {
	const char *name;
	void (*change)(struct encoder *e);
} files[] = {
	{ "good-plain", make_plain },
	{ "good-gzipped", make_gzipped },
	{ "good-packed-numbers", add_packed_sample },
	{ "good-sparse-ids", add_sparse_ids },
	{ "good-labels", add_labels },
	{ "good-header-fields", add_header_fields },
	{ "good-not-utf8", add_text_that_is_not_utf8 },
	{ "good-missing-mapping", add_missing_mapping },
	{ "good-empty-stack", add_empty_stack },
	{ "good-lives", add_lives },
	{ "good-no-samples", make_header_only },
	{ "bad-nothing", make_nothing },
	{ "bad-torn", make_torn },
	{ "bad-torn-gzip", make_torn_gzip },
	{ "bad-html", make_html },
	{ "bad-first-string", add_first_string },
	{ "bad-string-index", add_string_index },
	{ "bad-negative-string-index", add_negative_string_index },
	{ "bad-value-count", add_second_sample_type },
	{ "bad-missing-location", add_missing_location },
	{ "bad-missing-function", add_missing_function },
	{ "bad-mapping-0", add_mapping_0 },
	{ "bad-function-0", add_function_0 },
	{ "bad-location-0", add_location_0 },
	{ "bad-mapping-twice", add_mapping_again },
	{ "bad-function-twice", add_function_again },
	{ "bad-location-twice", add_location_again },
	{ "bad-concatenated", add_time_twice },
};

static bool write_file(const char *folder, const char *name, const struct encoder *e)
{
	char path[4096];
	FILE *f;
	bool ok;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	f = fopen(path, "wb");
	if (!f)
		return false;
	ok = fwrite(e->data, 1, e->size, f) == e->size;
	return fclose(f) == 0 && ok;
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: make_profile_corpus FOLDER\n");
		return 2;
	}
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		struct encoder e = encoded_profile(1, 1, 1);

		files[i].change(&e);
		if (!write_file(argv[1], files[i].name, &e)) {
			perror(files[i].name);
			return EXIT_FAILURE;
		}
	}
	return EXIT_SUCCESS;
}
