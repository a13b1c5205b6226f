#define _GNU_SOURCE
#include "symbol/demangle.h"

#include <ctype.h>
#include <libiberty/demangle.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#undef ARRAY_SIZE /* libiberty's */
#include "base/compiler.h"
#include "base/hash.h"
#include "base/table.h"
#include "base/vec.h"

struct demangled {
	const char *linkage_name; /* both in the pool */
	const char *name;
};

struct demangler {
	struct text_pool *pool;
	enum demangle_style style;
	VEC(struct demangled) names;
	struct table by_linkage_name; /* by address: the pool keeps each text once */
};

/* Collects what libiberty prints piece by piece.  Back-references let a short name print
 * gigabytes, and libiberty cannot be told to stop, so we jump out of it: its callback
 * functions keep all they have on the stack. */
struct output {
	VEC(char) text;
	jmp_buf too_long;
};

struct demangler *demangler_new(struct text_pool *pool, enum demangle_style style)
{
	struct demangler *d = xcalloc(1, sizeof(*d));

	d->pool = pool;
	d->style = style;
	return d;
}

void demangler_free(struct demangler *d)
{
	if (!d)
		return;
	VEC_FREE(&d->names);
	table_free(&d->by_linkage_name);
	free(d);
}

/* The length of NAME without one clone suffix: ".cold", ".isra.0", ".llvm.8123"; else SIZE. */
static size_t size_without_suffix(const char *name, size_t size)
{
	static const char *const words[] = { "cold", "isra", "part", "constprop", "lto_priv",
		"localalias", "llvm", "clone", "unlikely", "warm" };
	const char *dot = memrchr(name, '.', size);
	size_t end = size;

	if (dot && dot > name && isdigit((unsigned char)dot[1])) { /* the clone's number */
		for (const char *at = dot + 1; at < name + size; at++)
			if (!isdigit((unsigned char)*at))
				return size;
		end = (size_t)(dot - name);
		dot = memrchr(name, '.', end);
	}
	if (!dot || dot == name)
		return size;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strlen(words[i]) == end - (size_t)(dot + 1 - name) &&
			memcmp(dot + 1, words[i], strlen(words[i])) == 0)
			return (size_t)(dot - name);
	return size;
}

static size_t size_without_clone_suffixes(const char *name, size_t size)
{
	size_t shorter;

	while ((shorter = size_without_suffix(name, size)) < size)
		size = shorter;
	return size;
}

static void collect(const char *piece, size_t size, void *context)
{
	struct output *out = context;

	if (out->text.count + size > TEXT_SIZE_MAX)
		longjmp(out->too_long, 1);
	out->text.items =
		vec_grow(out->text.items, &out->text.capacity, out->text.count, size, 1);
	memcpy(out->text.items + out->text.count, piece, size);
	out->text.count += size;
}

/* Rust's older mangling is C++'s with a hash at the end: "17h", 16 digits, "E". */
static bool may_be_rust(const char *mangled)
{
	static const char hash[] = "17h0123456789abcdefE";
	const size_t size = strlen(mangled);

	return mangled[1] == 'R' ||
		(size >= strlen(hash) && memcmp(mangled + size - strlen(hash), hash, 3) == 0);
}

/* False: MANGLED is not mangled, or its name is longer than any that serves. */
static bool print_readable(const char *mangled, int options, struct output *out)
{
	if (setjmp(out->too_long))
		return false;
	return (may_be_rust(mangled) &&
		       rust_demangle_callback(mangled, options, collect, out)) ||
		cplus_demangle_v3_callback(mangled, options, collect, out);
}

/* All that libiberty can read starts with an underscore. */
static const char *readable(struct demangler *d, const char *linkage_name)
{
	static const char plt[] = "@plt";
	size_t size = strlen(linkage_name);
	const bool is_plt = size > strlen(plt) &&
		strcmp(linkage_name + size - strlen(plt), plt) == 0;
	struct output out = { .text = { NULL, 0, 0 } };
	const int options = d->style == DEMANGLE_FULL ? DMGL_PARAMS | DMGL_ANSI : DMGL_NO_OPTS;
	const char *name = linkage_name;
	char *mangled;

	if (is_plt)
		size -= strlen(plt);
	size = size_without_clone_suffixes(linkage_name, size);
	mangled = xstrndup(linkage_name, size);
	if (mangled[0] != '_' || !print_readable(mangled, options, &out) || out.text.count == 0) {
		out.text.count = 0;
		for (size_t i = 0; i < size; i++)
			*VEC_PUSH(&out.text) = mangled[i];
	}
	for (size_t i = 0; is_plt && plt[i]; i++)
		*VEC_PUSH(&out.text) = plt[i];
	if (out.text.count > 0)
		name = text_pool_add_sized(d->pool, out.text.items, out.text.count);
	VEC_FREE(&out.text);
	free(mangled);
	return name;
}

const char *demangle_once(struct demangler *d, const char *linkage_name)
{
	const char *name = readable(d, linkage_name);

	return name == linkage_name ? text_pool_add(d->pool, name) : name;
}

static bool same_linkage_name(const void *context, size_t index, const void *key)
{
	const struct demangler *d = context;

	return d->names.items[index].linkage_name == key;
}

const char *demangle(struct demangler *d, const char *linkage_name)
{
	const uint64_t hash = hash_mix((uintptr_t)linkage_name);
	struct demangled *known;
	size_t index;

	if (d->style == DEMANGLE_NONE)
		return linkage_name;
	if (table_find(&d->by_linkage_name, hash, same_linkage_name, d, linkage_name, &index))
		return d->names.items[index].name;
	index = d->names.count;
	known = VEC_PUSH(&d->names);
	*known = (struct demangled){ linkage_name, readable(d, linkage_name) };
	table_insert(&d->by_linkage_name, hash, index);
	return known->name;
}
