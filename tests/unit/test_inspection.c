/* The facts that `plugprof doctor` judges, of libraries that the tests build themselves. */
#define _GNU_SOURCE
#include <check.h>
#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../fixtures/build_fixture.h"
#include "base/file.h"
#include "run_suite.h"
#include "symbol/inspection.h"
#include "symbol/library_closure.h"

static void build(void)
{
	fixture_begin();
	fixture_run("cp $FIXTURES/plugin.c $FIXTURES/places.h .");
	fixture_run("$CC -O2 -g -shared -fPIC -Wl,--build-id plugin.c -o plugin.so");
	fixture_run("echo 'int deep(void) { return 1; }' >deep.c && mkdir -p deps && "
		    "$CC -shared -fPIC -Wl,-soname,libdeep.so.1 deep.c -o deps/libdeep.so.1");
	fixture_run("echo 'int deep(void); int wide(void) { return deep(); }' >wide.c && "
		    "$CC -shared -fPIC -Wl,-soname,libwide.so.1 wide.c deps/libdeep.so.1 "
		    "-o deps/libwide.so.1");
	fixture_run("echo 'int wide(void); int from_host(void); "
		    "int top(void) { return wide() + from_host(); }' >top.c");
}

/* The library FLAGS of the linker make of top.c. */
static void build_top(const char *flags)
{
	fixture_run("$CC -shared -fPIC %s top.c -L deps -l:libwide.so.1 -o top.so "
		    "-Wl,--allow-shlib-undefined",
		flags);
}

static struct inspection *inspect(const char *name)
{
	struct inspection *in = NULL;
	const char *kind;

	ck_assert_int_eq(inspection_open(fixture_path(name), NULL, &in, &kind), 0);
	return in;
}

/* --- what kind of file --- */

static bool identify(const Elf64_Ehdr *header, size_t size, struct elf_identity *id)
{
	return elf_identify(bytes_over(header, size), id);
}

static Elf64_Ehdr header_of(uint8_t elf_class, uint8_t data, uint16_t type, uint16_t machine)
{
	Elf64_Ehdr header = { .e_type = type, .e_machine = machine };

	memcpy(header.e_ident, ELFMAG, SELFMAG);
	header.e_ident[EI_CLASS] = elf_class;
	header.e_ident[EI_DATA] = data;
	return header;
}

START_TEST(a_file_for_another_machine_says_which)
{
	Elf64_Ehdr header = header_of(ELFCLASS64, ELFDATA2LSB, ET_DYN, EM_AARCH64);
	struct elf_identity id;

	ck_assert(identify(&header, sizeof(header), &id));
	ck_assert(!id.readable);
	ck_assert_str_eq(id.machine, "AArch64");
	header = header_of(ELFCLASS32, ELFDATA2LSB, ET_DYN, EM_386);
	ck_assert(identify(&header, sizeof(header), &id));
	ck_assert(!id.readable);
	ck_assert_uint_eq(id.bits, 32);
	/* Big-endian: the numbers are the other way round. */
	header = header_of(ELFCLASS64, ELFDATA2MSB, ET_DYN << 8, EM_S390 << 8);
	ck_assert(identify(&header, sizeof(header), &id));
	ck_assert(!id.readable);
	ck_assert_int_eq(id.kind, ELF_KIND_LOADABLE);
	ck_assert_str_eq(id.machine, "S/390");
}
END_TEST

START_TEST(objects_and_cores_are_told_from_libraries)
{
	Elf64_Ehdr header = header_of(ELFCLASS64, ELFDATA2LSB, ET_CORE, EM_X86_64);
	struct elf_identity id;

	ck_assert(identify(&header, sizeof(header), &id));
	ck_assert_int_eq(id.kind, ELF_KIND_CORE);
	header.e_type = ET_REL;
	ck_assert(identify(&header, sizeof(header), &id));
	ck_assert_int_eq(id.kind, ELF_KIND_OBJECT);
	ck_assert(!identify(&header, 15, &id));
	ck_assert_ptr_nonnull(strstr(elf_foreign_kind(bytes_over("PK\3\4...", 7)), "zip"));
	ck_assert_str_eq(elf_foreign_kind(bytes_over("", 0)), "no ELF file");
}
END_TEST

