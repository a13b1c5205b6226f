/* Can plugprof name what runs in this library, to the line? */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "base/xalloc.h"
#include "cli/doctor.h"

static bool is_go(const struct doctor_case *c)
{
	return c->library->go.found;
}

/* Stubs and libraries of data have nothing that could be on a stack. */
static bool has_code(const struct doctor_case *c)
{
	const struct debug_facts *facts = &c->library->debug;

	return facts->unwind_table || facts->exported_functions > 0 || is_go(c);
}

/* From whatever source the symbolizer knows: Go's tables, a map, .gnu_debugdata. */
static bool has_names(const struct doctor_case *c)
{
	const enum symbol_verdict verdict = c->library->verdict;

	return verdict == VERDICT_DWARF || verdict == VERDICT_GO || verdict == VERDICT_SYMBOLS;
}

static void check_build_id(const struct doctor_case *c, struct findings *f, const char *name)
{
	char hex[BUILD_ID_HEX_SIZE];

	if (c->library->build_id.size > 0)
		findings_add(
			f, FINDING_OK, name, "%s", build_id_to_hex(&c->library->build_id, hex));
	else
		findings_add(f, FINDING_PROBLEM, name,
			"none, so no debug file is found by it, and a rebuilt file is not "
			"noticed: %s",
			is_go(c) ? "go build -ldflags='-B gobuildid'" :
				   "link with -Wl,--build-id");
}

/* Files of the distribution are not the user's to build. */
static bool is_of_the_system(const char *path)
{
	return (strncmp(path, "/usr/", 5) == 0 && strncmp(path, "/usr/local/", 11) != 0) ||
	       strncmp(path, "/lib", 4) == 0 || strncmp(path, "/bin/", 5) == 0;
}

/* How a stripped library gets its names back; the caller's to free(). */
static char *stripped_advice(const struct doctor_case *c)
{
	const struct debug_facts *facts = &c->library->debug;
	const char *file = path_base_name(c->name);

	if (is_of_the_system(c->name))
		return xstrdup("install its debug symbols (a package named -dbgsym, -dbg or "
			       "-debuginfo)");
	if (facts->debug_link)
		return xasprintf("its debug file %s is not found, or of another build: put it "
				 "beside the library or below /usr/lib/debug",
			facts->debug_link);
	if (is_go(c))
		return xstrdup("build it without -ldflags=-s");
	if (c->library->build_id.size > 0)
		return xasprintf("build it with -g, and before strip keep its names: plugprof map "
				 "%s, or objcopy --only-keep-debug %s %s.debug; after it: objcopy "
				 "--add-gnu-debuglink=%s.debug %s",
			file, file, file, file, file);
	return xasprintf("build it with -g, and before strip keep what it takes: "
			 "objcopy --only-keep-debug %s %s.debug; after it: objcopy "
			 "--add-gnu-debuglink=%s.debug %s",
		file, file, file, file);
}

static void check_symbols(const struct doctor_case *c, struct findings *f, const char *name)
{
	const struct debug_facts *facts = &c->library->debug;
	char path[STORE_PATH_MAX];
	char *advice;

	if (facts->symtab_functions > 0) {
		findings_add(f, FINDING_OK, name, "%zu function%s in .symtab%s%s",
			facts->symtab_functions, plural(facts->symtab_functions),
			facts->debug_file ? " of " : "",
			facts->debug_file ? facts->debug_file : "");
		return;
	}
	if (!has_code(c) || facts->has_debug_info)
		return; /* DWARF has names, if it can be read */
	if (has_names(c)) {
		findings_add(f, FINDING_OK, name, "%s", c->library->reason);
		return;
	}
	if (doctor_find_kept(c->places, &c->library->build_id, STORE_MAP_SUFFIX, path)) {
		findings_add(f, FINDING_OK, name, "stripped, and named by its symbol map");
		return;
	}
	advice = stripped_advice(c);
	findings_add(f, FINDING_PROBLEM, name,
		"stripped: only the %zu exported function%s ha%s a name; %s",
		facts->exported_functions, plural(facts->exported_functions),
		facts->exported_functions == 1 ? "s" : "ve", advice);
	free(advice);
}

static void complain_of_debug_info(
	const struct debug_facts *facts, struct findings *f, const char *name)
{
	if (facts->compression)
		findings_add(f, FINDING_PROBLEM, name,
			"there, compressed with %s, and cannot be read: objcopy "
			"--decompress-debug-sections, or build with -gz=zlib",
			facts->compression);
	else
		findings_add(f, FINDING_PROBLEM, name,
			"there, and cannot be read: damaged, or of an unknown version; build "
			"it again");
}

