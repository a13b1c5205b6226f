/* What a library asks of the process it is loaded into, and may be refused or get wrong: memory
 * that is written and run, static TLS, a second copy of a runtime, to be unloaded. */
#include <elf.h>
#include <string.h>

#include "base/compiler.h"
#include "base/malloc_doors.h"
#include "base/path.h"
#include "cli/doctor.h"

/* glibc keeps rtld.optional_static_tls (512 bytes) for libraries opened later, and lends what
 * it keeps for others: 1,600 bytes were had with glibc 2.36, 2,048 were not. */
#define STATIC_TLS_SURE 512u
#define STATIC_TLS_MAX 1600u

static void check_kind(const struct doctor_case *c, struct findings *f, const char *name)
{
	const struct dynamic *d = &c->library->dynamic;

	if (!d->is_dynamic)
		findings_add(f, FINDING_NOTE, name,
			"linked statically: no library can be preloaded into it, ours neither");
	else if (dynamic_is_program(d))
		findings_add(f, FINDING_OK, name, "a program, which is run and not opened");
	else
		findings_add(f, FINDING_OK, name, "a shared library%s%s", d->soname ? ", " : "",
			d->soname ? d->soname : "");
}

static void check_stack(const struct doctor_case *c, struct findings *f, const char *name)
{
	if (c->library->dynamic.executable_stack)
		findings_add(f, FINDING_PROBLEM, name,
			"it asks for an executable stack, and glibc 2.41 refuses to open it: "
			"link with -Wl,-z,noexecstack (assembly: add .section "
			".note.GNU-stack,\"\",@progbits)");
}

static void check_text_relocations(
	const struct doctor_case *c, struct findings *f, const char *name)
{
	if (c->library->dynamic.text_relocations)
		findings_add(f, FINDING_PROBLEM, name,
			"code is changed when it is loaded, so SELinux may refuse it and "
			"processes do not share it: build all of it with -fPIC");
}

static void check_tls(const struct doctor_case *c, struct findings *f, const char *name)
{
	const struct dynamic *d = &c->library->dynamic;
	const unsigned long long size = d->tls_size_bytes;

	if (!(d->flags & DF_STATIC_TLS) || dynamic_is_program(d) || size == 0)
		return;
	if (size > STATIC_TLS_MAX && c->closure)
		findings_add(f, FINDING_PROBLEM, name,
			"%llu bytes of static TLS: opened late it fails (\"cannot allocate "
			"memory in static TLS block\"); build with -ftls-model=global-dynamic, "
			"or start the host with "
			"GLIBC_TUNABLES=glibc.rtld.optional_static_tls=%llu",
			size, size + STATIC_TLS_SURE);
	else
		findings_add(f, size > STATIC_TLS_SURE ? FINDING_NOTE : FINDING_OK, name,
			"%llu bytes of static TLS, of some %u for all libraries opened late",
			size, STATIC_TLS_MAX);
}

/* Runtimes of which a process should have one, and a function that tells a copy. */
static const struct {
	const char *symbol;
	const char *runtime;
	const char *soname; /* how the real one's begins */
} runtimes[] = {
	{ "__cxa_throw", "the C++ runtime", "libstdc++.so" },
	{ "_ZSt4cout", "libstdc++", "libstdc++.so" },
	{ "_Unwind_RaiseException", "the unwinder", "libgcc_s.so" },
};

static bool is_the_real_one(const struct inspection *library, const char *soname)
{
	const char *own = library->dynamic.soname;

	return own &&
	       (strncmp(own, soname, strlen(soname)) == 0 || strncmp(own, "libc++", 6) == 0 ||
		       strncmp(own, "libunwind", 9) == 0);
}

static void check_copies(const struct doctor_case *c, struct findings *f, const char *name)
{
	const struct dynamic *d = &c->library->dynamic;

	if (dynamic_is_program(d))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(runtimes); i++) {
		if (!dynamic_defines(d, runtimes[i].symbol) ||
			is_the_real_one(c->library, runtimes[i].soname))
			continue;
		findings_add(f, FINDING_PROBLEM, name,
			"exports a copy of %s of its own (%s), which others may bind to: link "
			"with -Wl,--exclude-libs,ALL, or without -static-libstdc++ "
			"-static-libgcc",
			runtimes[i].runtime, runtimes[i].symbol);
	}
}

