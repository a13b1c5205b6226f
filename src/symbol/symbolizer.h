/*
 * From (module, vaddr) to names: the tool's one way to ask for symbols.
 *
 * A module is one build of one ELF file.  Its sources are tried in a fixed order behind
 * source.h; "not here" asks the next one and is never an error.  A file whose build-ID is
 * not the module's is never used.  To be called by one thread; exits for want of memory; never
 * prints.
 */
#ifndef SYMBOL_SYMBOLIZER_H
#define SYMBOL_SYMBOLIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/build_id.h"
#include "symbol/demangle.h"

/* Fetching debug files and libraries over the network, from the servers in $DEBUGINFOD_URLS. */
struct symbol_fetching {
	/* Called about once a second for a file that comes; at last with SIZE 0.  NULL: do not. */
	void (*progress)(void *context, const struct build_id *build_id, long done, long size);
	void *context;
};
#define SYMBOL_FETCHING_SECONDS_MAX 60 /* for one file */

struct symbolizer_options {
	/* Folders laid out as /usr/lib/debug is (.build-id/ab/cdef.debug), asked before it.
	 * Borrowed for the symbolizer's life.  NULL-terminated; NULL: none. */
	const char *const *debug_folders;
	/* Stores of kept files, likewise (base/store.h). */
	const char *const *stores;
	/* Folders of binaries as pprof lays them out, likewise. */
	const char *const *pprof_folders;
	const struct symbol_fetching *fetching; /* NULL: nothing is fetched */
	enum demangle_style demangle;
	/* Nobody looks at a frame's SYSTEM_NAME, which may be NAME then: that spares memory. */
	bool shown_names_only;
	uint64_t thread_bytes; /* of DWARF that are work for two threads; 0: some megabytes */
};

#define SYMBOL_ANSWERS_MAX 16

struct symbolizer;
struct symbol_module;

/* One function at an address, innermost inlined subroutine first.  All strings live as long
 * as the symbolizer. */
struct symbol_frame {
	const char *name; /* demangled without parameters; never NULL or "" */
	const char *system_name; /* as the linker knows it; equals NAME when not mangled */
	const char *file; /* "" unknown; absolute where the compilation folder is known */
	uint32_t line; /* 0: unknown */
	uint32_t column; /* 0: unknown */
	uint32_t start_line; /* the function's declaration; 0: unknown */
};

struct symbol_frames {
	const struct symbol_frame *frames; /* valid until the next symbolizer_resolve() */
	size_t count; /* >= 1 after symbolizer_resolve() */
	/* A symbol, DWARF or the PLT named it.  False: only the function's start by its FDE
	 * ("codec.so!fn_1a2b0") or, with no FDE, the address ("codec.so!0x1144"). */
	bool resolved;
	/* The linker has made one of several functions that were alike, and which of them was
	 * meant cannot be told: the name is that of one. */
	bool is_folded;
};

/* Why a module's addresses got the names they did: one word for tests, one line for people. */
enum symbol_verdict {
	VERDICT_MAP, /* a symbol map with all that follows */
	VERDICT_DWARF, /* functions, lines and inlined subroutines */
	VERDICT_GO, /* Go's own tables: the same, but columns */
	VERDICT_SYMBOLS, /* .symtab: function names, no lines */
	VERDICT_EXPORTS_ONLY, /* .dynsym: stripped; exported names and FDE starts only */
	VERDICT_FDE_ONLY, /* not even exported symbols cover it */
	VERDICT_FILE_MISSING, /* no file at the path and no debug file for the build-ID */
	VERDICT_FILE_REPLACED, /* the file at the path has another build-ID */
	VERDICT_FILE_BAD, /* no ELF file, or too damaged to read */
	VERDICT_ANONYMOUS, /* no file: JIT or hand-mapped code */
};

/* The places where symbols are looked for, in this order.  What is found is taken only when it is
 * of the module's build; the search ends where there are lines. */
enum symbol_place {
	PLACE_OWN_PATH, /* the module's own file */
	PLACE_MAP, /* STORE/ab/cdef....psym */
	PLACE_KEPT, /* STORE/ab/cdef....elf: the file as it was loaded */
	PLACE_BUILD_ID, /* FOLDER/.build-id/ab/cdef....debug */
	PLACE_LINK, /* .gnu_debuglink: beside the file, in .debug/, below FOLDER */
	PLACE_PPROF, /* FOLDER/BUILD-ID/NAME, as pprof has it */
	PLACE_CACHE, /* what debuginfod's clients have fetched before */
	PLACE_SERVER, /* debuginfod */
	/* What was found refers to: */
	PLACE_ALT, /* dwz's common file, .gnu_debugaltlink */
	PLACE_SPLIT, /* .dwo files */
	PLACE_MINIDEBUG, /* .gnu_debugdata, in the module's file */
	PLACE_PERF_MAP, /* for code that no file holds */
};

