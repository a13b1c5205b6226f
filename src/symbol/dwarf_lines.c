#define _GNU_SOURCE
#include "symbol/dwarf_lines.h"

#include <dwarf.h>
#include <string.h>

#include "symbol/dwarf_form.h"

#define NO_FILE UINT32_MAX
#define FORMATS_MAX 16

struct header {
	struct dwarf_unit unit; /* for reading forms: the table has sizes of its own */
	struct bytes rest; /* behind the fixed part: folders and files */
	struct bytes program;
	uint8_t minimum_length;
	int8_t line_base;
	uint8_t line_range;
	uint8_t opcode_base;
	uint8_t operands[256]; /* of the standard opcodes */
	/* What each special opcode adds: divided once, not once a row. */
	uint32_t address_advance[256];
	int64_t line_advance[256];
};

static bool read_header(struct header *h, const struct dwarf_unit *u, uint64_t offset)
{
	struct bytes at = dwarf_section_at(u->file, DWARF_LINE, offset);
	uint64_t size = bytes_u32(&at);

	h->unit = *u;
	h->unit.offset_size = 4;
	if (size == UINT32_MAX) {
		size = bytes_u64(&at);
		h->unit.offset_size = 8;
	}
	if (size < bytes_left(&at))
		at.end = at.at + size;
	h->unit.version = bytes_u16(&at);
	if (h->unit.version < 2 || h->unit.version > 5)
		return false;
	if (h->unit.version >= 5)
		bytes_skip(&at, 2); /* sizes of addresses and segment selectors */
	size = bytes_uint(&at, h->unit.offset_size);
	h->program = at;
	bytes_skip(&h->program, size);
	h->minimum_length = bytes_u8(&at);
	if (h->unit.version >= 4)
		bytes_u8(&at); /* operations in an instruction, of VLIW machines */
	bytes_u8(&at); /* default_is_stmt */
	h->line_base = (int8_t)bytes_u8(&at);
	h->line_range = bytes_u8(&at);
	h->opcode_base = bytes_u8(&at);
	for (int i = 1; i < h->opcode_base; i++)
		h->operands[i] = bytes_u8(&at);
	h->rest = at;
	return bytes_ok(&at) && bytes_ok(&h->program) && h->line_range > 0;
}

static void work_out_advances(struct header *h)
{
	for (int opcode = h->opcode_base; opcode <= UINT8_MAX; opcode++) {
		const int both = opcode - h->opcode_base;

		h->address_advance[opcode] = (uint32_t)(both / h->line_range * h->minimum_length);
		h->line_advance[opcode] = h->line_base + both % h->line_range;
	}
}

struct folders {
	VEC(const char *) list;
};

static void add_file(struct dwarf_lines *lines, const struct folders *folders,
	const char *name, uint64_t folder)
{
	*VEC_PUSH(&lines->files) = (struct dwarf_line_file){ .name = name ? name : "",
		.folder = folder < folders->list.count ? folders->list.items[folder] : NULL };
}

/* Versions 2 to 4: folder 0 is the unit's, file 0 is none. */
static void read_old_files(struct dwarf_lines *lines, struct header *h, struct folders *folders)
{
	const char *text;

	VEC_PUSH(&folders->list);
	while ((text = bytes_string(&h->rest)) != NULL && text[0])
		*VEC_PUSH(&folders->list) = text;
	add_file(lines, folders, NULL, UINT64_MAX);
	while ((text = bytes_string(&h->rest)) != NULL && text[0]) {
		const uint64_t folder = bytes_uleb128(&h->rest);

		bytes_uleb128(&h->rest); /* time */
		bytes_uleb128(&h->rest); /* size */
		add_file(lines, folders, text, folder);
	}
}

struct entry_format {
	uint16_t contents[FORMATS_MAX], forms[FORMATS_MAX];
	uint8_t count;
};

static void read_format(struct bytes *at, struct entry_format *format)
{
	format->count = bytes_u8(at);
	if (format->count > FORMATS_MAX)
		bytes_break(at);
	for (int i = 0; bytes_ok(at) && i < format->count; i++) {
		format->contents[i] = (uint16_t)bytes_uleb128(at);
		format->forms[i] = (uint16_t)bytes_uleb128(at);
	}
}

