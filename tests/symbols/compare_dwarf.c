/*
 * Our DWARF reader against one on libdw (tests/reference), on random addresses of the files
 * named: frames, names, files, lines, columns, declarations.
 *
 *     compare_dwarf [-n ADDRESSES] [-s SEED] FILE...
 *
 * Status 1 when an address differs; each file has a line with what was compared.  A file without
 * debug information, in it or found by its build-ID, is skipped and said.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"
#include "reference/reference_dwarf.h"
#include "symbol/debug_file.h"
#include "symbol/source.h"

#define DIFFERENCES_SHOWN 4

struct subject {
	struct source_input input;
	struct binary *file, *debug_file;
	void *ours, *theirs;
	uint64_t low, high; /* the code */
};

static struct text_pool *texts;

static bool subject_open(struct subject *s, const char *path)
{
	memset(s, 0, sizeof(*s));
	if (binary_open(path, &s->file) < 0)
		return false;
	s->debug_file = debug_file_by_build_id(NULL, binary_build_id(s->file), NULL);
	s->input = (struct source_input){ .path = path,
		.build_id = binary_build_id(s->file),
		.files = { s->file, s->debug_file },
		.file_count = s->debug_file ? 2 : 1,
		.texts = texts };
	s->ours = source_dwarf.open(&s->input);
	s->theirs = reference_dwarf.open(&s->input);
	return s->ours && s->theirs;
}

static void subject_close(struct subject *s)
{
	if (s->ours)
		source_dwarf.close(s->ours);
	if (s->theirs)
		reference_dwarf.close(s->theirs);
	binary_close(s->file);
	binary_close(s->debug_file);
}

static bool same_frame(const struct source_frame *a, const struct source_frame *b)
{
	/* Of one pool: equal texts have equal addresses. */
	return a->linkage_name == b->linkage_name && a->name == b->name && a->file == b->file &&
		a->line == b->line && a->column == b->column && a->start_line == b->start_line;
}

static bool same_frames(const struct source_frames *a, const struct source_frames *b)
{
	if (a->frames.count != b->frames.count)
		return false;
	for (size_t i = 0; i < a->frames.count; i++)
		if (!same_frame(&a->frames.items[i], &b->frames.items[i]))
			return false;
	return true;
}

/* The first frame that is different. */
static void show(const char *whose, const struct source_frames *frames,
	const struct source_frames *others)
{
	printf("  %s %zu frames\n", whose, frames->frames.count);
	for (size_t i = 0; i < frames->frames.count; i++) {
		const struct source_frame *f = &frames->frames.items[i];

		if (i < others->frames.count && same_frame(f, &others->frames.items[i]))
			continue;
		printf("  %s %s | %s | %s:%u:%u | %u\n", whose, f->linkage_name, f->name, f->file,
			f->line, f->column, f->start_line);
		break;
	}
}

static void find_code(struct subject *s)
{
	uint64_t vaddr = 0;

	/* Segments are few and far apart at most by what a page table holds. */
	s->low = UINT64_MAX;
	for (int bit = 0; bit < 4096 * 256; bit++, vaddr += 4096) {
		const uint64_t end = binary_code_end(s->file, vaddr);

		if (end == 0)
			continue;
		if (vaddr < s->low)
			s->low = vaddr;
		if (end > s->high)
			s->high = end;
	}
}

static uint64_t compare(struct subject *s, const char *path, size_t count, uint64_t seed)
{
	struct source_frames a = { { NULL, 0, 0 } }, b = { { NULL, 0, 0 } };
	uint64_t differences = 0, found = 0, frames = 0;

	for (size_t i = 0; i < count; i++) {
		/* A few addresses in each of many places: the reference is slow to get there. */
		const uint64_t place = hash_mix(seed + i / 64) % (s->high - s->low);
		const uint64_t vaddr = s->low + (place + hash_mix(i) % 8192) % (s->high - s->low);

		a.frames.count = b.frames.count = 0;
		found += source_dwarf.resolve(s->ours, vaddr, &a);
		reference_dwarf.resolve(s->theirs, vaddr, &b);
		frames += a.frames.count;
		if (same_frames(&a, &b))
			continue;
		if (differences++ < DIFFERENCES_SHOWN) {
			printf("%s: 0x%llx differs\n", path, (unsigned long long)vaddr);
			show("ours", &a, &b);
			show("libdw", &b, &a);
		}
	}
	printf("%s: %zu addresses, %llu known, %llu frames, %llu differences\n", path, count,
		(unsigned long long)found, (unsigned long long)frames,
		(unsigned long long)differences);
	VEC_FREE(&a.frames);
	VEC_FREE(&b.frames);
	return differences;
}

int main(int argc, char **argv)
{
	uint64_t differences = 0, seed = 1;
	size_t count = 2000;
	struct subject subject;
	int option;

	while ((option = getopt(argc, argv, "n:s:")) != -1) {
		if (option == 'n')
			count = strtoull(optarg, NULL, 0);
		else if (option == 's')
			seed = strtoull(optarg, NULL, 0);
		else
			return 2;
	}
	texts = text_pool_new();
	for (; argv[optind]; optind++) {
		if (subject_open(&subject, argv[optind])) {
			find_code(&subject);
			differences += compare(&subject, argv[optind], count, seed);
		} else {
			printf("%s: skipped, no debug information\n", argv[optind]);
		}
		subject_close(&subject);
	}
	text_pool_free(texts);
	return differences > 0;
}
