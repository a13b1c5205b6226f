/* The symbolizer against libraries that the tests build themselves, and that know the truth
 * about their own addresses (tests/fixtures/places.h). */
#define _GNU_SOURCE
#include <check.h>
#include <gelf.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "base/vec.h"
#include "mapstore/map_store.h"
#include "run_suite.h"
#include "symbol/binary.h"
#include "symbol/map_builder.h"
#include "symbol/symbolizer.h"
#include "symbolizer_fixture.h"

static void assert_inlined_chain(const char *library)
{
	struct place place;
	uint64_t vaddr = fixture_place(library, "plugin_inlined", &place);
	struct symbol_module *m = module_of(library);
	const struct symbol_frames frames = assert_chain(m, vaddr, &place);

	for (size_t i = 0; i < frames.count; i++)
		ck_assert_uint_gt(frames.frames[i].column, 0);
}

static const struct {
	const char *command, *options;
} compilers[] = {
	{ "cc", "$CC -gdwarf-4" },
	{ "cc", "$CC -gdwarf-5" },
	{ "cc", "$CC -gdwarf-5 -gz" },
	{ "cc", "$CC -gdwarf-5 -ffunction-sections -Wl,--gc-sections" },
	{ "cc", "$CC -gdwarf-5 -flto" },
	{ "cc", "$CC -gdwarf-5 -gsplit-dwarf" },
	/* These write no .debug_aranges, without which libdw alone finds nothing. */
	{ "clang", "clang -gdwarf-4" },
	{ "clang", "clang -gdwarf-5" },
};

START_TEST(an_inlined_chain_has_the_line_of_each_call)
{
	char library[32];

	if (!fixture_has_command(compilers[_i].command))
		return;
	snprintf(library, sizeof(library), "chain%d.so", _i);
	fixture_run("%s -O2 -shared -fPIC plugin.c -o %s", compilers[_i].options, library);
	assert_inlined_chain(library);
}
END_TEST

static void assert_same_shown_names(const char *name)
{
	const struct symbolizer_options options = { .shown_names_only = true };
	struct symbolizer *other = symbolizer_new(&options);
	struct symbol_module *m = module_of(name);
	struct symbol_module *its = symbolizer_module(other, fixture_path(name), NULL);
	struct symbol_frames expected, shown;
	size_t known = 0;

	for (uint64_t vaddr = 0x1000; vaddr < 0x3000; vaddr += 3) { /* where their code is */
		symbolizer_resolve(other, its, vaddr, &shown);
		expected = resolve(m, vaddr);
		known += expected.resolved;
		ck_assert_uint_eq(shown.count, expected.count);
		for (size_t i = 0; i < shown.count; i++)
			ck_assert_str_eq(shown.frames[i].name, expected.frames[i].name);
	}
	ck_assert_uint_gt(known, 50);
	symbolizer_free(other);
}

START_TEST(names_are_shown_alike_when_nobody_wants_the_linkers)
{
	assert_same_shown_names("plugin_cc.so");
	assert_same_shown_names("plugin.so");
}
END_TEST

START_TEST(sections_that_zstd_has_packed_are_read)
{
	if (!fixture_has_command("zstd"))
		return;
	fixture_run("objcopy --compress-debug-sections=zstd plugin.so packed.so");
	fixture_run("readelf -t packed.so | grep -q ZSTD");
	assert_inlined_chain("packed.so");
}
END_TEST

START_TEST(symbols_in_gnu_debugdata_name_what_is_not_exported)
{
	struct place place;
	uint64_t vaddr = fixture_place("plugin.so", "plugin_hidden_place", &place);
	struct symbol_module *m;
	struct symbol_frames frames;

	if (!fixture_has_command("xz"))
		return;
	fixture_run("objcopy --only-keep-debug plugin.so whole.debug");
	fixture_run("objcopy -S -K hidden whole.debug mini && xz -f mini");
	fixture_run("objcopy -S --add-section .gnu_debugdata=mini.xz plugin.so mini.so");
	m = module_of("mini.so");
	frames = resolve(m, vaddr);
	assert_verdict(m, VERDICT_SYMBOLS);
	ck_assert_str_eq(frames.frames[0].name, "hidden");
}
END_TEST

START_TEST(a_function_without_inlining_is_one_frame)
{
	struct place place;
	uint64_t vaddr = fixture_place("plugin.so", "plugin_outer", &place);
	struct symbol_frames frames = resolve(module_of("plugin.so"), vaddr);

	ck_assert_uint_eq(frames.count, 1);
	assert_frame(&frames.frames[0], "plugin_outer", place.lines[0]);
	ck_assert_str_eq(frames.frames[0].system_name, "plugin_outer");
}
END_TEST