static void read_entry(
	struct header *h, const struct entry_format *format, const char **name, uint64_t *folder)
{
	*name = NULL;
	*folder = 0;
	for (int i = 0; i < format->count && bytes_ok(&h->rest); i++) {
		const struct dwarf_value v =
			dwarf_read_form(&h->unit, format->forms[i], &h->rest);

		if (!bytes_ok(&h->rest))
			return;
		if (format->contents[i] == DW_LNCT_path)
			*name = dwarf_value_text(&h->unit, &v);
		else if (format->contents[i] == DW_LNCT_directory_index)
			*folder = v.number;
	}
}

/* Version 5: both lists say how their entries look, and count from 0. */
static void read_new_files(struct dwarf_lines *lines, struct header *h, struct folders *folders)
{
	struct entry_format format;
	const char *name;
	uint64_t count, folder;

	read_format(&h->rest, &format);
	count = bytes_uleb128(&h->rest);
	for (; count > 0 && bytes_left(&h->rest) > 0; count--) {
		const uint8_t *before = h->rest.at;

		read_entry(h, &format, &name, &folder);
		if (h->rest.at == before) /* entries of no bytes could be without number */
			return;
		*VEC_PUSH(&folders->list) = name;
	}
	read_format(&h->rest, &format);
	count = bytes_uleb128(&h->rest);
	for (; count > 0 && bytes_left(&h->rest) > 0; count--) {
		const uint8_t *before = h->rest.at;

		read_entry(h, &format, &name, &folder);
		if (!bytes_ok(&h->rest) || h->rest.at == before)
			return;
		add_file(lines, folders, name, folder);
	}
}

static void read_files(struct dwarf_lines *lines, struct header *h)
{
	struct folders folders = { { NULL, 0, 0 } };

	if (h->unit.version < 5)
		read_old_files(lines, h, &folders);
	else
		read_new_files(lines, h, &folders);
	VEC_FREE(&folders.list);
}

/* The state machine: DWARF 5 section 6.2.2. */
struct registers {
	uint64_t vaddr, file, line, column; /* wide, or they would be kept in pairs */
};

struct machine {
	struct dwarf_lines *lines;
	const struct dwarf_file *file;
	struct registers registers;
	size_t start; /* of the sequence that is being read */
	uint64_t last_vaddr; /* of its rows */
	/* Where not all rows are kept; NULL: they are. */
	const struct dwarf_wanted *wanted;
	uint64_t low; /* of the sequence: its first row's address */
	struct dwarf_row pending; /* its last row: how far that reaches the next one says */
	uint64_t next_wanted; /* the first address from PENDING's on */
	VEC(struct sequence) sequences;
	bool is_sorted; /* each sequence is, in itself */
	bool in_order; /* and they come one behind the other */
};

struct sequence {
	size_t start, count; /* of its rows */
	uint64_t low, high;
};

static void start_sequence(struct machine *m)
{
	m->registers = (struct registers){ .file = 1, .line = 1 };
	m->start = m->lines->rows.count;
	m->last_vaddr = 0;
	m->low = m->next_wanted = 0;
	m->pending.file = NO_FILE;
}

static inline void write_row(struct dwarf_row *row, struct registers r)
{
	row->vaddr = r.vaddr;
	row->file = (uint32_t)r.file;
	row->line = (uint32_t)r.line;
	row->column = (uint32_t)r.column;
}

static struct dwarf_row *new_row(struct machine *m)
{
	return VEC_PUSH(&m->lines->rows);
}

static inline void keep_row(struct machine *m, struct registers r)
{
	struct dwarf_row *row;

	if (UNLIKELY(m->lines->rows.count == m->lines->rows.capacity))
		row = new_row(m);
	else
		row = &m->lines->rows.items[m->lines->rows.count++];
	write_row(row, r);
}

static void keep_pending(struct machine *m, uint64_t end)
{
	if (m->pending.file == NO_FILE) /* none as yet */
		m->low = end;
	else
		*new_row(m) = m->pending;
	m->next_wanted = dwarf_wanted_from(m->wanted, end);
}

/* By value: what is in registers need not be written to be read again. */
static inline void add_row(struct machine *m, struct registers r)
{
	if (r.vaddr < m->last_vaddr)
		m->is_sorted = false;
	m->last_vaddr = r.vaddr;
	if (m->wanted) {
		if (UNLIKELY(r.vaddr > m->next_wanted))
			keep_pending(m, r.vaddr);
		write_row(&m->pending, r);
	} else {
		keep_row(m, r);
	}
}

static bool is_end(const struct dwarf_row *row)
{
	return row->file == NO_FILE;
}

