/*
 * Any bytes as a spool.  Link with src/spool/spool_reader.c and, of src/base, file and xalloc; run
 *     ./fuzz_spool -max_len=20000 NEW_CORPUS tests/fuzz/corpus/spool
 */
#include <stdlib.h>
#include <string.h>

#include "spool/spool_reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile uint64_t sink;

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void read_modules(const struct spool_reader *r)
{
	const uint32_t count = spool_reader_module_count(r);
	struct spool_module_view view;

	require(count <= SPOOL_MODULE_ID_MAX);
	for (uint32_t id = 0; id <= count + 1; id++) {
		if (!spool_reader_module(r, id, &view))
			continue;
		require(view.module->id == id);
		require(view.module->build_id_size <= SPOOL_BUILD_ID_MAX);
		sink += strlen(view.path) + strlen(view.soname);
		sink += spool_module_needs(&view, "libc.so.6");
		for (uint32_t i = 0; i < view.module->segment_count; i++)
			sink += view.segments[i].vaddr + view.segments[i].size;
	}
}

static void read_labels(const struct spool_reader *r, const spool_frame *frames, size_t count)
{
	struct spool_label_view labels[SPOOL_LABELS_MAX];
	const size_t label_count = spool_reader_labels(r, frames, count, labels);

	require(label_count <= SPOOL_LABELS_MAX);
	for (size_t i = 0; i < label_count; i++) {
		require(labels[i].key[0]);
		sink += strlen(labels[i].key) + strlen(labels[i].value);
	}
}

static void read_stacks(const struct spool_reader *r)
{
	struct spool_stack_view view;

	for (size_t at = 0; spool_reader_next_stack(r, &at, &view);) {
		require(view.frame_count >= 1 && view.frame_count <= SPOOL_FRAMES_PER_STACK_MAX);
		require(view.periods >= 1);
		for (size_t i = 0; i < view.frame_count; i++)
			sink += view.frames[i];
		read_labels(r, view.frames, view.frame_count);
		sink += strlen(view.thread_name);
	}
	sink += spool_reader_labels_lost(r);
}

static void read_heap(const struct spool_reader *r)
{
	struct spool_heap_stack_view view;
	struct spool_live live;

	sink += spool_reader_heap_rate(r) + spool_reader_has_cpu(r);
	for (size_t at = 0; spool_reader_next_heap_stack(r, &at, &view);) {
		require(view.frame_count >= 1 && view.frame_count <= SPOOL_FRAMES_PER_STACK_MAX);
		require(view.slot < spool_reader_heap_slots(r) && view.size_class < 64);
		for (size_t i = 0; i < view.frame_count; i++)
			sink += view.frames[i];
		sink += strlen(view.thread_name);
	}
	for (size_t at = 0; spool_reader_next_live(r, &at, &live);)
		require(live.stack < spool_reader_heap_slots(r));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct spool_reader *r;

	if (spool_reader_over(data, size, &r) != 0)
		return 0;
	for (int kind = 0; kind < 6; kind++)
		sink += strlen(spool_reader_text(r, (enum spool_text_kind)kind));
	sink += spool_reader_is_cut_short(r);
	read_modules(r);
	read_stacks(r);
	read_heap(r);
	spool_reader_free(r);
	return 0;
}