START_TEST(the_same_arguments_give_the_same_module)
{
	struct build_id id = build_id_of("plugin.so");
	const char *path = fixture_path("plugin.so");

	ck_assert_ptr_eq(symbolizer_module(symbolizer, path, &id),
		symbolizer_module(symbolizer, path, &id));
	ck_assert_ptr_ne(symbolizer_module(symbolizer, path, &id),
		symbolizer_module(symbolizer, path, NULL));
}
END_TEST

START_TEST(without_debug_info_symtab_names_also_what_is_not_exported)
{
	struct place place;
	uint64_t vaddr = fixture_place("plugin.so", "plugin_hidden_place", &place);
	struct build_id id = build_id_of("plugin.so");
	struct symbol_module *m;
	struct symbol_frames frames;

	fixture_run("strip -g plugin.so -o symbols.so");
	m = module_of("symbols.so");
	frames = resolve(m, vaddr);
	assert_verdict(m, VERDICT_SYMBOLS);
	assert_reason_has_id(m, &id);
	ck_assert(frames.resolved);
	ck_assert_uint_eq(frames.count, 1);
	ck_assert_str_eq(frames.frames[0].name, "hidden");
	ck_assert_uint_eq(frames.frames[0].line, 0);
	ck_assert_str_eq(frames.frames[0].file, "");
}
END_TEST

START_TEST(a_stripped_library_still_names_what_it_exports)
{
	struct place place;
	uint64_t vaddr = fixture_place("plugin.so", "plugin_inlined", &place);
	struct build_id id = build_id_of("plugin.so");
	struct symbol_module *m;
	struct symbol_frames frames;

	fixture_run("strip -s plugin.so -o stripped.so");
	m = module_of("stripped.so");
	frames = resolve(m, vaddr);
	assert_verdict(m, VERDICT_EXPORTS_ONLY);
	assert_reason_has_id(m, &id);
	ck_assert(frames.resolved);
	ck_assert_uint_eq(frames.count, 1);
	ck_assert_str_eq(frames.frames[0].name, "plugin_inlined");
}
END_TEST

START_TEST(a_stripped_static_function_is_called_after_its_start)
{
	struct place place;
	char expected[64];
	struct symbol_frames frames;
	uint64_t vaddr;

	fixture_run("strip -s plugin.so -o stripped.so");
	snprintf(expected, sizeof(expected), "stripped.so!fn_%llx",
		(unsigned long long)fixture_vaddr_from("stripped.so", "plugin_hidden_start"));
	vaddr = fixture_place("stripped.so", "plugin_hidden_place", &place);
	frames = resolve(module_of("stripped.so"), vaddr);
	ck_assert(!frames.resolved);
	ck_assert_uint_eq(frames.count, 1);
	ck_assert_str_eq(frames.frames[0].name, expected);
}
END_TEST

START_TEST(without_section_headers_functions_are_found_by_the_unwind_header)
{
	struct place place;
	struct symbol_module *m;
	struct symbol_frames frames;
	char expected[64];

	fixture_run("strip -s plugin.so -o headless.so");
	/* e_shoff, e_shnum and e_shstrndx of the ELF header */
	fixture_run("printf '\\0\\0\\0\\0\\0\\0\\0\\0' |"
		    " dd of=headless.so bs=1 seek=40 conv=notrunc 2>/dev/null");
	fixture_run("printf '\\0\\0\\0\\0' |"
		    " dd of=headless.so bs=1 seek=60 conv=notrunc 2>/dev/null");
	m = module_of("headless.so");
	frames = resolve(m, fixture_place("headless.so", "plugin_hidden_place", &place));
	assert_verdict(m, VERDICT_FDE_ONLY);
	snprintf(expected, sizeof(expected), "headless.so!fn_%llx",
		(unsigned long long)fixture_vaddr_from("headless.so", "plugin_hidden_start"));
	ck_assert_str_eq(frames.frames[0].name, expected);
}
END_TEST

START_TEST(an_address_outside_all_functions_gets_no_neighbours_name)
{
	struct symbol_module *m = module_of("plugin.so");
	struct symbol_frames frames = resolve(m, 0x10);

	ck_assert(!frames.resolved);
	ck_assert_uint_eq(frames.count, 1);
	ck_assert_str_eq(frames.frames[0].name, "plugin.so!0x10");
	frames = resolve(m, UINT64_MAX);
	ck_assert_str_eq(frames.frames[0].name, "plugin.so!0xffffffffffffffff");
}
END_TEST