static void end_sequence(struct machine *m)
{
	struct sequence s = { .start = m->start, .high = m->registers.vaddr };

	m->registers.file = NO_FILE;
	m->registers.line = m->registers.column = 0;
	add_row(m, m->registers);
	if (m->wanted)
		keep_row(m, m->registers);
	s.count = m->lines->rows.count - s.start;
	s.low = m->wanted ? m->low : m->lines->rows.items[s.start].vaddr;
	/* What the linker has discarded starts at 0, or at the highest addresses. */
	if (s.low == 0 || binary_code_end(m->file->binary, s.low) == 0) {
		m->lines->rows.count = s.start;
	} else {
		if (m->sequences.count > 0 &&
			s.low < m->sequences.items[m->sequences.count - 1].high)
			m->in_order = false;
		*VEC_PUSH(&m->sequences) = s;
	}
	start_sequence(m);
}

/* By value, too: gives the cursor behind the instruction. */
static struct bytes run_extended(struct machine *m, struct bytes at)
{
	const uint64_t size = bytes_uleb128(&at);
	struct bytes operands = bytes_over(at.at, size <= bytes_left(&at) ? size : 0);

	if (!bytes_skip(&at, size) || size == 0)
		return at;
	switch (bytes_u8(&operands)) {
	case DW_LNE_end_sequence:
		end_sequence(m);
		break;
	case DW_LNE_set_address:
		m->registers.vaddr = bytes_uint(&operands, size - 1 == 4 ? 4 : 8);
		break;
	}
	return at;
}

static inline void run_standard(struct machine *m, const struct header *h, uint8_t opcode,
	struct bytes *at, struct registers *r)
{
	switch (opcode) {
	case DW_LNS_copy:
		add_row(m, *r);
		break;
	case DW_LNS_advance_pc:
		r->vaddr += bytes_uleb128(at) * h->minimum_length;
		break;
	case DW_LNS_advance_line:
		r->line += (uint64_t)bytes_sleb128(at);
		break;
	case DW_LNS_set_file:
		r->file = bytes_uleb128(at) & INT32_MAX;
		break;
	case DW_LNS_set_column:
		r->column = bytes_uleb128(at);
		break;
	case DW_LNS_const_add_pc:
		r->vaddr += h->address_advance[UINT8_MAX];
		break;
	case DW_LNS_fixed_advance_pc:
		r->vaddr += bytes_u16(at);
		break;
	default:
		for (int i = 0; i < h->operands[opcode] && bytes_ok(at); i++)
			bytes_uleb128(at);
		break;
	}
}

/* The registers, and the cursor, are variables whose address nobody has, for the compiler to keep
 * in the processor's. */
static void run_program(struct machine *m, const struct header *h)
{
	struct bytes at = h->program;
	struct registers r = m->registers;

	while (bytes_left(&at) > 0) {
		const uint8_t opcode = *at.at++;

		if (opcode >= h->opcode_base) {
			r.vaddr += h->address_advance[opcode];
			r.line += (uint64_t)h->line_advance[opcode];
			add_row(m, r);
		} else if (opcode == 0) {
			m->registers = r;
			at = run_extended(m, at);
			r = m->registers;
		} else {
			run_standard(m, h, opcode, &at, &r);
		}
	}
	m->lines->rows.count = m->start; /* without an end it covers nothing */
}

struct numbered_row {
	struct dwarf_row row;
	size_t number;
};

/* Where one sequence ends another may start: the end comes first. */
static int by_vaddr(const void *left, const void *right)
{
	const struct numbered_row *a = left, *b = right;

	if (a->row.vaddr != b->row.vaddr)
		return a->row.vaddr < b->row.vaddr ? -1 : 1;
	if (is_end(&a->row) != is_end(&b->row))
		return is_end(&a->row) ? -1 : 1;
	return a->number < b->number ? -1 : a->number > b->number;
}

static void sort_rows(struct dwarf_lines *lines)
{
	struct numbered_row *rows = xreallocarray(NULL, lines->rows.count + 1, sizeof(*rows));

	for (size_t i = 0; i < lines->rows.count; i++)
		rows[i] = (struct numbered_row){ lines->rows.items[i], i };
	qsort(rows, lines->rows.count, sizeof(*rows), by_vaddr);
	for (size_t i = 0; i < lines->rows.count; i++)
		lines->rows.items[i] = rows[i].row;
	free(rows);
}

static int by_low(const void *left, const void *right)
{
	const struct sequence *a = left, *b = right;

	if (a->low != b->low)
		return a->low < b->low ? -1 : 1;
	return a->start < b->start ? -1 : a->start > b->start;
}

