#include "mapstore/gsym_function.h"

#include <stdbool.h>
#include <string.h>

#include "base/hash.h"

enum info_type { INFO_END, INFO_LINES, INFO_INLINED };

enum line_op { OP_END, OP_SET_FILE, OP_ADVANCE_PC, OP_ADVANCE_LINE, OP_FIRST_SPECIAL };
/* Lines that go forward or back by so little take one byte with the address. */
#define LINE_DELTA_MIN (-4)
#define LINE_DELTA_MAX 10
#define LINE_RANGE (LINE_DELTA_MAX - LINE_DELTA_MIN + 1)

struct gsym_row {
	uint64_t vaddr;
	uint32_t file, line;
};

struct stretch {
	uint64_t vaddr, end;
};

struct call { /* what tells inlined calls of one function apart */
	uint32_t caller; /* index of a node */
	uint32_t name, file, line;
};

struct gsym_node {
	struct call call;
	VEC(struct stretch) code;
	uint32_t first_callee, last_callee, next; /* indices; 0: none */
};

static void forget_nodes(struct gsym_function *f)
{
	for (size_t i = 0; i < f->nodes.count; i++)
		VEC_FREE(&f->nodes.items[i].code);
	f->nodes.count = 0;
	table_free(&f->by_call);
}

void gsym_function_start(struct gsym_function *f, uint64_t vaddr, uint32_t name)
{
	forget_nodes(f);
	f->rows.count = 0;
	f->vaddr = f->end = vaddr;
	f->name = name;
	VEC_PUSH(&f->nodes)->call.name = name;
}

void gsym_function_free(struct gsym_function *f)
{
	forget_nodes(f);
	VEC_FREE(&f->nodes);
	VEC_FREE(&f->rows);
}

static bool same_call(const void *context, size_t index, const void *key)
{
	const struct gsym_function *f = context;

	return memcmp(&f->nodes.items[index].call, key, sizeof(struct call)) == 0;
}

static uint32_t node_of(struct gsym_function *f, const struct call *call)
{
	const uint64_t hash = hash_bytes(call, sizeof(*call));
	struct gsym_node *caller;
	size_t index;

	if (table_find(&f->by_call, hash, same_call, f, call, &index))
		return (uint32_t)index;
	index = f->nodes.count;
	VEC_PUSH(&f->nodes)->call = *call;
	table_insert(&f->by_call, hash, index);
	caller = &f->nodes.items[call->caller];
	if (caller->last_callee)
		f->nodes.items[caller->last_callee].next = (uint32_t)index;
	else
		caller->first_callee = (uint32_t)index;
	caller->last_callee = (uint32_t)index;
	return (uint32_t)index;
}

static void add_code(struct gsym_node *node, uint64_t vaddr, uint64_t end)
{
	struct stretch *last =
		node->code.count ? &node->code.items[node->code.count - 1] : NULL;

	if (last && last->end == vaddr)
		last->end = end;
	else
		*VEC_PUSH(&node->code) = (struct stretch){ vaddr, end };
}

static uint32_t file_of(const struct gsym_function *f, const struct gsym_place *place)
{
	return place->file ? place->file : f->unknown_file;
}

static void add_row(struct gsym_function *f, uint64_t vaddr, const struct gsym_place *place)
{
	const struct gsym_row row = { vaddr, file_of(f, place), place->line };
	const struct gsym_row *last = f->rows.count ? &f->rows.items[f->rows.count - 1] : NULL;

	if (!last || last->file != row.file || last->line != row.line)
		*VEC_PUSH(&f->rows) = row;
}

void gsym_function_add(struct gsym_function *f, uint64_t vaddr, uint64_t end,
	const struct gsym_place *places, size_t count)
{
	uint32_t node = 0;

	f->end = end;
	add_row(f, vaddr, &places[0]);
	add_code(&f->nodes.items[0], vaddr, end);
	for (size_t i = count - 1; i-- > 0;) {
		const struct call call = { .caller = node,
			.name = places[i].name,
			.file = file_of(f, &places[i + 1]),
			.line = places[i + 1].line };

		node = node_of(f, &call);
		add_code(&f->nodes.items[node], vaddr, end);
	}
}

