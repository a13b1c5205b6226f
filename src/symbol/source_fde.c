/* Where functions start, from the unwind table, which strip leaves alone: "codec.so!fn_1a2b0"
 * is no name, but it is true, stays the same from run to run and groups a function's samples. */
#define _GNU_SOURCE
#include <dwarf.h>
#include <string.h>

#include "symbol/source.h"

#define PE_FORMAT 0x0f /* of a DW_EH_PE_* encoding: how the value is written */
#define PE_BASE 0xf0 /* and what it is relative to */

struct function_range {
	uint64_t start; /* vaddr */
	uint64_t end; /* exclusive */
};

struct fde_list {
	struct text_pool *texts;
	const char *file_name; /* the last part of the module's path */
	VEC(struct function_range) functions; /* sorted by start */
};

struct eh_frame {
	struct bytes bytes;
	uint64_t vaddr;
};

static uint64_t read_value(struct bytes *b, uint8_t format)
{
	switch (format) {
	case DW_EH_PE_absptr:
	case DW_EH_PE_udata8:
	case DW_EH_PE_sdata8:
		return bytes_u64(b);
	case DW_EH_PE_udata4:
		return bytes_u32(b);
	case DW_EH_PE_sdata4:
		return (uint64_t)(int32_t)bytes_u32(b);
	case DW_EH_PE_udata2:
		return bytes_u16(b);
	case DW_EH_PE_sdata2:
		return (uint64_t)(int16_t)bytes_u16(b);
	case DW_EH_PE_uleb128:
		return bytes_uleb128(b);
	case DW_EH_PE_sleb128:
		return (uint64_t)bytes_sleb128(b);
	default:
		bytes_break(b);
		return 0;
	}
}

/* A pointer written at VADDR.  Other bases than these do not occur in .eh_frame on x86-64. */
static uint64_t read_pointer(struct bytes *b, uint8_t encoding, uint64_t vaddr)
{
	const uint64_t value = read_value(b, encoding & PE_FORMAT);

	if ((encoding & PE_BASE) == DW_EH_PE_pcrel)
		return value + vaddr;
	if ((encoding & PE_BASE) != DW_EH_PE_absptr)
		bytes_break(b);
	return value;
}

/* Cut the entry at the cursor out of REST.  False: the terminator, or the end. */
static bool next_entry(struct bytes *rest, struct bytes *entry)
{
	uint64_t size = bytes_u32(rest);
	const void *start;

	if (size == UINT32_MAX)
		size = bytes_u64(rest);
	start = size > 0 ? bytes_take(rest, size) : NULL;
	if (!start)
		return false;
	*entry = bytes_over(start, size);
	return true;
}

/* How the FDEs of the CIE at OFFSET write their addresses.  False: no CIE, or unreadable.
 * ENCODING is DW_EH_PE_absptr when its augmentation does not say. */
static bool read_cie(const struct eh_frame *frame, uint64_t offset, uint8_t *encoding)
{
	struct bytes rest = frame->bytes;
	struct bytes cie;
	const char *augmentation;
	uint8_t version;

	if (!bytes_skip(&rest, offset) || !next_entry(&rest, &cie) || bytes_u32(&cie) != 0)
		return false;
	version = bytes_u8(&cie);
	augmentation = bytes_string(&cie);
	bytes_uleb128(&cie); /* code alignment */
	bytes_sleb128(&cie); /* data alignment */
	if (version == 1)
		bytes_u8(&cie); /* return address register */
	else
		bytes_uleb128(&cie);
	*encoding = DW_EH_PE_absptr;
	if (!bytes_ok(&cie) || augmentation[0] != 'z')
		return bytes_ok(&cie) && augmentation[0] == '\0';
	bytes_uleb128(&cie); /* size of the augmentation's data */
	for (const char *at = augmentation + 1; *at; at++) {
		if (*at == 'R')
			*encoding = bytes_u8(&cie);
		else if (*at == 'L')
			bytes_u8(&cie);
		else if (*at == 'P') {
			uint8_t personality = bytes_u8(&cie);

			read_value(&cie, personality & PE_FORMAT);
		} else if (*at != 'S' && *at != 'B')
			break;
	}
	return bytes_ok(&cie);
}

/* A CIE serves thousands of FDEs in a row. */
struct cie_cache {
	uint64_t offset;
	bool known, usable;
	uint8_t encoding;
};