/* One file that was looked at.  Its strings live as long as the module. */
struct symbol_step {
	enum symbol_place place;
	const char *path;
	const char *outcome; /* "absent", "build-ID ab.. instead of cd..", "taken: DWARF in it" */
	/* People should hear of it: both have build-IDs, and they differ; a server that they set
	 * cannot be asked. */
	bool warns;
};

/* How many addresses a source has told of. */
struct symbol_answer {
	const char *source; /* "DWARF"; what knew nothing: "nothing" */
	size_t count;
};

struct symbolizer *symbolizer_new(const struct symbolizer_options *options);
void symbolizer_free(struct symbolizer *s);

/* The module for PATH and BUILD_ID (size 0: unknown, any file at PATH is taken).  Owned by
 * the symbolizer; the same arguments give the same module.  Never NULL: a module without any
 * source still answers, and its verdict says why.
 * "[vdso]" (or linux-vdso.so.1) is read from the tool's own, when the build-IDs agree. */
struct symbol_module *symbolizer_module(
	struct symbolizer *s, const char *path, const struct build_id *build_id);

/* The same for a library without build-ID that is known by its content ID (base/content_id.h). */
struct symbol_module *symbolizer_module_by_content(
	struct symbolizer *s, const char *path, uint64_t content_id);

/* The same for what another tool calls its build by other words than build-IDs, as some do with
 * cmd/go's: the file at PATH is taken when they are that build-ID, and no other file. */
struct symbol_module *symbolizer_module_by_foreign_id(
	struct symbolizer *s, const char *path, const char *foreign_id);

/* The vaddr that lies FILE_OFFSET bytes into the module's file, inside an executable PT_LOAD:
 * what a pprof mapping knows.  START_OFFSET and SIZE are the mapping's own, for debug files
 * whose p_offset means nothing.  False: not inside any. */
bool symbol_module_vaddr(const struct symbol_module *m, uint64_t mapping_offset,
	uint64_t mapping_size, uint64_t offset_in_mapping, uint64_t *vaddr);

/* What VADDR is.  VADDR is exact for a leaf and return address minus one for a caller, so it
 * always lies inside the instruction meant.  Always fills *OUT. */
void symbolizer_resolve(struct symbolizer *s, struct symbol_module *m, uint64_t vaddr,
	struct symbol_frames *out);

/* An address that will be asked for. */
struct symbol_question {
	struct symbol_module *module;
	uint64_t vaddr;
	uint32_t number; /* the caller's own */
	uint64_t batch; /* symbolizer_plan()'s */
};

/* Put QUESTIONS, all that come next, in the order in which they are cheap to ask: each compilation
 * unit is read once, and no more of it than is asked for.  Where there is work for two a thread
 * reads ahead, until all is asked or S is freed.  Answers are the same without a plan, with another
 * one, or in another order. */
void symbolizer_plan(struct symbolizer *s, struct symbol_question *questions, size_t count);

enum symbol_verdict symbol_module_verdict(const struct symbol_module *m);
/* Files, lines and inlined functions are known, not names alone. */
bool symbol_verdict_has_lines(enum symbol_verdict verdict);
/* The verdict's stable word: "map", "dwarf", "go", "symbols", "exports-only", "fde-only",
 * "file-missing", "file-replaced", "file-bad", "anonymous". */
const char *symbol_verdict_word(enum symbol_verdict verdict);
/* For people: "debug link". */
const char *symbol_place_name(enum symbol_place place);
/* Where the module's symbols were looked for so far, in the order of enum symbol_place. */
size_t symbol_module_steps(const struct symbol_module *m, const struct symbol_step **steps);
/* One more step, which only the caller knows of. */
void symbol_module_note(struct symbol_module *m, enum symbol_place place, const char *path,
	const char *outcome);
/* The sources that have told of any address so far, in the order in which they are asked. */
size_t symbol_module_answers(
	const struct symbol_module *m, struct symbol_answer answers[static SYMBOL_ANSWERS_MAX]);
const char *symbol_module_path(const struct symbol_module *m);
const struct build_id *symbol_module_build_id(const struct symbol_module *m); /* size 0: unknown */
/* One line without the module's name: "stripped, no debug file for build-ID ab12...",
 * "file replaced: it has build-ID cd34..., the process ran ab12...".  Lives as long as M. */
const char *symbol_module_reason(const struct symbol_module *m);

#endif