START_TEST(a_file_that_was_cut_short_is_noticed)
{
	struct inspection *in;

	fixture_run("head -c 5000 plugin.so >torn.so");
	in = inspect("torn.so");
	ck_assert_uint_eq(in->identity.size, 5000);
	ck_assert_uint_gt(in->identity.expected_size, 5000);
	inspection_free(in);
	in = inspect("plugin.so");
	ck_assert_uint_eq(in->identity.expected_size, in->identity.size);
	inspection_free(in);
}
END_TEST

START_TEST(what_is_no_elf_file_says_what_it_is)
{
	struct inspection *in = NULL;
	const char *kind = NULL;

	fixture_run("printf '/* GNU ld script */' >script.so");
	ck_assert_int_eq(
		inspection_open(fixture_path("script.so"), NULL, &in, &kind), -ENOEXEC);
	ck_assert_ptr_nonnull(strstr(kind, "linker script"));
	ck_assert_int_eq(inspection_open(fixture_path("deps"), NULL, &in, &kind), -EISDIR);
	ck_assert_int_eq(inspection_open(fixture_path("gone"), NULL, &in, &kind), -ENOENT);
}
END_TEST

/* --- the dynamic section --- */

static bool needs_version(const struct dynamic *d, const char *library, const char *prefix)
{
	for (size_t i = 0; i < d->version_needs.count; i++)
		if (strcmp(d->version_needs.items[i].library, library) == 0 &&
			strncmp(d->version_needs.items[i].version, prefix, strlen(prefix)) == 0)
			return true;
	return false;
}

START_TEST(a_library_tells_what_it_needs)
{
	struct inspection *in;

	build_top("-Wl,-soname,top.so.1 -Wl,--enable-new-dtags,-rpath,'$ORIGIN/deps'");
	in = inspect("top.so");
	ck_assert_str_eq(in->dynamic.soname, "top.so.1");
	ck_assert_str_eq(in->dynamic.runpath, "$ORIGIN/deps");
	ck_assert_ptr_null(in->dynamic.rpath);
	ck_assert_str_eq(in->dynamic.needed.items[0], "libwide.so.1");
	ck_assert(dynamic_defines(&in->dynamic, "top"));
	ck_assert(!dynamic_defines(&in->dynamic, "wide"));
	ck_assert(!dynamic_is_program(&in->dynamic));
	ck_assert(!in->dynamic.executable_stack);
	inspection_free(in);
}
END_TEST

START_TEST(versions_are_those_of_the_library_they_come_from)
{
	struct inspection *in;

	fixture_run("echo 'int one(void) { return 1; }' >one.c && "
		    "echo 'V_1.0 { one; }; V_2.0 { } V_1.0;' >one.map && "
		    "$CC -shared -fPIC -Wl,-soname,libone.so -Wl,--version-script=one.map one.c "
		    "-o libone.so && "
		    "echo 'int one(void); int two(void) { return one(); }' >two.c && "
		    "$CC -shared -fPIC two.c libone.so -o two.so");
	in = inspect("libone.so");
	ck_assert(dynamic_has_version(&in->dynamic, "V_1.0"));
	ck_assert(dynamic_has_version(&in->dynamic, "V_2.0"));
	ck_assert(!dynamic_has_version(&in->dynamic, "V_3.0"));
	inspection_free(in);
	in = inspect("two.so");
	ck_assert(needs_version(&in->dynamic, "libone.so", "V_1.0"));
	ck_assert(!needs_version(&in->dynamic, "libone.so", "V_2.0"));
	inspection_free(in);
}
END_TEST