START_TEST(hand_written_assembly_has_its_name_and_line)
{
	static const char *const versions[] = { "4", "5" };
	struct symbol_module *m;
	struct symbol_frames frames;

	fixture_run("$CC -g -Wa,-gdwarf-%s -shared -nostdlib $FIXTURES/assembly.s -o assembly.so",
		versions[_i]);
	m = module_of("assembly.so");
	frames = resolve(m, fixture_vaddr("assembly.so", "by_hand") + 1);
	assert_verdict(m, VERDICT_DWARF);
	ck_assert_uint_eq(frames.count, 1);
	ck_assert_str_eq(frames.frames[0].name, "by_hand");
	ck_assert_ptr_nonnull(strstr(frames.frames[0].file, "/assembly.s"));
	ck_assert_uint_eq(frames.frames[0].line, 8);
}
END_TEST

static const struct {
	int number; /* of plugin.cc's enum name */
	const char *with_debug_info;
	const char *with_symbols; /* NULL: as above */
} cc_names[] = {
	{ 0, "codec::Encoder::encode", NULL },
	{ 1, "codec::Encoder::convert<unsigned long>", NULL },
	{ 2, "codec::Encoder::operator<<", NULL },
	{ 3, "codec::(anonymous namespace)::Local::work", NULL },
	{ 4, "codec::(anonymous namespace)::unseen", NULL },
	{ 5, "codec::call_lambda::{lambda}::operator()",
		"codec::call_lambda(place*)::{lambda(int)#1}::operator()" },
};

START_TEST(cc_names_are_qualified_and_have_no_parameters)
{
	struct place place;
	uint64_t vaddr = fixture_numbered_place(
		"plugin_cc.so", "plugin_cc_place", cc_names[_i].number, &place);
	struct symbol_frames frames = resolve(module_of("plugin_cc.so"), vaddr);

	ck_assert_str_eq(frames.frames[0].name, cc_names[_i].with_debug_info);
	ck_assert_int_eq(frames.frames[0].line, place.lines[0]);
	fixture_run("strip -g plugin_cc.so -o symbols_cc.so");
	frames = resolve(module_of("symbols_cc.so"), vaddr);
	/* A compiler's ".isra.0" belongs to the system's name only. */
	ck_assert_str_eq(frames.frames[0].name,
		cc_names[_i].with_symbols ? cc_names[_i].with_symbols
					  : cc_names[_i].with_debug_info);
	ck_assert_int_eq(strncmp(frames.frames[0].system_name, "_Z", 2), 0);
}
END_TEST

/* Names of the stubs in LIBRARY, by asking for each address of its PLT sections. */
static void count_stubs(const char *library, int *mallocs, int *strlens, int *plt0s)
{
	static const char *const sections[] = { ".plt", ".plt.sec", ".plt.got" };
	struct symbol_module *m = module_of(library);
	struct binary *b = NULL;

	ck_assert_int_eq(binary_open(fixture_path(library), &b), 0);
	for (size_t i = 0; i < 3; i++) {
		struct binary_section section;

		if (!binary_find_section(b, sections[i], &section))
			continue;
		for (uint64_t at = 0; at < bytes_left(&section.bytes); at++) {
			struct symbol_frames frames = resolve(m, section.vaddr + at);

			ck_assert(frames.resolved);
			ck_assert_uint_eq(frames.count, 1);
			*mallocs += strcmp(frames.frames[0].name, "malloc@plt") == 0;
			*strlens += strcmp(frames.frames[0].name, "strlen@plt") == 0;
			*plt0s += strcmp(frames.frames[0].name, "[plt]") == 0;
		}
	}
	binary_close(b);
}

/* Their symbols have no size, and the stripped library has none. */
START_TEST(init_and_fini_are_named_to_the_end_of_their_sections)
{
	static const char *const libraries[] = { "plugin.so", "stripped.so" };
	static const char *const names[][2] = { { ".init", "_init" }, { ".fini", "_fini" } };
	struct symbol_module *m;
	struct binary *b;

	fixture_run("strip -s plugin.so -o stripped.so");
	m = module_of(libraries[_i]);

	ck_assert_int_eq(binary_open(fixture_path(libraries[_i]), &b), 0);
	for (size_t n = 0; n < ARRAY_SIZE(names); n++) {
		struct binary_section section;

		ck_assert(binary_find_section(b, names[n][0], &section));
		ck_assert_uint_gt(bytes_left(&section.bytes), 8);
		for (uint64_t at = 0; at < bytes_left(&section.bytes); at++) {
			struct symbol_frames frames = resolve(m, section.vaddr + at);

			ck_assert(frames.resolved);
			ck_assert_str_eq(frames.frames[0].name, names[n][1]);
		}
	}
	binary_close(b);
}
END_TEST

