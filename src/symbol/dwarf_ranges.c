/* The code that a DIE covers: DWARF 5 section 2.17, range lists 7.25, before that 2.17.3 of
 * DWARF 4. */
#include <dwarf.h>

#include "symbol/dwarf_form.h"

struct range_walk {
	const struct dwarf_unit *unit;
	uint64_t base;
	uint64_t *left;
	dwarf_range_visitor *visit;
	void *context;
};

void dwarf_pcs_add(struct dwarf_pcs *pcs, uint16_t name, const struct dwarf_value *v)
{
	if (name == DW_AT_low_pc)
		pcs->low = *v;
	else if (name == DW_AT_high_pc)
		pcs->high = *v;
	else if (name == DW_AT_ranges)
		pcs->ranges = *v;
}

static void visit_range(struct range_walk *walk, uint64_t start, uint64_t end)
{
	if (start != 0 && start < end)
		walk->visit(walk->context, start, end);
}

static void visit_old_list(struct range_walk *walk, uint64_t offset)
{
	/* Addresses and their ranges are in the file that was linked. */
	const struct dwarf_unit *u = walk->unit, *linked = u->skeleton ? u->skeleton : u;
	const size_t size = u->address_size;
	const uint64_t new_base = size == 8 ? UINT64_MAX : UINT32_MAX;
	struct bytes at = dwarf_section_at(linked->file, DWARF_RANGES,
		offset + (u->skeleton ? linked->ranges_base : 0));

	for (; *walk->left > 0 && bytes_left(&at) > 0; --*walk->left) {
		const uint64_t start = bytes_uint(&at, size), end = bytes_uint(&at, size);

		if (!bytes_ok(&at) || (start == 0 && end == 0))
			return;
		if (start == new_base)
			walk->base = end;
		else if (start < end)
			visit_range(walk, walk->base + start, walk->base + end);
	}
}

/* One entry.  False: the list ends. */
static bool visit_entry(struct range_walk *walk, struct bytes *at)
{
	const struct dwarf_unit *u = walk->unit;
	uint64_t start, end;

	switch (bytes_u8(at)) {
	case DW_RLE_base_addressx:
		walk->base = dwarf_indexed_address(u, bytes_uleb128(at));
		return bytes_ok(at);
	case DW_RLE_startx_endx:
		start = dwarf_indexed_address(u, bytes_uleb128(at));
		end = dwarf_indexed_address(u, bytes_uleb128(at));
		break;
	case DW_RLE_startx_length:
		start = dwarf_indexed_address(u, bytes_uleb128(at));
		end = start + bytes_uleb128(at);
		break;
	case DW_RLE_offset_pair:
		start = walk->base + bytes_uleb128(at);
		end = walk->base + bytes_uleb128(at);
		break;
	case DW_RLE_base_address:
		walk->base = bytes_uint(at, u->address_size);
		return bytes_ok(at);
	case DW_RLE_start_end:
		start = bytes_uint(at, u->address_size);
		end = bytes_uint(at, u->address_size);
		break;
	case DW_RLE_start_length:
		start = bytes_uint(at, u->address_size);
		end = start + bytes_uleb128(at);
		break;
	default:
		return false;
	}
	if (bytes_ok(at))
		visit_range(walk, start, end);
	return bytes_ok(at);
}

static void visit_list(struct range_walk *walk, const struct dwarf_value *ranges)
{
	const struct dwarf_unit *u = walk->unit;
	uint64_t offset = ranges->number;
	struct bytes at;

	if (ranges->form == DW_FORM_rnglistx) {
		at = dwarf_section_at(u->file, DWARF_RNGLISTS, u->rnglists_base);
		if (offset > bytes_left(&at) / u->offset_size)
			return;
		bytes_skip(&at, offset * u->offset_size);
		offset = u->rnglists_base + bytes_uint(&at, u->offset_size);
	}
	at = dwarf_section_at(u->file, DWARF_RNGLISTS, offset);
	for (; *walk->left > 0 && bytes_left(&at) > 0; --*walk->left)
		if (!visit_entry(walk, &at))
			return;
}

uint64_t dwarf_ranges_limit(const struct dwarf_unit *u)
{
	const struct dwarf_unit *linked = u->skeleton ? u->skeleton : u;

	/* Lists are not shared, and no entry is shorter than three bytes. */
	return bytes_left(&u->file->sections[DWARF_RNGLISTS].bytes) +
		bytes_left(&linked->file->sections[DWARF_RANGES].bytes) + 65536;
}

void dwarf_visit_ranges(const struct dwarf_unit *u, const struct dwarf_pcs *pcs,
	uint64_t *left, dwarf_range_visitor *visit, void *context)
{
	struct range_walk walk = { .unit = u,
		.base = u->skeleton ? u->skeleton->low_pc : u->low_pc,
		.left = left,
		.visit = visit,
		.context = context };
	uint64_t start, end;

	if (pcs->ranges.form) {
		if (u->version < 5)
			visit_old_list(&walk, pcs->ranges.number);
		else
			visit_list(&walk, &pcs->ranges);
	} else if (dwarf_value_address(u, &pcs->low, &start)) {
		if (!pcs->high.form)
			return;
		if (!dwarf_value_address(u, &pcs->high, &end))
			end = start + dwarf_value_number(&pcs->high);
		visit_range(&walk, start, end);
	}
}