/* As after sstrip: the loader does not ask for section headers. */
START_TEST(without_section_headers_the_dynamic_section_is_the_same)
{
	struct inspection *in, *whole;
	struct dynamic_symbol symbol;
	size_t count = 0, whole_count = 0;

	build_top("-Wl,-rpath,'$ORIGIN/deps'");
	fixture_run("cp top.so sstripped.so && "
		    "printf '\\0\\0\\0\\0\\0\\0\\0\\0' | dd of=sstripped.so bs=1 seek=40 "
		    "conv=notrunc status=none && "
		    "printf '\\0\\0\\0\\0\\0\\0' | dd of=sstripped.so bs=1 seek=58 "
		    "conv=notrunc status=none");
	in = inspect("sstripped.so");
	whole = inspect("top.so");
	ck_assert_uint_eq(in->dynamic.needed.count, whole->dynamic.needed.count);
	ck_assert(dynamic_defines(&in->dynamic, "top"));
	while (dynamic_symbol_at(&in->dynamic, count, &symbol))
		count++;
	while (dynamic_symbol_at(&whole->dynamic, whole_count, &symbol))
		whole_count++;
	ck_assert_uint_eq(count, whole_count);
	inspection_free(in);
	inspection_free(whole);
}
END_TEST

START_TEST(what_may_be_refused_is_seen)
{
	struct inspection *in;

	fixture_run("echo '__thread char big[3000]; char *f(void) { return big; }' >tls.c && "
		    "$CC -shared -fPIC -ftls-model=initial-exec -z execstack tls.c -o tls.so");
	in = inspect("tls.so");
	ck_assert(in->dynamic.flags & DF_STATIC_TLS);
	ck_assert_uint_eq(in->dynamic.tls_size_bytes, 3000);
	ck_assert(in->dynamic.executable_stack);
	inspection_free(in);
}
END_TEST

/* --- where the loader would look --- */

START_TEST(tokens_in_a_search_path_are_replaced)
{
	char *text = loader_expand("$ORIGIN/x:${ORIGIN}/y:/a$b:$", "/nonexistent/here/z.so");

	ck_assert_str_eq(text,
		"/nonexistent/here/x:/nonexistent/here/y:/a$b:$");
	free(text);
}
END_TEST

START_TEST(a_runpath_holds_for_its_own_library_an_rpath_for_what_that_loads_too)
{
	struct closure closure = { .library_path = NULL };

	build_top("-Wl,--disable-new-dtags,-rpath,'$ORIGIN/deps'");
	ck_assert_ptr_nonnull(closure_add(&closure, fixture_path("top.so")));
	ck_assert_uint_eq(closure.missing.count, 0);
	ck_assert_ptr_nonnull(closure_find(&closure, "libdeep.so.1"));
	closure_free(&closure);

	/* libwide's own need is not found by top.so's RUNPATH: ld.so would fail, too. */
	build_top("-Wl,--enable-new-dtags,-rpath,'$ORIGIN/deps'");
	closure = (struct closure){ .library_path = NULL };
	closure_add(&closure, fixture_path("top.so"));
	ck_assert_uint_eq(closure.missing.count, 1);
	ck_assert_str_eq(closure.missing.items[0].name, "libdeep.so.1");
	ck_assert_str_eq(closure.missing.items[0].needed_by->name, "libwide.so.1");
	closure_free(&closure);

	/* What a program opens has its RPATH, too. */
	fixture_run("$CC -shared -fPIC wide.c deps/libdeep.so.1 -o plug.so && "
		    "$CC -shared -fPIC -Wl,--disable-new-dtags,-rpath,'$ORIGIN/deps' deep.c "
		    "-o program");
	closure = (struct closure){ .library_path = NULL };
	closure_add(&closure, fixture_path("program"));
	closure_add(&closure, fixture_path("plug.so"));
	ck_assert_uint_eq(closure.missing.count, 0);
	closure_free(&closure);

	closure = (struct closure){ .library_path = fixture_path("deps") };
	closure_add(&closure, fixture_path("top.so"));
	ck_assert_uint_eq(closure.missing.count, 0);
	ck_assert(closure_defines(&closure, "deep"));
	ck_assert(!closure_defines(&closure, "from_host"));
	closure_free(&closure);
}
END_TEST

/* A file of that name that cannot be loaded does not end the search. */
START_TEST(a_library_for_another_machine_is_passed_over)
{
	struct closure closure = { .library_path = NULL };
	const struct closure_library *deep;

	fixture_run("mkdir -p wrong && cp deps/libwide.so.1 wrong && "
		    "printf '\\267' | dd of=wrong/libwide.so.1 bs=1 seek=18 conv=notrunc "
		    "status=none"); /* e_machine: EM_AARCH64 */
	build_top("-Wl,--disable-new-dtags,-rpath,'$ORIGIN/wrong:$ORIGIN/deps'");
	closure_add(&closure, fixture_path("top.so"));
	deep = closure_find(&closure, "libwide.so.1");
	ck_assert_ptr_nonnull(deep);
	ck_assert_ptr_nonnull(strstr(deep->path, "/deps/"));
	closure_free(&closure);
}
END_TEST

