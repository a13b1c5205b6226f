#include "symbol/go_table.h"

#include <string.h>

/* abi.PCDATA_InlTreeIndex, abi.FUNCDATA_InlTree */
#define PCDATA_INLINE_INDEX 2
#define FUNCDATA_INLINE_TREE 3
#define FUNCTIONS_MAX (1u << 24)
#define STEPS_MAX (1u << 20) /* through lists of values, for one address */

static struct bytes at_offset(struct bytes b, uint64_t offset)
{
	bytes_skip(&b, offset);
	return b;
}

static uint64_t word_at(struct bytes b, uint64_t offset)
{
	struct bytes at = at_offset(b, offset);

	return bytes_u64(&at);
}

static uint32_t half_at(struct bytes b, uint64_t offset)
{
	struct bytes at = at_offset(b, offset);

	return bytes_u32(&at);
}

static const char *text_at(struct bytes b, uint64_t offset)
{
	struct bytes at = at_offset(b, offset);
	const size_t left = bytes_left(&at);

	return left > 0 && at.at[0] && memchr(at.at, '\0', left) ? (const char *)at.at : NULL;
}

bool go_table_signature(struct bytes at, enum go_version *version)
{
	static const uint32_t magics[] = {
		[GO_1_2] = 0xfffffffb, [GO_1_16] = 0xfffffffa, [GO_1_18] = 0xfffffff0,
		[GO_1_20] = 0xfffffff1
	};
	const uint32_t magic = bytes_u32(&at);
	const uint16_t zeros = bytes_u16(&at);
	const uint8_t quantum = bytes_u8(&at), word_size = bytes_u8(&at);

	for (int i = GO_1_2; i <= GO_1_20; i++)
		if (magic == magics[i]) {
			*version = (enum go_version)i;
			return bytes_ok(&at) && zeros == 0 && word_size == 8 &&
				(quantum == 1 || quantum == 2 || quantum == 4);
		}
	return false;
}

/* Go 1.2: everything counts from the start of the table. */
static void open_oldest(struct go_table *t, struct bytes bytes)
{
	t->functions = at_offset(bytes, 16);
	t->names = t->values = bytes;
	t->files = at_offset(bytes, half_at(t->functions, t->function_count * 16 + 8));
}

static void open_newer(struct go_table *t, struct bytes bytes)
{
	const uint64_t offsets = t->version == GO_1_16 ? 24 : 32;

	t->names = at_offset(bytes, word_at(bytes, offsets));
	t->units = at_offset(bytes, word_at(bytes, offsets + 8));
	t->files = at_offset(bytes, word_at(bytes, offsets + 16));
	t->values = at_offset(bytes, word_at(bytes, offsets + 24));
	t->functions = at_offset(bytes, word_at(bytes, offsets + 32));
}

/* Up to Go 1.16 an entry is two words, then two halves. */
static bool has_words(const struct go_table *t)
{
	return t->version <= GO_1_16;
}

/* The address where function INDEX starts or, for the last plus one, where the last one ends. */
static uint64_t start_of(const struct go_table *t, uint64_t index)
{
	if (has_words(t))
		return word_at(t->functions, index * 16);
	return t->text_start + half_at(t->functions, index * 8);
}

static uint64_t record_of(const struct go_table *t, uint64_t index)
{
	return has_words(t) ? word_at(t->functions, index * 16 + 8)
			    : half_at(t->functions, index * 8 + 4);
}

/* From where a record's offset counts. */
static struct bytes record_at(const struct go_table *t, uint64_t offset)
{
	return at_offset(t->version == GO_1_2 ? t->names : t->functions, offset);
}

static bool is_in_order(const struct go_table *t)
{
	const uint64_t entry_size = has_words(t) ? 16 : 8;
	uint64_t last = 0;

	if (t->function_count == 0 || t->function_count > FUNCTIONS_MAX ||
		bytes_left(&t->functions) / entry_size < t->function_count + 1)
		return false;
	for (uint64_t i = 0; i <= t->function_count; i++) {
		const uint64_t start = start_of(t, i);

		if (start < last)
			return false;
		last = start;
	}
	return true;
}

