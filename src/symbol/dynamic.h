/*
 * What a library tells the dynamic loader: what it needs, where to look, which versions, its
 * symbols.  Read through the program headers as the loader does, so a file without section
 * headers answers too.  Strings are the binary's and live as long as it.
 */
#ifndef SYMBOL_DYNAMIC_H
#define SYMBOL_DYNAMIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/vec.h"

struct binary;

struct version_need {
	const char *library; /* "libc.so.6" */
	const char *version; /* "GLIBC_2.34" */
	bool weak; /* the loader only warns */
};

struct dynamic {
	bool is_dynamic; /* false: linked statically; all else is empty */
	bool has_interpreter; /* as programs have, and libraries that can be run too (libc) */
	const char *soname; /* NULL: none, as the following */
	const char *rpath;
	const char *runpath;
	uint64_t flags; /* DT_FLAGS */
	uint64_t flags_1; /* DT_FLAGS_1 */
	bool text_relocations;
	bool executable_stack;
	uint64_t tls_size_bytes; /* of PT_TLS */
	VEC(const char *) needed;
	VEC(struct version_need) version_needs;
	VEC(const char *) versions; /* that it defines */
	struct bytes symbols; /* for dynamic_symbol_at() */
	struct bytes strings;
};

struct dynamic_symbol {
	const char *name;
	uint64_t vaddr; /* 0 when not defined */
	uint64_t size_bytes;
	bool defined; /* and visible to others */
	bool weak;
	bool unique; /* STB_GNU_UNIQUE: its library is never unloaded */
};

/* Reads what is well-formed and leaves out the rest.  dynamic_free() afterwards. */
void dynamic_read(const struct binary *b, struct dynamic *ret);
void dynamic_free(struct dynamic *d);

/* The symbol at INDEX of .dynsym, from 0.  False: there are no more. */
bool dynamic_symbol_at(const struct dynamic *d, size_t index, struct dynamic_symbol *ret);

/* A program, which dlopen() refuses. */
bool dynamic_is_program(const struct dynamic *d);
bool dynamic_defines(const struct dynamic *d, const char *name);
bool dynamic_has_version(const struct dynamic *d, const char *version);

#endif
