/*
 * Assembling .eh_frame_hdr and .eh_frame by hand, for the tests of agent/cfi.c.
 * LSB 5.0 Core, "Exception Frames".
 */
#ifndef TESTS_UNIT_EH_FRAME_H
#define TESTS_UNIT_EH_FRAME_H

#include <stdint.h>
#include <string.h>

#include "agent/cfi.h"

#define IMAGE_VADDR 0x10000
#define IMAGE_SIZE_MAX (1u << 20)
#define FUNCTION_VADDR 0x1000
#define FUNCTION_SIZE 0x100

/* Program text as {bytes, size}. */
struct text {
	const uint8_t *bytes;
	size_t size;
};
#define TEXT(...)                                                                               \
	{                                                                                       \
		(const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ })      \
	}
#define AS_TEXT(...) ((struct text)TEXT(__VA_ARGS__))

struct image {
	uint8_t bytes[IMAGE_SIZE_MAX];
	size_t size;
};

static inline void put(struct image *image, uint64_t value, size_t size)
{
	memcpy(image->bytes + image->size, &value, size);
	image->size += size;
}

static inline void put_text(struct image *image, struct text text)
{
	if (text.size)
		memcpy(image->bytes + image->size, text.bytes, text.size);
	image->size += text.size;
}

/* The distance from here to VADDR, as pcrel sdata4. */
static inline void put_pcrel(struct image *image, uint64_t vaddr)
{
	put(image, vaddr - (IMAGE_VADDR + image->size), 4);
}

/* Fill in the length at AT, which counts what is behind it, padded with nops. */
static inline void end_entry(struct image *image, size_t at)
{
	uint32_t length;

	while (image->size % 4)
		put(image, 0, 1);
	length = (uint32_t)(image->size - at - 4);
	memcpy(image->bytes + at, &length, 4);
}

/* An .eh_frame_hdr with room for COUNT functions; it is filled in by put_search_row(). */
static inline void start_image(struct image *image, uint32_t count)
{
	image->size = 0;
	put(image, 0x3b031b01, 4); /* version 1; pcrel sdata4, udata4, datarel sdata4 */
	put_pcrel(image, IMAGE_VADDR + 12 + 8 * count);
	put(image, count, 4);
	image->size += 8 * count;
}

static inline void put_search_row(
	struct image *image, uint32_t index, uint64_t function, size_t fde)
{
	const uint32_t row[2] = { (uint32_t)(function - IMAGE_VADDR), (uint32_t)fde };

	memcpy(image->bytes + 12 + 8 * index, row, sizeof(row));
}

/* What every compiler emits: the CFA is rsp + 8, the return address lies below it. */
#define USUAL_CIE 0x0c, 7, 8, 0x80 | 16, 1

/* A CIE of version 1, code alignment 1, data alignment -8.  Returns its place. */
static inline size_t put_cie(struct image *image, const char *augmentation,
	struct text augmentation_data, struct text program)
{
	size_t at = image->size;

	put(image, 0, 8); /* length, id */
	put(image, 1, 1);
	put_text(image,
		(struct text){ (const uint8_t *)augmentation, strlen(augmentation) + 1 });
	put(image, 1, 1);
	put(image, 0x78, 1); /* -8 */
	put(image, 16, 1);
	if (augmentation[0] == 'z')
		put(image, augmentation_data.size, 1);
	put_text(image, augmentation_data);
	put_text(image, program);
	end_entry(image, at);
	return at;
}

/* An FDE with pcrel sdata4 pointers ("zR", 0x1b).  Returns its place. */
static inline size_t put_fde(
	struct image *image, size_t cie, uint64_t vaddr, uint32_t size, struct text program)
{
	size_t at = image->size;

	put(image, 0, 4);
	put(image, image->size - cie, 4);
	put_pcrel(image, vaddr);
	put(image, size, 4);
	put(image, 0, 1); /* size of augmentation data */
	put_text(image, program);
	end_entry(image, at);
	return at;
}

/* An image of one function with these programs, ended by a terminator. */
static inline void make_image(struct image *image, struct text cie_program, struct text program)
{
	size_t cie;

	start_image(image, 1);
	cie = put_cie(image, "zR", AS_TEXT(0x1b), cie_program);
	put_search_row(image, 0, FUNCTION_VADDR,
		put_fde(image, cie, FUNCTION_VADDR, FUNCTION_SIZE, program));
	put(image, 0, 4);
}

static inline struct cfi_table table_over(const uint8_t *bytes, size_t size)
{
	return (struct cfi_table){ .data = bytes,
		.size = size,
		.vaddr = IMAGE_VADDR,
		.header_vaddr = IMAGE_VADDR };
}

#endif
