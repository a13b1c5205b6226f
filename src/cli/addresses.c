#define _GNU_SOURCE
#include "cli/addresses.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/path.h"
#include "base/vec.h"
#include "cli/json.h"
#include "cli/message.h"

#define INPUT_SIZE_MAX (1u << 30)
/* A frame as far as every format prints it, and the rest: there may be millions. */
struct place {
	const char *function, *file;
	uint32_t line, column;
};

struct place_details {
	const char *linkage_name;
	uint32_t start_line;
};

struct answer {
	const char *text; /* the address as it was given */
	size_t first_place;
	uint32_t place_count;
	bool resolved, is_folded;
};

struct answers {
	VEC(struct answer) list; /* in the order of the input */
	VEC(struct symbol_question) questions; /* numbered by it */
	VEC(struct place) places;
	VEC(struct place_details) details; /* of the same, where they are printed */
	uint8_t *input; /* what the texts lie in; NULL: the command line */
	const struct address_request *request;
};

/* Hexadecimal, with or without 0x. */
static bool parse_address(const char *text, uint64_t *vaddr)
{
	char *end;

	if (!isxdigit((unsigned char)text[0]))
		return false;
	errno = 0;
	*vaddr = strtoull(text, &end, 16);
	return *end == '\0' && end != text && errno == 0;
}

static int add(struct answers *a, const char *text)
{
	uint64_t vaddr;

	if (!parse_address(text, &vaddr)) {
		message("%.60s is no address: they are hexadecimal, as 0x1144", text);
		return -EINVAL;
	}
	*VEC_PUSH(&a->questions) = (struct symbol_question){
		.vaddr = vaddr, .number = (uint32_t)a->list.count };
	*VEC_PUSH(&a->list) = (struct answer){ .text = text };
	return 0;
}

/* One address or several a line, up to the end. */
static int read_input(struct answers *a)
{
	char *rest, *word;
	size_t size;
	int r = file_read_all(STDIN_FILENO, INPUT_SIZE_MAX, &a->input, &size);

	if (r) {
		message_errno(r, "cannot read standard input");
		return r;
	}
	a->input = xreallocarray(a->input, size + 1, 1);
	a->input[size] = '\0';
	rest = (char *)a->input;
	while (r == 0 && (word = strtok_r(rest, " \t\r\n", &rest)) != NULL)
		r = add(a, word);
	return r;
}

static void add_place(struct answers *a, const struct symbol_frame *f)
{
	*VEC_PUSH(&a->places) = (struct place){ f->name, f->file, f->line, f->column };
	if (a->request->format == FORMAT_JSON)
		*VEC_PUSH(&a->details) =
			(struct place_details){ f->system_name, f->start_line };
}

static void resolve_one(
	struct answers *a, struct symbolizer *s, const struct symbol_question *question)
{
	struct answer *answer = &a->list.items[question->number];
	struct symbol_frames found;

	symbolizer_resolve(s, question->module, question->vaddr, &found);
	answer->first_place = a->places.count;
	answer->place_count = (uint32_t)found.count;
	answer->resolved = found.resolved;
	answer->is_folded = found.is_folded;
	for (size_t i = 0; i < found.count; i++)
		add_place(a, &found.frames[i]);
}

/* In the order that is cheap to ask in. */
static void resolve(struct answers *a, struct symbolizer *s, struct symbol_module *m)
{
	for (size_t i = 0; i < a->questions.count; i++)
		a->questions.items[i].module = m;
	symbolizer_plan(s, a->questions.items, a->questions.count);
	for (size_t i = 0; i < a->questions.count; i++)
		resolve_one(a, s, &a->questions.items[i]);
	VEC_FREE(&a->questions);
}

static void print_number(FILE *out, char before, uint32_t number)
{
	char digits[12];
	char *at = digits + sizeof(digits) - 1;

	*at = '\0';
	do {
		*--at = (char)('0' + number % 10);
		number /= 10;
	} while (number);
	*--at = before;
	fputs_unlocked(at, out);
}

/* "FILE:LINE:COLUMN", what is unknown left out. */
static void print_position(FILE *out, const struct place *p)
{
	if (!p->file[0] && p->line == 0) {
		fputs_unlocked("??", out);
		return;
	}
	fputs_unlocked(p->file[0] ? p->file : "??", out);
	if (p->line)
		print_number(out, ':', p->line);
	if (p->line && p->column)
		print_number(out, ':', p->column);
}