struct cache { /* glibc's "dl-cache.h" */
	char magic[20];
	uint32_t count, strings_size;
	uint8_t flags, padding[3];
	uint32_t extensions, unused[3];
	struct {
		uint32_t flags, key, value, os_version;
		uint32_t hwcap[2];
	} entries[3];
	char strings[64];
};

#define CACHE_STRING(member) ((uint32_t)(offsetof(struct cache, strings) + (member)))

static struct cache small_cache(void)
{
	struct cache cache = { .count = 3 };
	static const char strings[] = "liba.so\0/32/liba.so\0/64/liba.so\0libb.so\0/64/libb.so";

	memcpy(cache.magic, "glibc-ld.so.cache1.1", 20);
	memcpy(cache.strings, strings, sizeof(strings));
	cache.entries[0].flags = 0x0003; /* i386 */
	cache.entries[0].key = CACHE_STRING(0);
	cache.entries[0].value = CACHE_STRING(8);
	cache.entries[1].flags = 0x0303; /* x86-64 */
	cache.entries[1].key = CACHE_STRING(0);
	cache.entries[1].value = CACHE_STRING(20);
	cache.entries[2].flags = 0x0303;
	cache.entries[2].key = CACHE_STRING(32);
	cache.entries[2].value = CACHE_STRING(40);
	return cache;
}

START_TEST(the_loaders_cache_is_read_for_this_machine)
{
	const struct cache cache = small_cache();
	const struct bytes bytes = bytes_over(&cache, sizeof(cache));

	ck_assert_str_eq(loader_cache_find(bytes, "liba.so"), "/64/liba.so");
	ck_assert_str_eq(loader_cache_find(bytes, "libb.so"), "/64/libb.so");
	ck_assert_ptr_null(loader_cache_find(bytes, "libc.so"));
}
END_TEST

START_TEST(a_torn_or_wrong_cache_finds_nothing_and_reads_nothing_beyond)
{
	struct cache cache = small_cache();

	for (size_t size = 0; size < offsetof(struct cache, strings) + 52; size++) {
		void *torn = malloc(size + 1);

		memcpy(torn, &cache, size);
		ck_assert_ptr_null(loader_cache_find(bytes_over(torn, size), "libb.so"));
		free(torn);
	}
	cache.count = UINT32_MAX;
	cache.entries[1].key = UINT32_MAX;
	cache.entries[2].value = UINT32_MAX;
	ck_assert_ptr_null(loader_cache_find(bytes_over(&cache, sizeof(cache)), "liba.so"));
	ck_assert_ptr_null(loader_cache_find(bytes_over(&cache, sizeof(cache)), "libb.so"));
}
END_TEST

/* --- debug information --- */

START_TEST(debug_information_is_told_apart_by_where_it_is)
{
	struct inspection *in = inspect("plugin.so");
	const uint32_t crc = in->debug.text_crc32;

	ck_assert_uint_ge(in->debug.version_low, 2);
	ck_assert_uint_gt(in->debug.symtab_functions, in->debug.exported_functions);
	ck_assert_ptr_null(in->debug.debug_file);
	ck_assert(in->debug.unwind_table && in->debug.unwind_index);
	inspection_free(in);

	fixture_run("objcopy --only-keep-debug plugin.so plugin.debug && "
		    "strip -o stripped.so plugin.so && "
		    "objcopy --add-gnu-debuglink=plugin.debug stripped.so");
	in = inspect("stripped.so");
	ck_assert_str_eq(in->debug.debug_link, "plugin.debug");
	ck_assert_ptr_nonnull(in->debug.debug_file);
	ck_assert_uint_gt(in->debug.unit_count, 0);
	ck_assert_uint_eq(in->debug.text_crc32, crc);
	inspection_free(in);

	fixture_run("rm plugin.debug");
	in = inspect("stripped.so");
	ck_assert_str_eq(in->debug.debug_link, "plugin.debug");
	ck_assert_ptr_null(in->debug.debug_file);
	ck_assert_uint_eq(in->debug.symtab_functions, 0);
	ck_assert_uint_eq(in->debug.unit_count, 0);
	inspection_free(in);
}
END_TEST