static const char *const programs[] = { "-pie -fPIE", "-no-pie", "-static", "-static-pie -fPIE",
	"-pie -fPIE -fcf-protection=full" };

/* What nm says of a symbol; a program cannot be asked with dlsym(). */
static void symbol_of_program(const char *symbol, unsigned long *start, unsigned long *size)
{
	char command[600];
	FILE *nm;

	snprintf(command, sizeof(command), "nm -S %s | sed -n 's/ T %s$//p'",
		fixture_path("program"), symbol);
	nm = popen(command, "r");
	ck_assert_ptr_nonnull(nm);
	ck_assert_int_eq(fscanf(nm, "%lx %lx", start, size), 2);
	pclose(nm);
}

/* Without a symbol it is known by its code. */
START_TEST(the_start_of_a_stripped_program_is_named)
{
	unsigned long start, size;
	struct symbol_module *m;

	fixture_run("echo 'int main(void) { return 0; }' >main.c && $CC -O2 %s main.c -o program &&"
		    " strip -s program -o bare",
		programs[_i]);
	symbol_of_program("_start", &start, &size);
	m = module_of("bare");
	for (uint64_t at = start; at < start + size; at++) {
		struct symbol_frames frames = resolve(m, at);

		ck_assert(frames.resolved);
		ck_assert_str_eq(frames.frames[0].name, "_start");
	}
	ck_assert_str_ne(resolve(m, start + size).frames[0].name, "_start");
	ck_assert_str_ne(resolve(m, start - 1).frames[0].name, "_start");
}
END_TEST

START_TEST(an_entry_point_that_is_not_the_c_runtimes_is_not_called_so)
{
	struct symbol_frames frames;
	unsigned long start, size;

	fixture_run("echo 'void begin(void) { for (;;); }' >begin.c && $CC -O2 -nostdlib"
		    " -Wl,-e,begin begin.c -o program && strip -s program -o bare");
	symbol_of_program("begin", &start, &size);
	frames = resolve(module_of("bare"), start);
	ck_assert(!frames.resolved);
	ck_assert_str_ne(frames.frames[0].name, "_start");
}
END_TEST

START_TEST(the_compilers_runtime_is_named_to_its_end)
{
	struct symbol_frames frames;
	char command[600];
	unsigned long start = 0;
	FILE *nm;

	snprintf(command, sizeof(command), "nm '%s' | grep __do_global_dtors_aux$",
		fixture_path("plugin.so"));
	nm = popen(command, "r");
	ck_assert_ptr_nonnull(nm);
	ck_assert_int_eq(fscanf(nm, "%lx", &start), 1);
	pclose(nm);
	frames = resolve(module_of("plugin.so"), start + 0x20);
	ck_assert(frames.resolved);
	ck_assert_str_eq(frames.frames[0].name, "__do_global_dtors_aux");
}
END_TEST

START_TEST(a_plt_stub_is_called_after_what_it_calls)
{
	static const struct {
		const char *flags;
		int stub_size, plt0_size;
	} links[] = {
		{ "-Wl,-z,lazy -fcf-protection=none", 16, 16 },
		{ "-Wl,-z,now -fcf-protection=none", 8, 16 },
		/* IBT: half of each lazy stub is in .plt.sec */
		{ "-Wl,-z,lazy -fcf-protection=full -Wl,-z,ibtplt", 32, 16 },
	};
	int mallocs = 0, strlens = 0, plt0s = 0;

	fixture_run("$CC -O2 -shared -fPIC %s plugin.c -o plt.so && strip -s plt.so",
		links[_i].flags);
	count_stubs("plt.so", &mallocs, &strlens, &plt0s);
	ck_assert_int_ge(mallocs, links[_i].stub_size);
	ck_assert_int_eq(strlens, mallocs);
	ck_assert_int_le(plt0s, links[_i].plt0_size);
}
END_TEST

struct export {
	const char *name;
	uint64_t vaddr, size;
};

struct exports {
	VEC(struct export) list;
};