static bool overlap(const struct machine *m)
{
	for (size_t i = 1; i < m->sequences.count; i++)
		if (m->sequences.items[i].low < m->sequences.items[i - 1].high)
			return true;
	return false;
}

/* Compilers sort within a sequence, and there is one for each section: whole sequences are put
 * in order, and single rows only where that does not do. */
static void order_rows(struct machine *m)
{
	struct dwarf_row *rows;
	size_t count = 0;

	if (m->is_sorted && m->in_order)
		return;
	if (m->sequences.count > 0)
		qsort(m->sequences.items, m->sequences.count, sizeof(*m->sequences.items), by_low);
	if (!m->is_sorted || overlap(m)) {
		sort_rows(m->lines);
		return;
	}
	rows = xreallocarray(NULL, m->lines->rows.count + 1, sizeof(*rows));
	for (size_t i = 0; i < m->sequences.count; i++) {
		const struct sequence *s = &m->sequences.items[i];

		memcpy(rows + count, m->lines->rows.items + s->start, s->count * sizeof(*rows));
		count += s->count;
	}
	free(m->lines->rows.items);
	m->lines->rows.items = rows;
	m->lines->rows.capacity = m->lines->rows.count + 1;
}

/* False: what the rows cover cannot be told before all are there. */
static bool read_rows(struct dwarf_lines *lines, const struct header *h, const struct dwarf_unit *u,
	const struct dwarf_wanted *wanted)
{
	struct machine m = { .lines = lines, .file = u->file, .is_sorted = true, .in_order = true };

	if (wanted->count > 0)
		m.wanted = wanted;
	start_sequence(&m);
	run_program(&m, h);
	if (m.is_sorted || !m.wanted)
		order_rows(&m);
	VEC_FREE(&m.sequences);
	return m.is_sorted || !m.wanted;
}

void dwarf_lines_read(
	struct dwarf_lines *lines, struct dwarf_unit *u, const struct dwarf_wanted *wanted)
{
	const struct dwarf_wanted all = { .count = 0 };
	struct header h;

	lines->unit = u;
	if (!u->has_lines || !read_header(&h, u, u->line_offset))
		return;
	read_files(lines, &h);
	work_out_advances(&h);
	if (read_rows(lines, &h, u, wanted))
		return;
	lines->rows.count = 0;
	read_rows(lines, &h, u, &all);
}

void dwarf_lines_read_files(struct dwarf_lines *lines, struct dwarf_unit *u, uint64_t offset)
{
	struct header h;

	lines->unit = u;
	if (read_header(&h, u, offset))
		read_files(lines, &h);
}

void dwarf_lines_free(struct dwarf_lines *lines)
{
	VEC_FREE(&lines->rows);
	VEC_FREE(&lines->files);
}

const struct dwarf_row *dwarf_lines_find(const struct dwarf_lines *lines, uint64_t vaddr)
{
	size_t low = 0, high = lines->rows.count;

	while (low < high) {
		const size_t middle = low + (high - low) / 2;

		if (lines->rows.items[middle].vaddr <= vaddr)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0 || is_end(&lines->rows.items[low - 1]))
		return NULL;
	return &lines->rows.items[low - 1];
}

/* The parts of the path; a relative one counts from the folder before it. */
static char *whole_path(const struct dwarf_unit *u, const struct dwarf_line_file *f)
{
	const char *unit_folder = u->folder ? u->folder : "";
	/* Mapped away, for builds that anyone can repeat. */
	const bool has_base = unit_folder[0] == '/';

	if (f->name[0] == '/' || f->name[0] == '<') /* "<autogenerated>" is no file */
		return xstrdup(f->name);
	if (f->folder && f->folder[0] == '/')
		return xasprintf("%s/%s", f->folder, f->name);
	if (f->folder && f->folder[0])
		return has_base ? xasprintf("%s/%s/%s", unit_folder, f->folder, f->name)
				: xasprintf("%s/%s", f->folder, f->name);
	return has_base ? xasprintf("%s/%s", unit_folder, f->name) : xstrdup(f->name);
}

const char *dwarf_lines_path(struct dwarf_lines *lines, struct text_pool *texts, uint32_t number)
{
	struct dwarf_line_file *f;
	char *path;

	if (number >= lines->files.count || !lines->files.items[number].name[0])
		return NULL;
	f = &lines->files.items[number];
	if (!f->path) {
		path = whole_path(lines->unit, f);
		f->path = text_pool_add(texts, path);
		free(path);
	}
	return f->path;
}