static void print_text(FILE *out, const struct answers *a, const struct answer *answer)
{
	const struct place *places = &a->places.items[answer->first_place];

	fputs_unlocked(answer->text, out);
	fputs_unlocked(": ", out);
	for (uint32_t i = 0; i < answer->place_count; i++) {
		if (i > 0)
			fputs_unlocked(" (inlined by) ", out);
		fputs_unlocked(places[i].function, out);
		fputs_unlocked(" at ", out);
		print_position(out, &places[i]);
		putc_unlocked('\n', out);
	}
}

/* The ??:0:0 of llvm-symbolizer, for programs that look for it. */
static void print_llvm(FILE *out, const struct answers *a, const struct answer *answer)
{
	const struct place *places = &a->places.items[answer->first_place];

	for (uint32_t i = 0; i < answer->place_count; i++) {
		const struct place *p = &places[i];

		fputs_unlocked(answer->resolved ? p->function : "??", out);
		putc_unlocked('\n', out);
		fputs_unlocked(p->file[0] ? p->file : "??", out);
		print_number(out, ':', p->line);
		print_number(out, ':', p->column);
		putc_unlocked('\n', out);
	}
	putc_unlocked('\n', out);
}

static void print_json_place(
	FILE *out, const struct place *p, const struct place_details *details)
{
	fputs("{\"function\":", out);
	json_string(out, p->function);
	fputs(",\"linkage_name\":", out);
	json_string(out, details->linkage_name);
	fputs(",\"file\":", out);
	json_string(out, p->file);
	fprintf(out, ",\"line\":%u,\"column\":%u,\"start_line\":%u}", p->line, p->column,
		details->start_line);
}

static void print_json(FILE *out, const struct answers *a, const struct answer *answer)
{
	const struct place *places = &a->places.items[answer->first_place];
	const struct place_details *details = &a->details.items[answer->first_place];
	uint64_t vaddr = 0;

	parse_address(answer->text, &vaddr);
	fprintf(out, "{\"address\":\"0x%llx\",\"resolved\":%s,\"folded\":%s,\"frames\":[",
		(unsigned long long)vaddr, answer->resolved ? "true" : "false",
		answer->is_folded ? "true" : "false");
	for (uint32_t i = 0; i < answer->place_count; i++) {
		if (i > 0)
			putc_unlocked(',', out);
		print_json_place(out, &places[i], &details[i]);
	}
	fputs("]}\n", out);
}

/* 0 or -errno; *UNRESOLVED: how many had no name. */
static int print(const struct answers *a, size_t *unresolved)
{
	static void (*const printers[])(FILE *, const struct answers *, const struct answer *) = {
		[FORMAT_TEXT] = print_text,
		[FORMAT_JSON] = print_json,
		[FORMAT_LLVM] = print_llvm,
	};
	static char buffer[1 << 16];

	setvbuf(stdout, buffer, _IOFBF, sizeof(buffer));
	*unresolved = 0;
	for (size_t i = 0; i < a->list.count; i++) {
		printers[a->request->format](stdout, a, &a->list.items[i]);
		*unresolved += !a->list.items[i].resolved;
	}
	if (fflush(stdout) == 0 && !ferror(stdout))
		return 0;
	message_errno(-errno, "cannot write to standard output");
	return -EIO;
}

static void say_why(const struct address_request *request, const struct symbol_module *m,
	size_t unresolved, size_t count)
{
	const bool is_whole = symbol_verdict_has_lines(symbol_module_verdict(m));
	char hex[BUILD_ID_HEX_SIZE];

	message("%zu of %zu addresses of %s have no name: %s", unresolved, count,
		request->path[0] ? request->path : build_id_to_hex(&request->build_id, hex),
		is_whole ? "no function covers them" : symbol_module_reason(m));
}

int addresses_symbolize(const struct address_request *request, size_t *unresolved)
{
	struct answers a = { .request = request };
	struct symbolizer_options options = request->options;
	struct symbol_module *m;
	struct symbolizer *s;
	int r = 0;

	options.shown_names_only = request->format != FORMAT_JSON;
	s = symbolizer_new(&options);

	for (char *const *address = request->addresses; *address && r == 0; address++)
		r = add(&a, *address);
	if (r == 0 && !request->addresses[0])
		r = read_input(&a);
	if (r == 0) {
		m = symbolizer_module(s, request->path, &request->build_id);
		resolve(&a, s, m);
		r = print(&a, unresolved);
		places_tell((void *)&request->detail, m);
		if (*unresolved > 0)
			say_why(request, m, *unresolved, a.list.count);
	}
	VEC_FREE(&a.list);
	VEC_FREE(&a.questions);
	VEC_FREE(&a.places);
	VEC_FREE(&a.details);
	free(a.input);
	symbolizer_free(s);
	return r;
}
