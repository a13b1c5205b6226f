/* A symbolizer for every test, and libraries that know the truth about their own addresses
 * (places.h of the fixtures). */
#ifndef TESTS_SYMBOLIZER_FIXTURE_H
#define TESTS_SYMBOLIZER_FIXTURE_H

#include <check.h>
#include <string.h>

#include "../fixtures/build_fixture.h"
#include "symbol/binary.h"
#include "symbol/symbolizer.h"

static struct symbolizer *symbolizer;
static const char *debug_folders[2];

static inline void start(void)
{
	static struct symbolizer_options options = { .debug_folders = debug_folders };

	fixture_run("rm -rf debug");
	debug_folders[0] = fixture_path("debug");
	symbolizer = symbolizer_new(&options);
}

static inline void stop(void)
{
	symbolizer_free(symbolizer);
}

static inline void build_plugins(void)
{
	fixture_begin();
	fixture_run("cp $FIXTURES/plugin.c $FIXTURES/plugin.cc $FIXTURES/places.h .");
	fixture_run("$CC -O2 -g -shared -fPIC -Wl,--build-id plugin.c -o plugin.so");
	fixture_run("$CC -O2 -g -shared -fPIC -Wl,--build-id -DREBUILT plugin.c -o other.so");
	fixture_run("$CXX -O2 -g -shared -fPIC plugin.cc -o plugin_cc.so");
}

static inline struct build_id build_id_of(const char *name)
{
	struct build_id id;
	struct binary *b = NULL;

	ck_assert_int_eq(binary_open(fixture_path(name), &b), 0);
	id = *binary_build_id(b);
	binary_close(b);
	return id;
}

static inline struct symbol_module *module_of(const char *name)
{
	return symbolizer_module(symbolizer, fixture_path(name), NULL);
}

static inline struct symbol_frames resolve(struct symbol_module *m, uint64_t vaddr)
{
	struct symbol_frames frames;

	symbolizer_resolve(symbolizer, m, vaddr, &frames);
	ck_assert_uint_ge(frames.count, 1);
	for (size_t i = 0; i < frames.count; i++) {
		ck_assert(frames.frames[i].name && frames.frames[i].name[0]);
		ck_assert(frames.frames[i].system_name && frames.frames[i].system_name[0]);
		ck_assert_ptr_nonnull(frames.frames[i].file);
	}
	return frames;
}

static inline void assert_frame(const struct symbol_frame *frame, const char *name, int line)
{
	ck_assert_str_eq(frame->name, name);
	ck_assert_str_eq(frame->file, fixture_path("plugin.c"));
	ck_assert_int_eq(frame->line, line);
	ck_assert_uint_gt(frame->start_line, 0);
	ck_assert_int_le(frame->start_line, line);
}

static inline void assert_verdict(const struct symbol_module *m, enum symbol_verdict verdict)
{
	ck_assert_msg(symbol_module_verdict(m) == verdict, "verdict %s: %s",
		symbol_verdict_word(symbol_module_verdict(m)), symbol_module_reason(m));
}

/* "no debug file for build-ID ab12cd34ef56..." must be searchable: the whole start of it. */
static inline void assert_reason_has_id(const struct symbol_module *m, const struct build_id *id)
{
	char hex[BUILD_ID_HEX_SIZE];

	build_id_to_hex(id, hex);
	hex[12] = '\0';
	ck_assert_msg(strstr(symbol_module_reason(m), hex) != NULL, "no %s in: %s", hex,
		symbol_module_reason(m));
}

/* At VADDR of M is PLACE, of plugin_inlined(). */
static inline struct symbol_frames assert_chain(
	struct symbol_module *m, uint64_t vaddr, const struct place *place)
{
	static const char *const names[] = { "innermost", "middle", "plugin_inlined" };
	const struct symbol_frames frames = resolve(m, vaddr);

	assert_verdict(m, VERDICT_DWARF);
	ck_assert(frames.resolved);
	ck_assert_uint_eq(frames.count, 3);
	for (size_t i = 0; i < frames.count; i++)
		assert_frame(&frames.frames[i], names[i], place->lines[i]);
	return frames;
}

#endif
