/* Which file the symbolizer reads for a module, and what it says of one that it cannot use. */
#include <check.h>
#include <gelf.h>
#include <stdio.h>
#include <string.h>

#include "run_suite.h"
#include "symbol/binary.h"
#include "symbol/symbolizer.h"
#include "symbolizer_fixture.h"

/* Where the debug file of PLACE/plugin.so may lie, from the folder of the fixture. */
static const char *const linked_places[] = { "linked/plugin.debug",
	"linked/.debug/plugin.debug", "debug$PWD/linked/plugin.debug" };

START_TEST(a_debug_file_is_found_by_its_link)
{
	struct place place;
	uint64_t vaddr = fixture_place("plugin.so", "plugin_inlined", &place);
	struct symbol_module *m;

	fixture_run("rm -rf linked; mkdir -p linked \"$(dirname %s)\"", linked_places[_i]);
	fixture_run("objcopy --only-keep-debug plugin.so \"%s\"", linked_places[_i]);
	fixture_run("strip -s plugin.so -o linked/plugin.so && "
		    "objcopy --add-gnu-debuglink=\"%s\" linked/plugin.so", linked_places[_i]);
	m = module_of("linked/plugin.so");
	assert_chain(m, vaddr, &place);
}
END_TEST

START_TEST(a_debug_file_of_another_build_is_refused)
{
	struct symbol_module *m;

	fixture_run("rm -rf refused; mkdir refused");
	fixture_run("objcopy --only-keep-debug plugin.so refused/plugin.debug");
	fixture_run("strip -s plugin.so -o refused/plugin.so && "
		    "objcopy --add-gnu-debuglink=refused/plugin.debug refused/plugin.so");
	fixture_run("objcopy --only-keep-debug other.so refused/plugin.debug");
	m = module_of("refused/plugin.so");
	assert_verdict(m, VERDICT_EXPORTS_ONLY);
}
END_TEST

START_TEST(without_build_ids_the_links_checksum_decides)
{
	const bool same = _i == 0;
	struct symbol_module *m;

	fixture_run("rm -rf crc; mkdir crc");
	fixture_run("$CC -O2 -g -shared -fPIC -Wl,--build-id=none plugin.c -o crc/full.so");
	fixture_run("objcopy --only-keep-debug crc/full.so crc/plugin.debug");
	fixture_run("strip -s crc/full.so -o crc/plugin.so && "
		    "objcopy --add-gnu-debuglink=crc/plugin.debug crc/plugin.so");
	if (!same)
		fixture_run("printf x >>crc/plugin.debug");
	m = module_of("crc/plugin.so");
	assert_verdict(m, same ? VERDICT_DWARF : VERDICT_EXPORTS_ONLY);
}
END_TEST

/* Put NAME's debug file below debug/.build-id, as packages do. */
static void install_debug_file(const char *name)
{
	char hex[BUILD_ID_HEX_SIZE];
	struct build_id id = build_id_of(name);

	build_id_to_hex(&id, hex);
	fixture_run("mkdir -p debug/.build-id/%.2s && objcopy --only-keep-debug %s "
		    "debug/.build-id/%.2s/%s.debug", hex, name, hex, hex + 2);
}

START_TEST(a_debug_file_is_found_by_build_id)
{
	struct place place;
	uint64_t vaddr = fixture_place("plugin.so", "plugin_inlined", &place);
	struct symbol_module *m;

	fixture_run("strip -s plugin.so -o stripped.so");
	install_debug_file("plugin.so");
	m = module_of("stripped.so");
	assert_chain(m, vaddr, &place);
}
END_TEST

START_TEST(what_dwz_moved_to_another_file_is_found)
{
	const bool in_folder = _i == 0;
	struct symbol_frames frames;

	fixture_run("rm -rf dwz && mkdir dwz && $CC -shared -nostdlib $FIXTURES/dwz_main.s"
		    " -o dwz/dwz_main.so");
	fixture_run("$CC -shared -nostdlib -Wl,--build-id=0xabcdef0123456789"
		    " $FIXTURES/dwz_alt.s -o dwz/dwz_alt.so");
	if (!in_folder)
		fixture_run("mkdir -p debug/.build-id/ab &&"
			    " mv dwz/dwz_alt.so debug/.build-id/ab/cdef0123456789.debug");
	frames = resolve(module_of("dwz/dwz_main.so"),
		fixture_vaddr("dwz/dwz_main.so", "exported"));
	ck_assert_str_eq(frames.frames[0].name, "name_in_the_alt_file");
}
END_TEST