bool go_table_open(struct go_table *t, struct bytes bytes, uint64_t text_start)
{
	enum go_version version;

	if (!go_table_signature(bytes, &version))
		return false;
	*t = (struct go_table){ .version = version,
		.quantum = bytes.at[6],
		.function_count = word_at(bytes, 8),
		.inlining = { .broken = true } };
	if (t->function_count > FUNCTIONS_MAX)
		return false;
	if (!has_words(t)) {
		t->text_start = text_start ? text_start : word_at(bytes, 24);
		if (t->text_start == 0)
			return false;
	}
	if (t->version == GO_1_2)
		open_oldest(t, bytes);
	else
		open_newer(t, bytes);
	return is_in_order(t);
}

/* One function's record, and where its parts lie. */
struct record {
	uint64_t start; /* vaddr */
	const char *name;
	uint32_t file_values, line_values; /* in VALUES; 0: none */
	uint32_t unit; /* what files count from, from Go 1.16 on */
	uint32_t start_line;
	uint32_t inline_values; /* in VALUES; 0: nothing is inlined */
	struct bytes inline_tree; /* broken: there is none */
	uint32_t steps_left;
};

/* After the fixed part come the offsets of pcdata and then those of funcdata. */
static void read_inlining(const struct go_table *t, struct bytes rest, uint32_t value_count,
	uint8_t data_count, struct record *r)
{
	bytes_break(&r->inline_tree);
	if (t->version < GO_1_18 || value_count <= PCDATA_INLINE_INDEX ||
		data_count <= FUNCDATA_INLINE_TREE || !bytes_ok(&t->inlining))
		return;
	r->inline_values = half_at(rest, PCDATA_INLINE_INDEX * 4);
	r->inline_tree = at_offset(t->inlining,
		half_at(rest, (uint64_t)value_count * 4 + FUNCDATA_INLINE_TREE * 4));
}

static bool read_record(const struct go_table *t, uint64_t index, struct record *r)
{
	struct bytes at = record_at(t, record_of(t, index));
	uint32_t value_count;
	uint8_t data_count;

	*r = (struct record){ .start = start_of(t, index), .steps_left = STEPS_MAX };
	bytes_skip(&at, has_words(t) ? 8 : 4); /* the address again */
	r->name = text_at(t->names, bytes_u32(&at));
	bytes_skip(&at, 8); /* arguments, deferreturn */
	bytes_u32(&at); /* stack depths */
	r->file_values = bytes_u32(&at);
	r->line_values = bytes_u32(&at);
	value_count = bytes_u32(&at);
	if (t->version >= GO_1_16)
		r->unit = bytes_u32(&at);
	if (t->version >= GO_1_20)
		r->start_line = bytes_u32(&at);
	bytes_skip(&at, 3); /* funcID, flag, padding */
	data_count = bytes_u8(&at);
	read_inlining(t, at, value_count, data_count, r);
	return bytes_ok(&at) && r->name;
}

/* The value that holds at DISTANCE bytes into the function; false: the list ends before. */
static bool value_at(const struct go_table *t, struct record *r, uint32_t offset,
	uint64_t distance, int32_t *value)
{
	struct bytes at = at_offset(t->values, offset);
	uint64_t reached = 0;
	uint32_t sum = UINT32_MAX; /* -1 */

	if (offset == 0)
		return false;
	for (uint32_t step = 0; r->steps_left > 0 && bytes_left(&at) > 0; step++) {
		const uint32_t change = (uint32_t)bytes_uleb128(&at);

		if (change == 0 && step > 0)
			return false;
		r->steps_left--;
		sum += change & 1 ? ~(change >> 1) : change >> 1;
		reached += bytes_uleb128(&at) * t->quantum;
		if (!bytes_ok(&at))
			return false;
		if (distance < reached) {
			*value = (int32_t)sum;
			return true;
		}
	}
	return false;
}