/* All that B exports and that has a size, read here for a second opinion. */
static void read_exports(const struct binary *b, struct exports *exports)
{
	Elf_Scn *section = NULL;
	GElf_Shdr header;
	GElf_Sym sym;

	while ((section = elf_nextscn(binary_elf(b), section)) != NULL) {
		if (!gelf_getshdr(section, &header) || header.sh_type != SHT_DYNSYM)
			continue;
		for (int i = 1; gelf_getsym(elf_getdata(section, NULL), i, &sym); i++)
			if (sym.st_shndx != SHN_UNDEF && sym.st_size > 0)
				*VEC_PUSH(&exports->list) = (struct export){
					elf_strptr(binary_elf(b), header.sh_link, sym.st_name),
					sym.st_value, sym.st_size };
	}
}

/* Is NAME the name of an export around VADDR, or, when it is NULL, is there any? */
static bool covers(const struct exports *exports, uint64_t vaddr, const char *name)
{
	for (size_t i = 0; i < exports->list.count; i++) {
		const struct export *e = &exports->list.items[i];

		if (vaddr >= e->vaddr && vaddr - e->vaddr < e->size &&
			(!name || strcmp(e->name, name) == 0))
			return true;
	}
	return false;
}

static int find_libc(struct dl_phdr_info *info, size_t size, void *context)
{
	const char **path = context;

	if (strstr(info->dlpi_name, "/libc.so.6"))
		*path = info->dlpi_name;
	return 0;
}

START_TEST(no_address_of_libc_gets_a_wrong_name)
{
	const char *libc = NULL;
	struct exports exports = { { NULL, 0, 0 } };
	struct symbol_module *m;
	struct binary *b = NULL;
	size_t named = 0;

	dl_iterate_phdr(find_libc, &libc);
	ck_assert_ptr_nonnull(libc);
	fixture_run("objcopy -R .gnu_debuglink -R .note.gnu.build-id %s libc.so", libc);
	ck_assert_int_eq(binary_open(fixture_path("libc.so"), &b), 0);
	read_exports(b, &exports);
	m = module_of("libc.so");
	assert_verdict(m, VERDICT_EXPORTS_ONLY);
	srandom(1);
	for (int i = 0; i < 2000; i++) {
		const struct export *e =
			&exports.list.items[(size_t)random() % exports.list.count];
		const uint64_t vaddr = e->vaddr + (uint64_t)random() % (2 * e->size);
		struct symbol_frames frames = resolve(m, vaddr);

		if (binary_code_end(b, vaddr) == 0 || strstr(frames.frames[0].name, "plt"))
			continue;
		named += frames.resolved;
		ck_assert_msg(frames.resolved == covers(&exports, vaddr, NULL), "0x%llx: %s",
			(unsigned long long)vaddr, frames.frames[0].name);
		ck_assert_msg(!frames.resolved ||
				covers(&exports, vaddr, frames.frames[0].system_name),
			"0x%llx is not %s", (unsigned long long)vaddr, frames.frames[0].name);
	}
	ck_assert_uint_gt(named, 500);
	VEC_FREE(&exports.list);
	binary_close(b);
}
END_TEST

/* A library's map marks what the library itself does, address by address. */
static void assert_folded_in_map(const char *library, struct symbol_module *m)
{
	const char *stores[] = { fixture_path("maps"), NULL };
	const struct symbolizer_options options = { .stores = stores };
	struct symbolizer *by_map = symbolizer_new(&options);
	const struct build_id id = build_id_of(library);
	struct symbol_module *gone;
	struct map_build map;
	struct symbol_frames expected, found;
	struct binary *b = NULL;
	char *path;
	bool kept;

	ck_assert_int_eq(map_build(fixture_path(library), NULL, &map), 0);
	ck_assert_int_eq(
		map_store_put(stores[0], &map.build_id, map.data, map.size, &kept, &path), 0);
	free(path);
	free(map.data);
	gone = symbolizer_module(by_map, "/gone.so", &id);
	ck_assert_int_eq(binary_open(fixture_path(library), &b), 0);
	for (uint64_t vaddr = 0; vaddr < 0x10000; vaddr++) {
		if (binary_code_end(b, vaddr) == 0)
			continue;
		symbolizer_resolve(symbolizer, m, vaddr, &expected);
		symbolizer_resolve(by_map, gone, vaddr, &found);
		ck_assert_msg(found.is_folded == expected.is_folded, "0x%llx of %s",
			(unsigned long long)vaddr, library);
	}
	binary_close(b);
	symbolizer_free(by_map);
}

