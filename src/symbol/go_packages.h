/*
 * A Go plugin and its host hold many packages twice, and must hold the same builds of them:
 * plugin.Open() compares a hash of each, which the linker keeps among the dynamic symbols.
 */
#ifndef SYMBOL_GO_PACKAGES_H
#define SYMBOL_GO_PACKAGES_H

#include <stddef.h>

#include "base/vec.h"
#include "symbol/dynamic.h"

struct binary;

struct go_packages {
	size_t shared; /* packages that both hold */
	VEC(const char *) conflicts; /* those of different builds; borrowed from the plugin */
};

/* go_packages_free() afterwards. */
void go_packages_compare(const struct binary *plugin, const struct dynamic *plugin_dynamic,
	const struct binary *host, const struct dynamic *host_dynamic, struct go_packages *ret);
void go_packages_free(struct go_packages *packages);

#endif