START_TEST(compressed_sections_are_named_and_read)
{
	struct inspection *in;

	fixture_run("$CC -g -gz=zlib -shared -fPIC plugin.c -o packed.so");
	in = inspect("packed.so");
	ck_assert_str_eq(in->debug.compression, "zlib");
	ck_assert_uint_gt(in->debug.unit_count, 0);
	inspection_free(in);
}
END_TEST

START_TEST(split_dwarf_that_is_not_there_is_missed)
{
	struct inspection *in;

	fixture_run("$CC -g -gsplit-dwarf -shared -fPIC plugin.c -o split.so");
	in = inspect("split.so");
	ck_assert_uint_eq(in->debug.split_count, 1);
	ck_assert_uint_eq(in->debug.split_missing, 0);
	inspection_free(in);
	fixture_run("rm *.dwo");
	in = inspect("split.so");
	ck_assert_uint_eq(in->debug.split_missing, 1);
	ck_assert_ptr_nonnull(strstr(in->debug.split_example, ".dwo"));
	inspection_free(in);
}
END_TEST

/* --- hostile bytes --- */

static void write_file(const char *name, const void *data, size_t size)
{
	FILE *file = fopen(fixture_path(name), "w");

	ck_assert_uint_eq(fwrite(data, 1, size, file), size);
	ck_assert_int_eq(fclose(file), 0);
}

START_TEST(each_byte_of_the_loaded_tables_may_be_wrong)
{
	struct file_bytes file;
	const char *kind;
	uint8_t *copy;

	build_top("-Wl,-rpath,'$ORIGIN/deps' -Wl,-z,noseparate-code");
	ck_assert_int_eq(file_map(fixture_path("top.so"), &file), 0);
	copy = malloc(file.size);
	for (size_t at = 4; at < file.size && at < 1600; at += 1) {
		struct inspection *in = NULL;
		struct closure closure = { .library_path = NULL };

		memcpy(copy, file.data, file.size);
		copy[at] ^= 0xff;
		write_file("broken.so", copy, file.size);
		if (inspection_open(fixture_path("broken.so"), NULL, &in, &kind) < 0)
			continue;
		closure_add(&closure, fixture_path("broken.so"));
		closure_defines(&closure, "top");
		closure_free(&closure);
		inspection_free(in);
	}
	free(copy);
	file_unmap(&file);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("inspection");
	TCase *tests = tcase_create("facts");

	tcase_add_unchecked_fixture(tests, build, fixture_end);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, a_file_for_another_machine_says_which);
	tcase_add_test(tests, objects_and_cores_are_told_from_libraries);
	tcase_add_test(tests, a_file_that_was_cut_short_is_noticed);
	tcase_add_test(tests, what_is_no_elf_file_says_what_it_is);
	tcase_add_test(tests, a_library_tells_what_it_needs);
	tcase_add_test(tests, versions_are_those_of_the_library_they_come_from);
	tcase_add_test(tests, without_section_headers_the_dynamic_section_is_the_same);
	tcase_add_test(tests, what_may_be_refused_is_seen);
	tcase_add_test(tests, tokens_in_a_search_path_are_replaced);
	tcase_add_test(
		tests, a_runpath_holds_for_its_own_library_an_rpath_for_what_that_loads_too);
	tcase_add_test(tests, a_library_for_another_machine_is_passed_over);
	tcase_add_test(tests, the_loaders_cache_is_read_for_this_machine);
	tcase_add_test(tests, a_torn_or_wrong_cache_finds_nothing_and_reads_nothing_beyond);
	tcase_add_test(tests, debug_information_is_told_apart_by_where_it_is);
	tcase_add_test(tests, compressed_sections_are_named_and_read);
	tcase_add_test(tests, split_dwarf_that_is_not_there_is_missed);
	tcase_add_test(tests, each_byte_of_the_loaded_tables_may_be_wrong);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
