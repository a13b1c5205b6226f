/*
 * What the Go linker writes into every binary: the toolchain's version, the modules with their
 * versions, the build's settings (Go: debug/buildinfo, runtime/debug.BuildInfo).
 */
#ifndef SYMBOL_GO_BUILD_INFO_H
#define SYMBOL_GO_BUILD_INFO_H

#include <stdbool.h>
#include <stddef.h>

#include "base/vec.h"

struct binary;

struct go_module {
	const char *path;
	const char *version; /* "v1.2.3"; "(devel)"; of a replaced one "=> PATH VERSION" */
};

struct go_setting { /* "-trimpath" "true", "vcs.revision" "ab12..." */
	const char *key;
	const char *value;
};

struct go_build_info {
	bool found; /* false: not a Go binary; all else is empty */
	const char *version; /* "go1.26.1"; "" when it cannot be read */
	const char *main_package; /* "" unknown */
	struct go_module main_module; /* "" unknown */
	VEC(struct go_module) modules; /* the others, in the order of the file */
	VEC(struct go_setting) settings;
	VEC(char *) texts; /* what all strings above lie in */
};

/* go_build_info_free() afterwards. */
void go_build_info_read(const struct binary *b, struct go_build_info *ret);
/* From the version and the lines of module information, which are copied. */
void go_build_info_parse(
	const char *version, const char *lines, size_t size, struct go_build_info *ret);
void go_build_info_free(struct go_build_info *info);

/* The value of setting KEY; "" when it was not set. */
const char *go_setting_of(const struct go_build_info *info, const char *key);
/* NULL: not among the modules, the main one included. */
const struct go_module *go_module_find(const struct go_build_info *info, const char *path);

#endif
