/*
 * Profiles for stock go tool pprof to read.
 *
 *     write_profiles FOLDER       named.pb.gz, same_address.pb.gz, folded.pb.gz
 *     write_profiles IN OUT       IN, as we load it, written again
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "base/file.h"
#include "base/xalloc.h"
#include "pprof/profile_io.h"

enum { HOST = 1, CODEC, AUDIO };

static struct profile *cpu_profile(void)
{
	struct profile *p = profile_new();

	profile_add_sample_type(p, "samples", "count");
	profile_add_sample_type(p, "cpu", "nanoseconds");
	p->period_type = p->sample_types.items[1];
	p->period = 10000000;
	p->time_ns = 1700000000000000000;
	p->duration_ns = 2000000000;
	return p;
}

static uint32_t add_mapping(
	struct profile *p, const char *filename, const char *build_id, uint64_t start)
{
	struct profile_mapping mapping = {
		.start = start,
		.limit = start + 0x4000,
		.file_offset = 0x1000,
		.filename = profile_intern(p, filename),
		.build_id = profile_intern(p, build_id),
		.has_functions = true,
		.has_filenames = true,
		.has_line_numbers = true,
		.has_inline_frames = true,
	};

	return profile_add_mapping(p, &mapping);
}

static struct profile_line named_line(
	struct profile *p, const char *name, const char *filename, int64_t line)
{
	return (struct profile_line){
		.function_id = profile_add_function(p, name, name, filename, 1), .line = line };
}

static void add_sample(struct profile *p, uint32_t leaf, uint32_t root, int64_t milliseconds,
	const char *plugin)
{
	const uint32_t stack[] = { leaf, root };
	const int64_t values[] = { milliseconds / 10, milliseconds * 1000000 };
	struct profile_label label = { .key = profile_intern(p, "plugin") };

	label.str = profile_intern(p, plugin);
	profile_add_sample(p, stack, ARRAY_SIZE(stack), values, &label, 1);
}

/* clamp() inlined into decode() of codec.so, mix() of audio.so, both called by main(). */
static struct profile *named_profile(void)
{
	struct profile *p = cpu_profile();
	struct profile_line lines[2];
	uint32_t root, codec, audio;

	add_mapping(p, "/gone/bin/host", "aa11", 0x400000);
	add_mapping(p, "/gone/lib/codec.so", "bb22", 0x7f0000000000);
	add_mapping(p, "/gone/lib/audio.so", "cc33", 0x7f0000100000);
	lines[0] = named_line(p, "main", "host.c", 70);
	root = profile_add_location(p, HOST, 0x400123, lines, 1);
	lines[0] = named_line(p, "clamp", "clamp.h", 12);
	lines[1] = named_line(p, "decode", "codec.c", 34);
	codec = profile_add_location(p, CODEC, 0x7f0000000456, lines, 2);
	lines[0] = named_line(p, "mix_caf\xe9", "audio.c", 56);
	audio = profile_add_location(p, AUDIO, 0x7f0000100789, lines, 1);
	add_sample(p, codec, root, 700, "codec.so");
	add_sample(p, audio, root, 300, "audio.so");
	profile_add_comment(p, "written by the test");
	return p;
}

/* codec.so was unloaded, audio.so came to the same place, and the same pc was hit in both. */
static struct profile *same_address_profile(void)
{
	struct profile *p = cpu_profile();
	struct profile_line line;
	uint32_t root, codec, audio;

	add_mapping(p, "/gone/bin/host", "aa11", 0x400000);
	add_mapping(p, "/gone/lib/codec.so", "bb22", 0x7f0000000000);
	add_mapping(p, "/gone/lib/audio.so", "cc33", 0x7f0000000000);
	line = named_line(p, "main", "host.c", 70);
	root = profile_add_location(p, HOST, 0x400123, &line, 1);
	line = named_line(p, "decode", "codec.c", 34);
	codec = profile_add_location(p, CODEC, 0x7f0000000456, &line, 1);
	line = named_line(p, "audio.so!0x1456", "", 0);
	audio = profile_add_location(p, AUDIO, 0x7f0000000456, &line, 1);
	add_sample(p, codec, root, 600, "codec.so");
	add_sample(p, audio, root, 400, "audio.so");
	return p;
}

/* 20 000 stacks of 10 ms: more than are written. */
static struct profile *folded_profile(void)
{
	struct profile *p = cpu_profile();
	struct profile_line line;
	uint32_t root;

	add_mapping(p, "/gone/bin/host", "aa11", 0x400000);
	line = named_line(p, "main", "host.c", 70);
	root = profile_add_location(p, HOST, 0x400123, &line, 1);
	line = named_line(p, "work", "host.c", 80);
	for (uint64_t i = 0; i < 20000; i++)
		add_sample(p, profile_add_location(p, HOST, 0x401000 + i, &line, 1), root, 10,
			i % 2 ? "codec.so" : "audio.so");
	return p;
}

static int write_profile(struct profile *p, const char *path)
{
	uint8_t *data;
	size_t size;
	int r;

	profile_pack(p, &data, &size);
	r = file_replace(path, data, size);
	if (r)
		fprintf(stderr, "%s: %s\n", path, strerror(-r));
	free(data);
	profile_free(p);
	return r;
}

static int write_again(const char *in, const char *out)
{
	struct file_bytes bytes;
	struct profile *p;
	char *why = NULL;
	int r = file_map(in, &bytes);

	if (r == 0) {
		r = profile_load(bytes.data, bytes.size, &p, &why);
		file_unmap(&bytes);
	}
	if (r)
		fprintf(stderr, "%s: %s\n", in, why ? why : strerror(-r));
	free(why);
	return r ? r : write_profile(p, out);
}

static int write_all(const char *folder)
{
	static const struct {
		const char *name;
		struct profile *(*make)(void);
	} profiles[] = {
		{ "named", named_profile },
		{ "same_address", same_address_profile },
		{ "folded", folded_profile },
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(profiles); i++) {
		char *path = xasprintf("%s/%s.pb.gz", folder, profiles[i].name);

		r = write_profile(profiles[i].make(), path);
		free(path);
	}
	return r;
}

int main(int argc, char **argv)
{
	if (argc == 2)
		return write_all(argv[1]) ? EXIT_FAILURE : EXIT_SUCCESS;
	if (argc == 3)
		return write_again(argv[1], argv[2]) ? EXIT_FAILURE : EXIT_SUCCESS;
	fprintf(stderr, "usage: write_profiles FOLDER | IN OUT\n");
	return 2;
}
