/* Will the Go runtime of the host take this plugin?  plugin.Open() asks for the same toolchain,
 * the same build settings and the same builds of all packages that both hold. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "base/go_layout.h"
#include "base/path.h"
#include "base/xalloc.h"
#include "cli/doctor.h"
#include "symbol/go_packages.h"

#define MODULES_MAX 1000 /* of a hostile file */

/* Settings that change what a package's build is. */
static const char *const shared_settings[] = { "-trimpath", "-race", "-msan", "-asan", "-tags",
	"-gcflags", "-asmflags", "-cover", "CGO_ENABLED", "GOARCH", "GOOS", "GOAMD64",
	"GOEXPERIMENT", "GOFIPS140" };

static const char *shown(const char *value)
{
	return value[0] ? value : "not set";
}

static void check_go(const struct doctor_case *c, struct findings *f, const char *name)
{
	const struct go_build_info *go = &c->library->go;

	findings_add(f, go->version[0] ? FINDING_OK : FINDING_NOTE, name, "%s, %s%s%s",
		go->version[0] ? go->version : "its version cannot be read",
		go->main_package[0] ? go->main_package : go->main_module.path,
		go_setting_of(go, "-buildmode")[0] ? ", -buildmode=" : "",
		go_setting_of(go, "-buildmode"));
}

static bool is_plugin(const struct go_build_info *go)
{
	return strcmp(go_setting_of(go, "-buildmode"), "plugin") == 0;
}

/* A plugin's goroutines are its host's. */
static void check_go_labels(const struct doctor_case *c, struct findings *f, const char *name)
{
	const char *version = c->library->go.version;

	if (is_plugin(&c->library->go) || !version[0])
		return;
	if (go_layout_find(version, strlen(version)))
		findings_add(f, FINDING_OK, name,
			"labels of goroutines (runtime/pprof) are read");
	else
		findings_add(f, FINDING_NOTE, name,
			"labels of goroutines (runtime/pprof) are not read: known are those of "
			"Go " GO_LAYOUT_KNOWN);
}

/* False: there is nothing to compare. */
static bool check_host_kind(const struct doctor_case *c, struct findings *f, const char *name)
{
	const struct go_build_info *go = &c->library->go, *host = &c->host->go;
	const char *host_name = path_base_name(c->host->path);

	if (!host->found) {
		if (is_plugin(go))
			findings_add(f, FINDING_PROBLEM, name,
				"%s is no Go program, and a Go plugin needs one: build the "
				"library with -buildmode=c-shared",
				host_name);
		return false;
	}
	if (strcmp(go_setting_of(go, "-buildmode"), "c-shared") == 0)
		findings_add(f, FINDING_PROBLEM, name,
			"a second Go runtime in the Go program %s, which is not supported: "
			"build it with -buildmode=plugin",
			host_name);
	else if (!c->host->dynamic.is_dynamic)
		findings_add(f, FINDING_PROBLEM, name,
			"%s is linked statically and opens no plugins: build it with "
			"CGO_ENABLED=1",
			host_name);
	return is_plugin(go);
}

/* One plugin against its host. */
struct comparison {
	const struct go_build_info *plugin, *host;
	const char *host_name;
	struct findings *findings;
	const char *check;
	/* Of a difference: the packages that both hold decide, where that is known. */
	enum finding_level level;
};

static void compare_toolchains(const struct comparison *to)
{
	const char *wanted = to->host->version[0] ? to->host->version : "NAME";

	if (strcmp(to->plugin->version, to->host->version) != 0)
		findings_add(to->findings, to->level, to->check,
			"built by %s, and %s by %s: build both with one toolchain "
			"(GOTOOLCHAIN=%s)",
			shown(to->plugin->version), to->host_name, shown(to->host->version),
			wanted);
	for (size_t i = 0; i < ARRAY_SIZE(shared_settings); i++) {
		const char *key = shared_settings[i];
		const char *own = go_setting_of(to->plugin, key);
		const char *its = go_setting_of(to->host, key);

		if (strcmp(own, its) != 0)
			findings_add(to->findings, to->level, to->check,
				"%s is %s here and %s in %s: build both alike", key, shown(own),
				shown(its), to->host_name);
	}
}

static void compare_module(const struct comparison *to, const struct go_module *own)
{
	const struct go_module *its = go_module_find(to->host, own->path);

	if (own->path[0] && its && strcmp(own->version, its->version) != 0)
		findings_add(to->findings, to->level, to->check,
			"module %s is %s here and %s in %s: require one version in both go.mod",
			own->path, shown(own->version), shown(its->version), to->host_name);
}

static void compare_modules(const struct comparison *to)
{
	const struct go_build_info *plugin = to->plugin;
	const char *own = go_setting_of(plugin, "vcs.revision");
	const char *its = go_setting_of(to->host, "vcs.revision");

	for (size_t i = 0; i < plugin->modules.count && i < MODULES_MAX; i++)
		compare_module(to, &plugin->modules.items[i]);
	if (strcmp(plugin->main_module.path, to->host->main_module.path) != 0)
		compare_module(to, &plugin->main_module);
	else if (own[0] && its[0] && strcmp(own, its) != 0)
		findings_add(to->findings, FINDING_NOTE, to->check,
			"both are of module %s, this of revision %.12s and %s of %.12s",
			plugin->main_module.path, own, to->host_name, its);
}

/* The standard library's packages have no dot before the first slash, others a domain. */
static bool is_standard(const char *package)
{
	return strcspn(package, "/") <= strcspn(package, ".");
}

/* The one to name: of a module, if there is one, since the fault is more likely there. */
static const char *telling_package(const struct go_packages *packages)
{
	for (size_t i = 0; i < packages->conflicts.count; i++)
		if (!is_standard(packages->conflicts.items[i]))
			return packages->conflicts.items[i];
	return packages->conflicts.items[0];
}

static void tell_packages(const struct comparison *to, const struct go_packages *packages)
{
	if (packages->conflicts.count > 0)
		findings_add(to->findings, FINDING_PROBLEM, to->check,
			"%zu of %zu shared packages, such as %s, are of another build than in "
			"%s: plugin.Open() refuses it; build both from one go.mod by one go, "
			"with the same flags",
			packages->conflicts.count, packages->shared, telling_package(packages),
			to->host_name);
	else if (packages->shared > 0)
		findings_add(to->findings, FINDING_OK, to->check,
			"all %zu packages that it shares with %s are of the same build",
			packages->shared, to->host_name);
}

static void check_go_host(const struct doctor_case *c, struct findings *f, const char *name)
{
	struct comparison to = { .findings = f, .check = name };
	struct go_packages packages;

	if (!c->host || !check_host_kind(c, f, name))
		return;
	to.plugin = &c->library->go;
	to.host = &c->host->go;
	to.host_name = path_base_name(c->host->path);
	go_packages_compare(c->library->binary, &c->library->dynamic, c->host->binary,
		&c->host->dynamic, &packages);
	to.level = packages.shared > 0 && packages.conflicts.count == 0 ? FINDING_NOTE :
									  FINDING_PROBLEM;
	compare_toolchains(&to);
	compare_modules(&to);
	tell_packages(&to, &packages);
	go_packages_free(&packages);
}

const struct doctor_check_row doctor_go_checks[] = {
	{ "go", check_go },
	{ "go-labels", check_go_labels },
	{ "go-host", check_go_host },
	{ .name = NULL },
};
