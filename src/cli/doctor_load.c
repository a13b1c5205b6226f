/* Will ld.so find all that the library needs, in versions that fit?  Asked of files, by
 * reading. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/compiler.h"
#include "base/path.h"
#include "base/xalloc.h"
#include "cli/doctor.h"

#define NAMES_MAX 3 /* of many, in one line */

/* Names that say more than that they are missing. */
static const struct {
	const char *prefix;
	const char *advice;
} telling_names[] = {
	{ "libc.musl-", "it was built for musl (Alpine): build it on a system with glibc" },
	{ "ld-musl-", "it was built for musl (Alpine): build it on a system with glibc" },
	{ "libasan.", "it was built with -fsanitize=address: build it without, for a profile" },
	{ "libtsan.", "it was built with -fsanitize=thread: build it without, for a profile" },
};

static const char *advice_on_missing(const char *library)
{
	for (size_t i = 0; i < ARRAY_SIZE(telling_names); i++)
		if (strncmp(library, telling_names[i].prefix,
			    strlen(telling_names[i].prefix)) == 0)
			return telling_names[i].advice;
	return "install it, name its folder in LD_LIBRARY_PATH, or link with "
	       "-Wl,-rpath,'$ORIGIN' and put it beside";
}

static void check_needed(const struct doctor_case *c, struct findings *f, const char *name)
{
	for (size_t i = 0; i < c->closure->missing.count; i++) {
		const struct closure_missing *missing = &c->closure->missing.items[i];
		const bool direct = missing->needed_by == c->loaded;

		findings_add(f, FINDING_PROBLEM, name,
			"%s is not found%s%s, unless the host has loaded it before: %s",
			missing->name, direct ? "" : ", needed by ",
			direct ? "" : missing->needed_by->path,
			advice_on_missing(missing->name));
	}
	if (c->closure->missing.count == 0)
		findings_add(f, FINDING_OK, name, "%zu librar%s, all found",
			c->library->dynamic.needed.count,
			c->library->dynamic.needed.count == 1 ? "y" : "ies");
}

/* VERSION if it is of FAMILY and newer than NEWEST (NULL: none yet), else NEWEST.  "GLIBC_2.34"
 * is newer than "GLIBC_2.4": numbers in names count as numbers. */
static const char *newer_of(const char *newest, const char *version, const char *family)
{
	const size_t size = strlen(family);

	if (strncmp(version, family, size) != 0 || version[size] < '0' || version[size] > '9')
		return newest;
	return !newest || strverscmp(version, newest) > 0 ? version : newest;
}

static const char *newest_defined(const struct dynamic *d, const char *family)
{
	const char *newest = NULL;

	for (size_t i = 0; i < d->versions.count; i++)
		newest = newer_of(newest, d->versions.items[i], family);
	return newest ? newest : "none such";
}

/* NULL: none. */
static const char *newest_needed(const struct dynamic *d, const char *family)
{
	const char *newest = NULL;

	for (size_t i = 0; i < d->version_needs.count; i++)
		newest = newer_of(newest, d->version_needs.items[i].version, family);
	return newest;
}

/* "GLIBC_" of "GLIBC_2.34", the caller's to free(). */
static char *family_of(const char *version)
{
	return xstrndup(version, strcspn(version, "0123456789"));
}

static void complain_of_version(const struct closure_library *needs,
	const struct version_need *need, const struct closure_library *has,
	const struct doctor_case *c, struct findings *f, const char *name)
{
	char *family = family_of(need->version);
	const bool is_glibc = strcmp(family, "GLIBC_") == 0;

	findings_add(f, FINDING_PROBLEM, name, "%s needs %s, and %s has %s: %s",
		needs == c->loaded ? "it" : needs->path, need->version, has->path,
		newest_defined(&has->dynamic, family),
		is_glibc ? "build it on the oldest system it is to run on, or run it on a "
			   "newer one" :
			   "run it with a newer one, or build it with an older compiler");
	free(family);
}

/* Of each library and version family only the newest missing one: it implies the others. */
static bool is_newest_missing(const struct dynamic *d, size_t index, const struct dynamic *has)
{
	const struct version_need *need = &d->version_needs.items[index];
	char *family = family_of(need->version);
	bool newest = true;

	for (size_t i = 0; i < d->version_needs.count && newest; i++) {
		const struct version_need *other = &d->version_needs.items[i];

		newest = strcmp(other->library, need->library) != 0 ||
			 strncmp(other->version, family, strlen(family)) != 0 ||
			 dynamic_has_version(has, other->version) ||
			 strverscmp(other->version, need->version) <= 0;
	}
	free(family);
	return newest;
}

static void check_versions_of(const struct closure_library *library,
	const struct doctor_case *c, struct findings *f, const char *name)
{
	const struct dynamic *d = &library->dynamic;

	for (size_t i = 0; i < d->version_needs.count; i++) {
		const struct version_need *need = &d->version_needs.items[i];
		const struct closure_library *has = closure_find(c->closure, need->library);

		/* A library without versions is taken as it is, with a warning. */
		if (!has || need->weak || has->dynamic.versions.count == 0 ||
			dynamic_has_version(&has->dynamic, need->version) ||
			!is_newest_missing(d, i, &has->dynamic))
			continue;
		complain_of_version(library, need, has, c, f, name);
	}
}