static const char *file_name(const struct go_table *t, const struct record *r, int32_t number)
{
	uint32_t offset;

	if (number < 0)
		return NULL;
	if (t->version == GO_1_2)
		return text_at(t->names, half_at(t->files, (uint64_t)number * 4));
	offset = half_at(t->units, ((uint64_t)r->unit + (uint32_t)number) * 4);
	return offset == UINT32_MAX ? NULL : text_at(t->files, offset);
}

/* The line that the code DISTANCE bytes into the function was made from. */
static void read_place(const struct go_table *t, struct record *r, uint64_t distance,
	struct go_frame *frame)
{
	int32_t value;

	if (value_at(t, r, r->file_values, distance, &value))
		frame->file = file_name(t, r, value);
	if (value_at(t, r, r->line_values, distance, &value) && value > 0)
		frame->line = (uint32_t)value;
}

/* A call that was inlined: struct inlinedCall of 1.20, 1.18. */
static bool read_inlined(const struct go_table *t, const struct record *r, int32_t index,
	struct go_frame *frame, uint64_t *distance)
{
	const uint64_t size = t->version >= GO_1_20 ? 16 : 20;
	struct bytes at = at_offset(r->inline_tree, (uint64_t)index * size);

	bytes_skip(&at, t->version >= GO_1_20 ? 4 : 12);
	frame->function = text_at(t->names, bytes_u32(&at));
	*distance = bytes_u32(&at);
	frame->start_line = t->version >= GO_1_20 ? bytes_u32(&at) : 0;
	return bytes_ok(&at) && frame->function;
}

static bool find_function(const struct go_table *t, uint64_t vaddr, struct record *r)
{
	uint64_t low = 0, high = t->function_count;

	if (vaddr < start_of(t, 0) || vaddr >= start_of(t, t->function_count))
		return false;
	while (high - low > 1) {
		const uint64_t middle = low + (high - low) / 2;

		if (start_of(t, middle) <= vaddr)
			low = middle;
		else
			high = middle;
	}
	return read_record(t, low, r);
}

size_t go_table_find(
	const struct go_table *t, uint64_t vaddr, struct go_frame frames[static GO_FRAMES_MAX])
{
	struct record r;
	uint64_t distance;
	size_t count = 0;
	int32_t index;

	if (!find_function(t, vaddr, &r))
		return 0;
	distance = vaddr - r.start;
	while (count < GO_FRAMES_MAX - 1) {
		struct go_frame frame = { .function = NULL };
		uint64_t caller;

		read_place(t, &r, distance, &frame);
		if (!bytes_ok(&r.inline_tree) ||
			!value_at(t, &r, r.inline_values, distance, &index) || index < 0 ||
			!read_inlined(t, &r, index, &frame, &caller)) {
			frame.function = r.name;
			frame.start_line = r.start_line;
			frames[count++] = frame;
			return count;
		}
		frames[count++] = frame;
		distance = caller;
	}
	frames[count++] = (struct go_frame){ .function = r.name, .start_line = r.start_line };
	return count;
}

/* Where the values of a list change. */
static void visit_changes(const struct go_table *t, const struct record *r, uint32_t offset,
	uint64_t end, void (*visit)(void *context, uint64_t vaddr), void *context)
{
	struct bytes at = at_offset(t->values, offset);
	uint64_t vaddr = r->start;

	for (bool first = true; offset && bytes_left(&at) > 0 && vaddr < end; first = false) {
		if (bytes_uleb128(&at) == 0 && !first)
			return;
		vaddr += bytes_uleb128(&at) * t->quantum;
		if (bytes_ok(&at) && vaddr < end)
			visit(context, vaddr);
	}
}

void go_table_visit_boundaries(const struct go_table *t,
	void (*visit)(void *context, uint64_t vaddr), void *context)
{
	struct record r;

	for (uint64_t i = 0; i < t->function_count; i++) {
		const uint64_t end = start_of(t, i + 1);

		visit(context, start_of(t, i));
		if (!read_record(t, i, &r))
			continue;
		visit_changes(t, &r, r.file_values, end, visit, context);
		visit_changes(t, &r, r.line_values, end, visit, context);
		visit_changes(t, &r, r.inline_values, end, visit, context);
	}
	visit(context, start_of(t, t->function_count));
}