static bool encoding_of_cie(const struct eh_frame *frame, uint64_t offset,
	struct cie_cache *cache, uint8_t *encoding)
{
	if (!cache->known || cache->offset != offset) {
		cache->known = true;
		cache->offset = offset;
		cache->usable = read_cie(frame, offset, &cache->encoding);
	}
	*encoding = cache->encoding;
	return cache->usable;
}

static void add_fde(struct fde_list *list, const struct eh_frame *frame, struct bytes entry,
	struct cie_cache *cache)
{
	const uint64_t id_offset = (uint64_t)(entry.at - frame->bytes.at);
	const uint32_t cie_distance = bytes_u32(&entry);
	uint8_t encoding;
	uint64_t start, size;

	if (cie_distance == 0 || cie_distance > id_offset || !bytes_ok(&entry) ||
		!encoding_of_cie(frame, id_offset - cie_distance, cache, &encoding))
		return;
	start = read_pointer(&entry, encoding,
		frame->vaddr + (uint64_t)(entry.at - frame->bytes.at));
	size = read_value(&entry, encoding & PE_FORMAT);
	if (bytes_ok(&entry) && start != 0 && size != 0 && start + size > start)
		*VEC_PUSH(&list->functions) = (struct function_range){ start, start + size };
}

static int by_range_start(const void *left, const void *right)
{
	const struct function_range *a = left, *b = right;

	return a->start < b->start ? -1 : a->start > b->start;
}

static void read_functions(struct fde_list *list, const struct eh_frame *frame)
{
	struct bytes rest = frame->bytes;
	struct cie_cache cache = { .known = false };
	struct bytes entry;

	while (next_entry(&rest, &entry))
		add_fde(list, frame, entry, &cache);
	if (list->functions.count > 0)
		qsort(list->functions.items, list->functions.count,
			sizeof(*list->functions.items), by_range_start);
}

/* By its section, else (no section headers are left) by the header that the runtime uses. */
static bool find_eh_frame(const struct binary *b, struct eh_frame *frame)
{
	struct binary_section section;
	uint64_t header_vaddr;
	struct bytes header;
	uint8_t encoding;

	if (binary_find_section(b, ".eh_frame", &section)) {
		*frame = (struct eh_frame){ section.bytes, section.vaddr };
		return bytes_left(&frame->bytes) > 0;
	}
	if (!binary_find_eh_frame_header(b, &header, &header_vaddr))
		return false;
	bytes_u8(&header); /* version */
	encoding = bytes_u8(&header);
	bytes_skip(&header, 2); /* encodings of the search table, which we do not need */
	frame->vaddr = read_pointer(&header, encoding, header_vaddr + 4);
	return bytes_ok(&header) && binary_bytes_at(b, frame->vaddr, &frame->bytes);
}

static void *fde_open(const struct source_input *input)
{
	struct fde_list *list;
	struct eh_frame frame;
	const char *slash;

	if (input->file_count == 0 || !find_eh_frame(input->files[0], &frame))
		return NULL;
	list = xcalloc(1, sizeof(*list));
	list->texts = input->texts;
	slash = strrchr(input->path, '/');
	list->file_name = slash ? slash + 1 : input->path;
	read_functions(list, &frame);
	return list;
}

static void fde_close(void *state)
{
	struct fde_list *list = state;

	VEC_FREE(&list->functions);
	free(list);
}

static const struct function_range *find_function(const struct fde_list *list, uint64_t vaddr)
{
	size_t low = 0, high = list->functions.count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (list->functions.items[middle].start <= vaddr)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0 || vaddr >= list->functions.items[low - 1].end)
		return NULL;
	return &list->functions.items[low - 1];
}

static bool fde_resolve(void *state, uint64_t vaddr, struct source_frames *out)
{
	const struct fde_list *list = state;
	const struct function_range *function = find_function(list, vaddr);
	char *name;

	if (!function)
		return false;
	name = xasprintf("%s!fn_%llx", list->file_name, (unsigned long long)function->start);
	*VEC_PUSH(&out->frames) =
		(struct source_frame){ .name = text_pool_add(list->texts, name) };
	free(name);
	return true;
}

const struct source source_fde = {
	.name = ".eh_frame",
	.verdict = VERDICT_FDE_ONLY,
	.resolves = false,
	.open = fde_open,
	.resolve = fde_resolve,
	.close = fde_close,
};
