#include "cli/doctor.h"

#include <unistd.h>

/* What objcopy --only-keep-debug leaves. */
static bool is_debug_file(const struct inspection *library)
{
	return library->debug.has_debug_info && !library->debug.has_text &&
	       !library->dynamic.is_dynamic;
}

/* A file that nothing more can be read of: why. */
static bool is_library(const struct doctor_case *c, struct findings *f)
{
	static const char name[] = "file";
	const struct elf_identity *id = &c->library->identity;

	if (id->expected_size > id->size)
		findings_add(f, FINDING_PROBLEM, name,
			"cut short: %llu bytes of at least %llu; copy or build it again",
			(unsigned long long)id->size, (unsigned long long)id->expected_size);
	else if (id->kind == ELF_KIND_CORE)
		findings_add(f, FINDING_PROBLEM, name,
			"a core file: give it the libraries that `eu-unstrip -n --core` lists");
	else if (id->kind == ELF_KIND_OBJECT)
		findings_add(f, FINDING_PROBLEM, name,
			"an object file (or kernel module), which ld.so does not load: link it "
			"with cc -shared");
	else if (!id->readable)
		findings_add(f, FINDING_PROBLEM, name,
			"for %s, %u bits: ld.so refuses it here, and plugprof reads x86-64 "
			"only; build it for x86-64",
			id->machine, id->bits);
	else if (!c->library->binary)
		findings_add(f, FINDING_PROBLEM, name,
			"its headers are damaged: copy or build it again");
	else if (is_debug_file(c->library))
		findings_add(f, FINDING_PROBLEM, name,
			"a debug file, without code: ask about the library that it was made "
			"from");
	else
		return true;
	return false;
}

bool doctor_find_kept(const struct symbolizer_options *places, const struct build_id *id,
	const char *suffix, char path[static STORE_PATH_MAX])
{
	for (const char *const *store = places->stores; store && *store; store++)
		if (store_entry(*store, id, suffix, path, STORE_PATH_MAX) &&
			access(path, R_OK) == 0)
			return true;
	return false;
}

static void run(
	const struct doctor_check_row *rows, const struct doctor_case *c, struct findings *f)
{
	for (; rows->name; rows++)
		rows->check(c, f, rows->name);
}

void doctor_examine(const struct doctor_case *c, struct findings *f)
{
	if (!is_library(c, f))
		return;
	run(doctor_runtime_checks, c, f);
	run(doctor_symbol_checks, c, f);
	if (c->closure && c->loaded)
		run(doctor_load_checks, c, f);
	if (c->library->go.found)
		run(doctor_go_checks, c, f);
}