static void check_debug_info(const struct doctor_case *c, struct findings *f, const char *name)
{
	const struct debug_facts *facts = &c->library->debug;
	char range[16] = "";

	if (facts->unit_count == 0 && facts->has_debug_info) {
		complain_of_debug_info(facts, f, name);
	} else if (facts->unit_count > 0) {
		if (facts->version_low != facts->version_high)
			snprintf(range, sizeof(range), "%u to ", facts->version_low);
		findings_add(f, FINDING_OK, name, "DWARF %s%u, %zu unit%s, in %s%s%s", range,
			facts->version_high, facts->unit_count, plural(facts->unit_count),
			facts->debug_file ? facts->debug_file : "the file",
			facts->compression ? ", compressed with " : "",
			facts->compression ? facts->compression : "");
	} else if (facts->symtab_functions > 0) {
		findings_add(f, FINDING_NOTE, name,
			"none, so no files, lines and inlined functions: build it with%s",
			is_go(c) ? "out -ldflags=-w" : " -g");
	}
}

static void check_split(const struct doctor_case *c, struct findings *f, const char *name)
{
	const struct debug_facts *facts = &c->library->debug;

	if (facts->split_missing > 0)
		findings_add(f, FINDING_PROBLEM, name,
			"%zu of %zu units are in .dwo files that are not there (%s): keep "
			"these where they were built, or build without -gsplit-dwarf",
			facts->split_missing, facts->unit_count, facts->split_example);
	else if (facts->split_count > 0)
		findings_add(f, FINDING_OK, name, "%zu units are in .dwo files, all found",
			facts->split_count);
}

static void check_alt(const struct doctor_case *c, struct findings *f, const char *name)
{
	const struct debug_facts *facts = &c->library->debug;

	if (facts->alt_link && !facts->alt_found)
		findings_add(f, FINDING_PROBLEM, name,
			"dwz has moved shared DWARF to %s, which is not there (or of another "
			"build): install it, or leave dwz out",
			facts->alt_link);
	else if (facts->alt_link)
		findings_add(f, FINDING_OK, name, "shared DWARF is in %s", facts->alt_link);
}

static void check_debug_link(const struct doctor_case *c, struct findings *f, const char *name)
{
	const struct debug_facts *facts = &c->library->debug;

	if (!facts->debug_link)
		return;
	if (facts->debug_file)
		findings_add(f, FINDING_OK, name, "%s", facts->debug_file);
	else if (facts->symtab_functions ||
		 facts->has_debug_info) /* else check_symbols says so */
		findings_add(f, FINDING_NOTE, name, "%s is not found, or of another build",
			facts->debug_link);
}

static void check_store(const struct doctor_case *c, struct findings *f, const char *name)
{
	const struct build_id *id = &c->library->build_id;
	char path[STORE_PATH_MAX];

	if (doctor_find_kept(c->places, id, STORE_MAP_SUFFIX, path))
		findings_add(f, FINDING_OK, name, "symbol map %s", path);
	else if (doctor_find_kept(c->places, id, STORE_KEPT_SUFFIX, path))
		findings_add(f, FINDING_OK, name, "the file is kept as %s", path);
}

static void check_mini_debug(const struct doctor_case *c, struct findings *f, const char *name)
{
	if (c->library->debug.mini_debug_info)
		findings_add(
			f, FINDING_NOTE, name, ".gnu_debugdata holds a small symbol table");
}

static void check_unwind(const struct doctor_case *c, struct findings *f, const char *name)
{
	const struct debug_facts *facts = &c->library->debug;

	if (facts->unwind_table && facts->unwind_index)
		findings_add(f, FINDING_OK, name, ".eh_frame, with an index");
	else if (facts->unwind_table)
		findings_add(f, FINDING_NOTE, name,
			".eh_frame without an index: exceptions do not pass through; link with "
			"-Wl,--eh-frame-hdr");
	else if (is_go(c))
		findings_add(f, FINDING_OK, name, "Go's frame pointers");
	else if (has_code(c))
		findings_add(f, FINDING_PROBLEM, name,
			"none: stacks end here unless it keeps frame pointers; build with "
			"-fasynchronous-unwind-tables, and do not strip .eh_frame");
}

static void check_text(const struct doctor_case *c, struct findings *f, const char *name)
{
	if (c->library->debug.has_text)
		findings_add(f, FINDING_OK, name, "CRC32 of .text %08x",
			c->library->debug.text_crc32);
	else
		findings_add(f, FINDING_NOTE, name,
			"no .text section: data only, or its section headers are gone");
}

const struct doctor_check_row doctor_symbol_checks[] = {
	{ "build-id", check_build_id },
	{ "text", check_text },
	{ "symbols", check_symbols },
	{ "debug-info", check_debug_info },
	{ "split-dwarf", check_split },
	{ "dwz", check_alt },
	{ "debuglink", check_debug_link },
	{ "store", check_store },
	{ "minidebug", check_mini_debug },
	{ "unwind", check_unwind },
	{ .name = NULL },
};