START_TEST(a_replaced_file_is_refused)
{
	struct build_id ran = build_id_of("plugin.so"), has = build_id_of("other.so");
	struct symbol_module *m =
		symbolizer_module(symbolizer, fixture_path("other.so"), &ran);
	struct symbol_frames frames = resolve(m, 0x1234);
	uint64_t vaddr;

	assert_verdict(m, VERDICT_FILE_REPLACED);
	assert_reason_has_id(m, &ran);
	assert_reason_has_id(m, &has);
	ck_assert(!frames.resolved);
	ck_assert_str_eq(frames.frames[0].name, "other.so!0x1234");
	ck_assert(!symbol_module_vaddr(m, 0x1000, 0x1000, 0x100, &vaddr));
}
END_TEST

START_TEST(a_replaced_or_deleted_files_debug_file_is_still_used)
{
	static const char *const paths[] = { "other.so", "deleted.so" };
	struct build_id ran = build_id_of("plugin.so");
	struct place place;
	uint64_t vaddr = fixture_place("plugin.so", "plugin_inlined", &place);
	struct symbol_module *m;

	install_debug_file("plugin.so");
	m = symbolizer_module(symbolizer, fixture_path(paths[_i]), &ran);
	assert_chain(m, vaddr, &place);
}
END_TEST

START_TEST(a_missing_file_is_said_to_be_missing)
{
	struct build_id id;
	struct symbol_module *m;
	struct symbol_frames frames;

	ck_assert(build_id_from_hex("abcdef0123456789", &id));
	m = symbolizer_module(symbolizer, "/nowhere/libgone.so", &id);
	frames = resolve(m, 0xbeef);
	assert_verdict(m, VERDICT_FILE_MISSING);
	ck_assert_str_eq(symbol_verdict_word(VERDICT_FILE_MISSING), "file-missing");
	assert_reason_has_id(m, &id);
	ck_assert(!frames.resolved);
	ck_assert_str_eq(frames.frames[0].name, "libgone.so!0xbeef");
}
END_TEST

START_TEST(what_is_no_elf_file_is_bad)
{
	static const char *const commands[] = { ": >bad.so", "echo hello >bad.so",
		"printf '\\177ELF' >bad.so", "head -c 4096 /dev/urandom >bad.so",
		"rm -f bad.so && mkfifo bad.so", "rm -f bad.so && mkdir bad.so",
		"rm -rf bad.so && $CC -c plugin.c -o bad.so" };
	struct symbol_module *m;

	fixture_run("rm -rf bad.so && %s", commands[_i]);
	m = module_of("bad.so");
	ck_assert(!resolve(m, 0x1234).resolved);
	assert_verdict(m, VERDICT_FILE_BAD);
}
END_TEST

START_TEST(a_truncated_library_is_survived_wherever_it_ends)
{
	const int parts = 24;

	for (int i = 1; i < parts; i++) {
		char name[32];
		struct symbol_module *m;

		snprintf(name, sizeof(name), "torn%d.so", i);
		fixture_run("head -c $(($(stat -c %%s plugin.so) * %d / %d)) plugin.so >%s", i,
			parts, name);
		m = module_of(name);
		for (uint64_t vaddr = 0x1000; vaddr < 0x1400; vaddr += 7)
			resolve(m, vaddr);
	}
}
END_TEST

START_TEST(memory_without_a_file_is_anonymous)
{
	static const char *const paths[] = { "", "[heap]", "//anon", "/memfd:jit" };
	struct symbol_module *m = symbolizer_module(symbolizer, paths[_i], NULL);
	struct symbol_frames frames = resolve(m, 0x7f0012345678);

	assert_verdict(m, VERDICT_ANONYMOUS);
	ck_assert(!frames.resolved);
	ck_assert_ptr_nonnull(strstr(frames.frames[0].name, "!0x7f0012345678"));
}
END_TEST