/* LineTable.h.  Rows start at file 1 and the function's address; each opcode that moves the address
 * makes one. */
static void write_row(
	const struct gsym_row *row, const struct gsym_row *before, struct output *out)
{
	const int64_t line_delta = (int64_t)row->line - before->line;
	const uint64_t pc_delta = row->vaddr - before->vaddr;

	if (row->file != before->file) {
		output_u8(out, OP_SET_FILE);
		output_uleb128(out, row->file);
	}
	if (line_delta >= LINE_DELTA_MIN && line_delta <= LINE_DELTA_MAX &&
		pc_delta <= (UINT8_MAX - OP_FIRST_SPECIAL) / LINE_RANGE - 1) {
		output_u8(out, (uint8_t)(OP_FIRST_SPECIAL + pc_delta * LINE_RANGE +
				       (uint64_t)(line_delta - LINE_DELTA_MIN)));
		return;
	}
	if (line_delta) {
		output_u8(out, OP_ADVANCE_LINE);
		output_sleb128(out, line_delta);
	}
	output_u8(out, OP_ADVANCE_PC);
	output_uleb128(out, pc_delta);
}

static void write_lines(const struct gsym_function *f, struct output *out)
{
	struct gsym_row before = { f->vaddr, 1, f->rows.items[0].line };

	output_sleb128(out, LINE_DELTA_MIN);
	output_sleb128(out, LINE_DELTA_MAX);
	output_uleb128(out, before.line);
	for (size_t i = 0; i < f->rows.count; i++) {
		write_row(&f->rows.items[i], &before, out);
		before = f->rows.items[i];
	}
	output_u8(out, OP_END);
}

/* InlineInfo.h.  Addresses count from the first of the caller's.  As deep as a map's chains are:
 * MAP_DEPTH_MAX. */
static void write_node(const struct gsym_function *f, const struct gsym_node *node, uint64_t base,
	struct output *out)
{
	output_uleb128(out, node->code.count);
	for (size_t i = 0; i < node->code.count; i++) {
		output_uleb128(out, node->code.items[i].vaddr - base);
		output_uleb128(out, node->code.items[i].end - node->code.items[i].vaddr);
	}
	output_u8(out, node->first_callee != 0);
	output_u32(out, node->call.name);
	output_uleb128(out, node->call.file);
	output_uleb128(out, node->call.line);
	for (uint32_t callee = node->first_callee; callee; callee = f->nodes.items[callee].next)
		write_node(f, &f->nodes.items[callee], node->code.items[0].vaddr, out);
	if (node->first_callee)
		output_uleb128(out, 0); /* no ranges: that was the last */
}

static void write_inlined(const struct gsym_function *f, struct output *out)
{
	write_node(f, &f->nodes.items[0], f->vaddr, out);
}

/* A type, the size, and what WRITE has to say. */
static void write_info(const struct gsym_function *f, enum info_type type,
	void (*write)(const struct gsym_function *, struct output *), struct output *out)
{
	size_t start;

	output_u32(out, type);
	output_u32(out, 0);
	start = out->bytes.count;
	write(f, out);
	output_set_u32(out, start - 4, (uint32_t)(out->bytes.count - start));
}

void gsym_function_write(const struct gsym_function *f, struct output *out)
{
	const bool has_inlined = f->nodes.count > 1;

	output_u32(out, (uint32_t)(f->end - f->vaddr));
	output_u32(out, f->name);
	if (has_inlined || f->rows.count > 1 || f->rows.items[0].file != f->unknown_file)
		write_info(f, INFO_LINES, write_lines, out);
	if (has_inlined)
		write_info(f, INFO_INLINED, write_inlined, out);
	output_u32(out, INFO_END);
	output_u32(out, 0);
}
