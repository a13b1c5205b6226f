/* What Go's linker leaves in a binary, written here by hand. */
#define _GNU_SOURCE
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../fixtures/build_fixture.h"
#include "run_suite.h"
#include "symbol/go_packages.h"
#include "symbol/inspection.h"

static struct inspection *inspect(const char *name)
{
	struct inspection *in = NULL;
	const char *kind;

	ck_assert_int_eq(inspection_open(fixture_path(name), NULL, &in, &kind), 0);
	return in;
}

static const char go_lines[] =
	"path\texample.org/app/plug\n"
	"mod\texample.org/app\t(devel)\t\n"
	"dep\texample.org/one\tv1.2.3\th1:abc=\n"
	"dep\texample.org/two\tv1.0.0\n"
	"=>\t../two\t\t\n"
	"build\t-buildmode=plugin\n"
	"build\t-tags=a=b\n";

START_TEST(go_modules_and_settings_are_read_line_by_line)
{
	struct go_build_info go;

	go_build_info_parse("go1.26.1", go_lines, strlen(go_lines), &go);
	ck_assert(go.found);
	ck_assert_str_eq(go.version, "go1.26.1");
	ck_assert_str_eq(go.main_package, "example.org/app/plug");
	ck_assert_str_eq(go.main_module.version, "(devel)");
	ck_assert_str_eq(go_module_find(&go, "example.org/one")->version, "v1.2.3");
	ck_assert_str_eq(go_module_find(&go, "example.org/two")->version, "=> ../two");
	ck_assert_ptr_eq(go_module_find(&go, "example.org/app"), &go.main_module);
	ck_assert_ptr_null(go_module_find(&go, "example.org/three"));
	ck_assert_str_eq(go_setting_of(&go, "-buildmode"), "plugin");
	ck_assert_str_eq(go_setting_of(&go, "-tags"), "a=b");
	ck_assert_str_eq(go_setting_of(&go, "-race"), "");
	go_build_info_free(&go);
}
END_TEST

START_TEST(go_lines_may_be_anything)
{
	static const char *const bad[] = { "", "\n", "dep", "dep\t", "=>\ta\tb\n", "build\t",
		"mod\n=>\n", "\t\t\t\t", "build\t=\n" };
	struct go_build_info go;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		go_build_info_parse("", bad[i], strlen(bad[i]), &go);
		ck_assert_str_eq(go_setting_of(&go, "-race"), "");
		go_build_info_free(&go);
	}
}
END_TEST

/* A library with a section as Go's linker writes it.  The lines stand between 16 random bytes. */
static void build_with_section(const char *name, const char *assembly)
{
	FILE *file = fopen(fixture_path("go.s"), "w");

	fprintf(file, ".section .go.buildinfo,\"aw\"\n.balign 16\n%s", assembly);
	fputs(".section .note.GNU-stack,\"\",@progbits\n", file);
	fclose(file);
	fixture_run("$CC -shared -nostdlib go.s -o %s", name);
}

START_TEST(go_build_info_is_found_inline_and_behind_pointers)
{
	static const char *const forms[] = {
		/* since Go 1.18 */
		".ascii \"\\377 Go buildinf:\", \"\\010\\002\"\n.zero 16\n"
		".uleb128 6\n.ascii \"go1.26\"\n.uleb128 49\n.zero 16\n"
		".ascii \"path\\texample.org\\n\"\n.zero 16\n",
		/* before */
		".ascii \"\\377 Go buildinf:\", \"\\010\\000\"\n"
		"0: .quad 0x200000 + 32, 0x200000 + 48\n"
		".quad 0x200000 + 64, 6\n.quad 0x200000 + 70, 49\n"
		".ascii \"go1.26\"\n.zero 16\n.ascii \"path\\texample.org\\n\"\n.zero 16\n",
	};
	struct inspection *in;
	const char *assembly = forms[_i];

	build_with_section("go.so", assembly);
	/* The pointers of the second form count on a fixed place. */
	if (_i == 1)
		fixture_run("$CC -shared -nostdlib -Wl,--section-start=.go.buildinfo=0x200000 "
			    "go.s -o go.so");
	in = inspect("go.so");
	ck_assert(in->go.found);
	ck_assert_str_eq(in->go.version, "go1.26");
	ck_assert_str_eq(in->go.main_package, "example.org");
	inspection_free(in);
}
END_TEST

static void build_packages(const char *name, int fmt, int text)
{
	FILE *file = fopen(fixture_path("packages.s"), "w");
	const struct {
		const char *package;
		int value;
	} rows[] = { { "fmt", fmt }, { "example.org/text", text } };

	fputs(".section .rodata\n", file);
	for (size_t i = 0; i < 2; i++)
		fprintf(file,
			".globl \"go:link.pkghashbytes.%s\"\n"
			".type \"go:link.pkghashbytes.%s\",@object\n"
			".size \"go:link.pkghashbytes.%s\",8\n"
			"\"go:link.pkghashbytes.%s\": .quad %d\n",
			rows[i].package, rows[i].package, rows[i].package, rows[i].package,
			rows[i].value);
	fputs(".section .note.GNU-stack,\"\",@progbits\n", file);
	fclose(file);
	fixture_run("$CC -shared -nostdlib packages.s -o %s", name);
}

START_TEST(go_packages_are_compared_by_the_hashes_that_the_runtime_compares)
{
	struct inspection *plugin, *host;
	struct go_packages packages;

	build_packages("packages.so", 1, 2);
	build_packages("host.so", 1, 3);
	plugin = inspect("packages.so");
	host = inspect("host.so");
	go_packages_compare(plugin->binary, &plugin->dynamic, host->binary, &host->dynamic,
		&packages);
	ck_assert_uint_eq(packages.shared, 2);
	ck_assert_uint_eq(packages.conflicts.count, 1);
	ck_assert_str_eq(packages.conflicts.items[0], "example.org/text");
	go_packages_free(&packages);
	go_packages_compare(plugin->binary, &plugin->dynamic, plugin->binary, &plugin->dynamic,
		&packages);
	ck_assert_uint_eq(packages.conflicts.count, 0);
	go_packages_free(&packages);
	inspection_free(plugin);
	inspection_free(host);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("go");
	TCase *tests = tcase_create("build info");

	tcase_add_unchecked_fixture(tests, fixture_begin, fixture_end);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, go_modules_and_settings_are_read_line_by_line);
	tcase_add_test(tests, go_lines_may_be_anything);
	tcase_add_loop_test(tests, go_build_info_is_found_inline_and_behind_pointers, 0, 2);
	tcase_add_test(
		tests, go_packages_are_compared_by_the_hashes_that_the_runtime_compares);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