START_TEST(the_vdso_is_read_from_the_tools_own)
{
	struct binary *b = NULL;
	struct build_id id, other;
	struct symbol_module *m;
	bool found = false;

	if (binary_open_vdso(&b) < 0)
		return;
	id = *binary_build_id(b);
	m = symbolizer_module(symbolizer, "[vdso]", &id);
	for (uint64_t vaddr = 0; vaddr < 0x2000; vaddr++)
		found |= strcmp(resolve(m, vaddr).frames[0].name, "clock_gettime") == 0;
	ck_assert(found);
	binary_close(b);
	other = id;
	other.bytes[0] ^= 1;
	assert_verdict(symbolizer_module(symbolizer, "linux-vdso.so.1", &other),
		VERDICT_FILE_REPLACED);
}
END_TEST

START_TEST(a_mappings_offset_becomes_a_vaddr)
{
	static const char *const links[] = { "", "-Wl,-z,noseparate-code", "-fuse-ld=lld",
		"-fuse-ld=gold" };
	static const char *const linkers[] = { "ld", "ld", "ld.lld", "gold" };
	struct symbol_module *m, *deleted;
	struct build_id id;
	struct binary *b = NULL;
	GElf_Phdr header;

	if (!fixture_has_command(linkers[_i]))
		return;
	fixture_run("$CC -O2 -g -shared -fPIC %s -Wl,--build-id plugin.c -o map.so",
		links[_i]);
	install_debug_file("map.so");
	id = build_id_of("map.so");
	m = module_of("map.so");
	deleted = symbolizer_module(symbolizer, "/nowhere/map.so", &id);
	ck_assert_int_eq(binary_open(fixture_path("map.so"), &b), 0);
	for (int i = 0; gelf_getphdr(binary_elf(b), i, &header); i++) {
		/* as the kernel maps it: whole pages */
		const uint64_t page_offset = header.p_offset & ~UINT64_C(4095);
		const uint64_t size = (header.p_offset + header.p_filesz - page_offset + 4095) &
			~UINT64_C(4095);
		const uint64_t inside = header.p_offset - page_offset + 5;
		uint64_t vaddr = 0;

		if (header.p_type != PT_LOAD || !(header.p_flags & PF_X))
			continue;
		ck_assert(symbol_module_vaddr(m, page_offset, size, inside, &vaddr));
		ck_assert_uint_eq(vaddr, header.p_vaddr + 5);
		/* only its debug file is left, where p_offset says nothing */
		vaddr = 0;
		ck_assert(symbol_module_vaddr(deleted, page_offset, size, inside, &vaddr));
		ck_assert_uint_eq(vaddr, header.p_vaddr + 5);
		ck_assert(!symbol_module_vaddr(m, page_offset, size, size + 8192, &vaddr));
	}
	binary_close(b);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("symbolizer_files");
	TCase *files = tcase_create("files");

	tcase_add_unchecked_fixture(files, build_plugins, fixture_end);
	tcase_add_checked_fixture(files, start, stop);
	tcase_set_timeout(files, 120);
	tcase_add_loop_test(files, a_debug_file_is_found_by_its_link, 0, 3);
	tcase_add_test(files, a_debug_file_of_another_build_is_refused);
	tcase_add_loop_test(files, without_build_ids_the_links_checksum_decides, 0, 2);
	tcase_add_test(files, a_debug_file_is_found_by_build_id);
	tcase_add_loop_test(files, what_dwz_moved_to_another_file_is_found, 0, 2);
	tcase_add_test(files, a_replaced_file_is_refused);
	tcase_add_loop_test(files, a_replaced_or_deleted_files_debug_file_is_still_used, 0, 2);
	tcase_add_test(files, a_missing_file_is_said_to_be_missing);
	tcase_add_loop_test(files, what_is_no_elf_file_is_bad, 0, 7);
	tcase_add_test(files, a_truncated_library_is_survived_wherever_it_ends);
	tcase_add_loop_test(files, memory_without_a_file_is_anonymous, 0, 4);
	tcase_add_test(files, the_vdso_is_read_from_the_tools_own);
	tcase_add_loop_test(files, a_mappings_offset_becomes_a_vaddr, 0, 4);
	suite_add_tcase(suite, files);
	return run_suite(suite);
}