static void check_versions(const struct doctor_case *c, struct findings *f, const char *name)
{
	static const char *const families[] = { "GLIBC_", "GLIBCXX_", "CXXABI_" };
	const size_t before = findings_count(f, FINDING_PROBLEM);
	char *needs = xstrdup("");

	for (size_t i = 0; i < c->closure->libraries.count; i++)
		check_versions_of(c->closure->libraries.items[i], c, f, name);
	for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
		const char *newest = newest_needed(&c->library->dynamic, families[i]);
		char *longer;

		if (!newest)
			continue;
		longer = xasprintf("%s%s%s", needs, needs[0] ? ", " : "", newest);
		free(needs);
		needs = longer;
	}
	if (needs[0] && findings_count(f, FINDING_PROBLEM) == before)
		findings_add(f, FINDING_OK, name, "needs %s, and finds them", needs);
	free(needs);
}

/* The host's own functions that the library calls, but which the host does not export. */
static bool is_hidden_in_host(const struct doctor_case *c, const char *symbol)
{
	return c->host && inspection_has_symbol(c->host, symbol);
}

static void complain_of_undefined(const struct doctor_case *c, struct findings *f,
	const char *name, const char *const *symbols, size_t count)
{
	char *text = xstrdup("");

	for (size_t i = 0; i < count && i < NAMES_MAX; i++) {
		char *longer = xasprintf("%s%s%s", text, i ? ", " : "", symbols[i]);

		free(text);
		text = longer;
	}
	if (!c->host)
		findings_add(f, FINDING_NOTE, name,
			"%zu symbol%s must come from the host (%s%s): --host=PROGRAM checks "
			"that",
			count, plural(count), text, count > NAMES_MAX ? ", ..." : "");
	else
		findings_add(f, FINDING_PROBLEM, name,
			"%zu symbol%s in neither %s nor any library (%s%s): %s", count,
			plural(count), path_base_name(c->host->path), text,
			count > NAMES_MAX ? ", ..." : "",
			is_hidden_in_host(c, symbols[0]) ?
				"the host has them but does not export them: link it with "
				"-rdynamic" :
				"link the library that has them with -l");
	free(text);
}

static void check_undefined(const struct doctor_case *c, struct findings *f, const char *name)
{
	const struct dynamic *d = &c->library->dynamic;
	VEC(const char *) undefined = { .count = 0 };
	struct dynamic_symbol symbol;
	size_t wanted = 0;

	for (size_t i = 0; dynamic_symbol_at(d, i, &symbol); i++) {
		if (symbol.defined || symbol.vaddr || symbol.weak || !symbol.name[0])
			continue;
		wanted++;
		if (!closure_defines(c->closure, symbol.name))
			*VEC_PUSH(&undefined) = symbol.name;
	}
	/* What a missing library would have defined is not to be said twice. */
	if (undefined.count > 0 && c->closure->missing.count == 0)
		complain_of_undefined(c, f, name, undefined.items, undefined.count);
	else if (undefined.count == 0 && wanted > 0)
		findings_add(f, FINDING_OK, name,
			"all %zu symbol%s that it takes from others are there", wanted,
			plural(wanted));
	VEC_FREE(&undefined);
}

/* One folder of a search path, as the library has it. */
static void check_folder(const char *folder, const char *list_name, const char *library_path,
	struct findings *f, const char *name)
{
	char *expanded = loader_expand(folder, library_path);

	if (!folder[0])
		findings_add(f, FINDING_PROBLEM, name,
			"%s has an empty entry, which is the current folder: link without it",
			list_name);
	else if (folder[0] != '/' && strncmp(folder, "$ORIGIN", 7) != 0 &&
		 strncmp(folder, "${ORIGIN}", 9) != 0)
		findings_add(f, FINDING_PROBLEM, name,
			"%s \"%s\" counts from the current folder: link with "
			"-Wl,-rpath,'$ORIGIN/%s'",
			list_name, folder, folder);
	else if (access(expanded, F_OK) < 0)
		findings_add(
			f, FINDING_NOTE, name, "%s \"%s\" is not there", list_name, folder);
	else
		findings_add(f, FINDING_OK, name, "%s \"%s\"", list_name, folder);
	free(expanded);
}

static void check_folders(const char *list, const char *list_name, const char *library_path,
	struct findings *f, const char *name)
{
	char *copy, *rest, *folder;

	if (!list)
		return;
	copy = rest = xstrdup(list);
	while ((folder = strsep(&rest, ":")) != NULL && f->items.count < 1000)
		check_folder(folder, list_name, library_path, f, name);
	free(copy);
}

static void check_search_path(const struct doctor_case *c, struct findings *f, const char *name)
{
	const struct dynamic *d = &c->library->dynamic;

	if (d->rpath && d->runpath)
		findings_add(f, FINDING_NOTE, name, "RPATH is not used beside a RUNPATH");
	else if (d->rpath)
		findings_add(f, FINDING_NOTE, name,
			"RPATH goes before LD_LIBRARY_PATH and holds for what it loads too; "
			"-Wl,--enable-new-dtags makes it a RUNPATH");
	if (!d->runpath)
		check_folders(d->rpath, "RPATH", c->library->path, f, name);
	check_folders(d->runpath, "RUNPATH", c->library->path, f, name);
}

const struct doctor_check_row doctor_load_checks[] = {
	{ "needed", check_needed },
	{ "versions", check_versions },
	{ "undefined", check_undefined },
	{ "search-path", check_search_path },
	{ .name = NULL },
};