/* Which of two functions with one code was meant cannot be told; a function with two names, as
 * aliases and constructors have, is no such case. */
START_TEST(functions_that_the_linker_made_one_of_are_marked)
{
	static const char *const linkers[][2] = { { "lld", "ld.lld" }, { "mold", "mold" },
		{ "gold", "ld.gold" } };
	static const struct {
		const char *symbol;
		bool is_folded;
	} functions[] = { { "first_twin", true }, { "second_twin", true }, { "single", false },
		{ "aliased", false }, { "_ZN5ThingC1Ev", false } };
	struct symbol_module *m;

	if (!fixture_has_command(linkers[_i][1]))
		return;
	fixture_run("printf '%%s\\n' 'volatile int sink;'"
		    " 'struct Thing { Thing(); };' 'Thing::Thing() { sink = sink * 7; }'"
		    " 'extern \"C\" int first_twin(int x) { sink++; return x * sink + 5; }'"
		    " 'extern \"C\" int second_twin(int x) { sink++; return x * sink + 5; }'"
		    " 'extern \"C\" int single(int x) { sink--; return x + 9; }'"
		    " 'extern \"C\" int aliased(int x) { sink -= x; return x / 3; }'"
		    " 'extern \"C\" int __lib_aliased(int x)'"
		    " '__attribute__((alias(\"aliased\")));' >twins.cc");
	fixture_run("$CXX %s -O2 -shared -fPIC -ffunction-sections -fno-ipa-icf -fuse-ld=%s"
		    " -Wl,--icf=all,--build-id twins.cc -o twins.so",
		_i ? "-g" : "", linkers[_i][0]);
	m = module_of("twins.so");
	ck_assert_uint_eq(
		fixture_vaddr("twins.so", "first_twin"), fixture_vaddr("twins.so", "second_twin"));
	for (size_t i = 0; i < ARRAY_SIZE(functions); i++) {
		const uint64_t vaddr = fixture_vaddr("twins.so", functions[i].symbol);
		struct symbol_frames frames = resolve(m, vaddr + 1);

		ck_assert(frames.resolved);
		ck_assert_msg(frames.is_folded == functions[i].is_folded, "%s (%s) is%s folded",
			functions[i].symbol, frames.frames[0].name, frames.is_folded ? "" : " not");
	}
	assert_folded_in_map("twins.so", m);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("symbolizer");
	TCase *names = tcase_create("names");

	tcase_add_unchecked_fixture(names, build_plugins, fixture_end);
	tcase_add_checked_fixture(names, start, stop);
	tcase_set_timeout(names, 120);
	tcase_add_loop_test(names, an_inlined_chain_has_the_line_of_each_call, 0,
		sizeof(compilers) / sizeof(compilers[0]));
	tcase_add_test(names, a_function_without_inlining_is_one_frame);
	tcase_add_test(names, names_are_shown_alike_when_nobody_wants_the_linkers);
	tcase_add_test(names, sections_that_zstd_has_packed_are_read);
	tcase_add_test(names, symbols_in_gnu_debugdata_name_what_is_not_exported);
	tcase_add_test(names, the_same_arguments_give_the_same_module);
	tcase_add_test(names, without_debug_info_symtab_names_also_what_is_not_exported);
	tcase_add_test(names, a_stripped_library_still_names_what_it_exports);
	tcase_add_test(names, a_stripped_static_function_is_called_after_its_start);
	tcase_add_test(names, without_section_headers_functions_are_found_by_the_unwind_header);
	tcase_add_test(names, an_address_outside_all_functions_gets_no_neighbours_name);
	tcase_add_loop_test(names, hand_written_assembly_has_its_name_and_line, 0, 2);
	tcase_add_loop_test(names, cc_names_are_qualified_and_have_no_parameters, 0, 6);
	tcase_add_loop_test(names, the_start_of_a_stripped_program_is_named, 0, 5);
	tcase_add_test(names, an_entry_point_that_is_not_the_c_runtimes_is_not_called_so);
	tcase_add_loop_test(names, init_and_fini_are_named_to_the_end_of_their_sections, 0, 2);
	tcase_add_test(names, the_compilers_runtime_is_named_to_its_end);
	tcase_add_loop_test(names, a_plt_stub_is_called_after_what_it_calls, 0, 3);
	tcase_add_test(names, no_address_of_libc_gets_a_wrong_name);
	tcase_add_loop_test(names, functions_that_the_linker_made_one_of_are_marked, 0, 3);
	suite_add_tcase(suite, names);
	return run_suite(suite);
}
