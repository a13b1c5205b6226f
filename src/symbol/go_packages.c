#include "symbol/go_packages.h"

#include <string.h>

#include "base/compiler.h"
#include "base/hash.h"
#include "base/table.h"
#include "symbol/binary.h"

#define HASH_SIZE_MAX 64u /* 8 bytes in Go 1.26, 20 in 1.19 */

/* cmd/link: "go:link.pkghashbytes." + package; with a dot before Go 1.20. */
static const char *const prefixes[] = { "go:link.pkghashbytes.", "go.link.pkghashbytes." };

struct package {
	const char *name;
	struct bytes hash;
};

struct package_list {
	VEC(struct package) packages;
	struct table by_name;
};

/* The package whose hash the symbol is; NULL: it is none. */
static const char *package_of(const char *symbol)
{
	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++)
		if (strncmp(symbol, prefixes[i], strlen(prefixes[i])) == 0)
			return symbol + strlen(prefixes[i]);
	return NULL;
}

static bool read_package(
	const struct binary *b, const struct dynamic_symbol *symbol, struct package *ret)
{
	const char *name = package_of(symbol->name);
	struct bytes bytes;

	if (!name || !symbol->defined || symbol->size_bytes == 0 ||
		symbol->size_bytes > HASH_SIZE_MAX ||
		!binary_bytes_at(b, symbol->vaddr, &bytes) ||
		bytes_left(&bytes) < symbol->size_bytes)
		return false;
	*ret = (struct package){ name, bytes_over(bytes.at, symbol->size_bytes) };
	return true;
}

static void list_packages(
	const struct binary *b, const struct dynamic *d, struct package_list *list)
{
	struct dynamic_symbol symbol;
	struct package package;

	for (size_t i = 0; dynamic_symbol_at(d, i, &symbol); i++) {
		if (!read_package(b, &symbol, &package))
			continue;
		table_insert(&list->by_name, hash_bytes(package.name, strlen(package.name)),
			list->packages.count);
		*VEC_PUSH(&list->packages) = package;
	}
}

static bool is_named(const void *context, size_t index, const void *key)
{
	const struct package_list *list = context;

	return strcmp(list->packages.items[index].name, key) == 0;
}

static bool same_hash(const struct package *a, const struct package *b)
{
	return bytes_left(&a->hash) == bytes_left(&b->hash) &&
	       memcmp(a->hash.at, b->hash.at, bytes_left(&a->hash)) == 0;
}

void go_packages_compare(const struct binary *plugin, const struct dynamic *plugin_dynamic,
	const struct binary *host, const struct dynamic *host_dynamic, struct go_packages *ret)
{
	struct package_list hosts = { .by_name = { .count = 0 } };
	struct dynamic_symbol symbol;
	struct package package;
	size_t index;

	*ret = (struct go_packages){ .shared = 0 };
	list_packages(host, host_dynamic, &hosts);
	for (size_t i = 0; dynamic_symbol_at(plugin_dynamic, i, &symbol); i++) {
		if (!read_package(plugin, &symbol, &package) ||
			!table_find(&hosts.by_name,
				hash_bytes(package.name, strlen(package.name)), is_named,
				&hosts, package.name, &index))
			continue;
		ret->shared++;
		if (!same_hash(&package, &hosts.packages.items[index]))
			*VEC_PUSH(&ret->conflicts) = package.name;
	}
	table_free(&hosts.by_name);
	VEC_FREE(&hosts.packages);
}

void go_packages_free(struct go_packages *packages)
{
	VEC_FREE(&packages->conflicts);
}
