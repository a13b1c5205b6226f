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
#define ANSWERS_AT_ONCE 4096

struct answer {
	const char *text; /* the address as it was given */
	uint64_t vaddr;
	uint64_t batch;
	struct symbol_frame *frames;
	uint32_t frame_count;
	bool resolved, is_folded;
};

struct answers {
	VEC(struct answer) list;
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
	*VEC_PUSH(&a->list) = (struct answer){ .text = text, .vaddr = vaddr };
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

static int by_batch(const void *left, const void *right)
{
	const struct answer *a = *(struct answer *const *)left;
	const struct answer *b = *(struct answer *const *)right;

	if (a->batch != b->batch)
		return a->batch < b->batch ? -1 : 1;
	return (a->vaddr > b->vaddr) - (a->vaddr < b->vaddr);
}

static void resolve_one(struct symbolizer *s, struct symbol_module *m, struct answer *answer)
{
	struct symbol_frames found;

	symbolizer_resolve(s, m, answer->vaddr, &found);
	answer->frames = xreallocarray(NULL, found.count, sizeof(*answer->frames));
	memcpy(answer->frames, found.frames, found.count * sizeof(*answer->frames));
	answer->frame_count = (uint32_t)found.count;
	answer->resolved = found.resolved;
	answer->is_folded = found.is_folded;
}

/* In the order that is cheap to ask in. */
static void resolve(struct symbolizer *s, struct symbol_module *m, struct answer *answers,
	size_t count)
{
	struct answer **order = xcalloc(count + 1, sizeof(struct answer *));

	for (size_t i = 0; i < count; i++) {
		order[i] = &answers[i];
		order[i]->batch = symbol_module_batch(m, order[i]->vaddr);
	}
	qsort(order, count, sizeof(*order), by_batch);
	for (size_t i = 0; i < count; i++)
		resolve_one(s, m, order[i]);
	free(order);
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
static void print_place(FILE *out, const struct symbol_frame *f)
{
	if (!f->file[0] && f->line == 0) {
		fputs_unlocked("??", out);
		return;
	}
	fputs_unlocked(f->file[0] ? f->file : "??", out);
	if (f->line)
		print_number(out, ':', f->line);
	if (f->line && f->column)
		print_number(out, ':', f->column);
}

static void print_text(FILE *out, const struct answer *answer)
{
	fputs_unlocked(answer->text, out);
	fputs_unlocked(": ", out);
	for (uint32_t i = 0; i < answer->frame_count; i++) {
		const struct symbol_frame *f = &answer->frames[i];

		if (i > 0)
			fputs_unlocked(" (inlined by) ", out);
		fputs_unlocked(f->name, out);
		fputs_unlocked(" at ", out);
		print_place(out, f);
		putc_unlocked('\n', out);
	}
}

/* The ??:0:0 of llvm-symbolizer, for programs that look for it. */
static void print_llvm(FILE *out, const struct answer *answer)
{
	for (uint32_t i = 0; i < answer->frame_count; i++) {
		const struct symbol_frame *f = &answer->frames[i];

		fputs_unlocked(answer->resolved ? f->name : "??", out);
		putc_unlocked('\n', out);
		fputs_unlocked(f->file[0] ? f->file : "??", out);
		print_number(out, ':', f->line);
		print_number(out, ':', f->column);
		putc_unlocked('\n', out);
	}
	putc_unlocked('\n', out);
}

static void print_json_frame(FILE *out, const struct symbol_frame *f)
{
	fputs("{\"function\":", out);
	json_string(out, f->name);
	fputs(",\"linkage_name\":", out);
	json_string(out, f->system_name);
	fputs(",\"file\":", out);
	json_string(out, f->file);
	fprintf(out, ",\"line\":%u,\"column\":%u,\"start_line\":%u}", f->line, f->column,
		f->start_line);
}

static void print_json(FILE *out, const struct answer *answer)
{
	fprintf(out, "{\"address\":\"0x%llx\",\"resolved\":%s,\"folded\":%s,\"frames\":[",
		(unsigned long long)answer->vaddr, answer->resolved ? "true" : "false",
		answer->is_folded ? "true" : "false");
	for (uint32_t i = 0; i < answer->frame_count; i++) {
		if (i > 0)
			putc_unlocked(',', out);
		print_json_frame(out, &answer->frames[i]);
	}
	fputs("]}\n", out);
}

static void print(const struct address_request *request, const struct answer *answers, size_t count)
{
	static void (*const printers[])(FILE *, const struct answer *) = {
		[FORMAT_TEXT] = print_text,
		[FORMAT_JSON] = print_json,
		[FORMAT_LLVM] = print_llvm,
	};

	for (size_t i = 0; i < count; i++)
		printers[request->format](stdout, &answers[i]);
}

/* Forget the frames, which take the most room.  How many had no name. */
static size_t forget(struct answer *answers, size_t count)
{
	size_t unresolved = 0;

	for (size_t i = 0; i < count; i++) {
		unresolved += !answers[i].resolved;
		free(answers[i].frames);
		answers[i].frames = NULL;
	}
	return unresolved;
}

/* All at once where that spares reading things again; else so many that the answers stay small. */
static int answer_all(struct answers *a, struct symbolizer *s, struct symbol_module *m,
	size_t *unresolved)
{
	static char buffer[1 << 16];
	size_t count;

	setvbuf(stdout, buffer, _IOFBF, sizeof(buffer));
	*unresolved = 0;
	for (size_t at = 0; at < a->list.count; at += count) {
		struct answer *answers = &a->list.items[at];

		count = a->list.count - at;
		if (count > ANSWERS_AT_ONCE && !symbol_module_has_batches(m))
			count = ANSWERS_AT_ONCE;
		resolve(s, m, answers, count);
		print(a->request, answers, count);
		*unresolved += forget(answers, count);
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
	struct symbolizer *s = symbolizer_new(&request->options);
	struct symbol_module *m;
	int r = 0;

	for (char *const *address = request->addresses; *address && r == 0; address++)
		r = add(&a, *address);
	if (r == 0 && !request->addresses[0])
		r = read_input(&a);
	if (r == 0) {
		m = symbolizer_module(s, request->path, &request->build_id);
		r = answer_all(&a, s, m, unresolved);
		places_tell((void *)&request->detail, m);
		if (*unresolved > 0)
			say_why(request, m, *unresolved, a.list.count);
	}
	VEC_FREE(&a.list);
	free(a.input);
	symbolizer_free(s);
	return r;
}