/* Two C++ libraries in one process work as long as no object passes between them. */
static void check_mix(const struct doctor_case *c, struct findings *f, const char *name)
{
	if (c->closure && closure_find(c->closure, "libstdc++.so.6") &&
		closure_find(c->closure, "libc++.so.1"))
		findings_add(f, FINDING_PROBLEM, name,
			"libstdc++ and libc++ in one process: strings and exceptions do not "
			"pass from one to the other; build all with one -stdlib");
}

static bool has_allocator(const struct inspection *in)
{
	return in && in->binary && dynamic_defines(&in->dynamic, "malloc");
}

static bool is_libc(const struct inspection *in)
{
	const char *soname = in->dynamic.soname;

	return soname && strncmp(soname, "libc.so", 7) == 0;
}

static bool imports(const struct dynamic *d, const char *name)
{
	struct dynamic_symbol symbol;

	for (size_t i = 0; dynamic_symbol_at(d, i, &symbol); i++)
		if (!symbol.defined && strcmp(symbol.name, name) == 0)
			return true;
	return false;
}

/* RTLD_DEEPBIND has a library ask itself and what it needs before the program. */
static void check_deep_binding(
	const struct doctor_case *c, struct findings *f, const char *name)
{
	const struct dynamic *d = &c->library->dynamic;

	if (dynamic_is_program(d) || is_libc(c->library))
		return;
	if (has_allocator(c->library))
		findings_add(f, FINDING_NOTE, name,
			"exports its own malloc: without RTLD_DEEPBIND it gets the host's "
			"instead; with it, what it allocates it must free itself, and heap "
			"profiles lack it");
	else if (has_allocator(c->host) && !is_libc(c->host) && imports(d, "malloc"))
		findings_add(f, FINDING_PROBLEM, name,
			"%s has its own malloc: opened with RTLD_DEEPBIND this library gets "
			"libc's, and memory that one frees for the other crashes; open it "
			"without",
			path_base_name(c->host->path));
	else if (d->flags & DF_SYMBOLIC)
		findings_add(f, FINDING_NOTE, name,
			"linked with -Bsymbolic: it asks itself first, as with RTLD_DEEPBIND");
}

/* One that calls malloc is seen there, as libstdc++'s; an allocator's own is seen itself. */
static void check_operators(const struct doctor_case *c, struct findings *f, const char *name)
{
	const struct dynamic *d = &c->library->dynamic;
	bool calls_malloc = false;

	for (size_t i = 0; i < ARRAY_SIZE(malloc_doors); i++)
		calls_malloc |= imports(d, malloc_doors[i]);
	if (dynamic_defines(d, "_Znwm") && !has_allocator(c->library) && !calls_malloc)
		findings_add(f, FINDING_NOTE, name,
			"exports its own operator new, which takes no memory from malloc: heap "
			"profiles lack what it gives");
}

static const char *first_unique(const struct dynamic *d)
{
	struct dynamic_symbol symbol;

	for (size_t i = 0; dynamic_symbol_at(d, i, &symbol); i++)
		if (symbol.defined && symbol.unique)
			return symbol.name;
	return NULL;
}

static void check_unload(const struct doctor_case *c, struct findings *f, const char *name)
{
	const struct dynamic *d = &c->library->dynamic;
	const char *unique = first_unique(d);

	if (dynamic_is_program(d))
		return;
	if (d->flags_1 & DF_1_NODELETE)
		findings_add(f, FINDING_NOTE, name,
			"linked with -z nodelete: dlclose() leaves it loaded");
	else if (unique)
		findings_add(f, FINDING_NOTE, name,
			"has unique symbols (%s): dlclose() leaves it loaded; to reload it, "
			"build with -fno-gnu-unique",
			unique);
}

const struct doctor_check_row doctor_runtime_checks[] = {
	{ "kind", check_kind },
	{ "stack", check_stack },
	{ "textrel", check_text_relocations },
	{ "static-tls", check_tls },
	{ "copies", check_copies },
	{ "c++-mix", check_mix },
	{ "deepbind", check_deep_binding },
	{ "operators", check_operators },
	{ "unload", check_unload },
	{ .name = NULL },
};
