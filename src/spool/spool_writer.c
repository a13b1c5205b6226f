#define _GNU_SOURCE
#include "spool/spool_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <x86intrin.h>

#include "base/decimal.h"
#include "base/file_use.h"
#include "base/hash.h"
#include "base/lone_thread.h"
#include "base/monotonic.h"
#include "base/syscalls.h"
#include "spool/heap_writer.h"
#include "spool/label_writer.h"
#include "spool/live_writer.h"
#include "spool/spool_layout.h"

#define PAGE_BYTES 4096
#define PROBES_MAX 64 /* slots looked at before the table counts as full */

/* --- memory --- */

static bool populate(const struct spool_writer *w, const void *start, size_t size)
{
	return !w->populates ||
		raw_syscall3(SYS_madvise, (long)start, (long)size, MADV_POPULATE_WRITE_NUMBER) == 0;
}

/* Give [START, START+SIZE) its pages before it is touched: on a mapping of a full tmpfs a plain
 * store would be SIGBUS.  False: refused. */
bool spool_touch(struct spool_writer *w, const void *start, size_t size)
{
	const size_t first = (size_t)((const char *)start - (char *)w->header);

	for (size_t chunk = first / SPOOL_CHUNK_SIZE; chunk * SPOOL_CHUNK_SIZE < first + size;
		chunk++) {
		char *at = (char *)w->header + chunk * SPOOL_CHUNK_SIZE;
		size_t left = w->header->file_size - chunk * SPOOL_CHUNK_SIZE;

		if (LIKELY(__atomic_load_n(&w->touched[chunk], __ATOMIC_RELAXED)))
			continue;
		if (!populate(w, at, left < SPOOL_CHUNK_SIZE ? left : SPOOL_CHUNK_SIZE))
			return false;
		__atomic_store_n(&w->touched[chunk], 1, __ATOMIC_RELAXED);
	}
	return true;
}

/* The same for what lies there already at the start, and not a page more: a child of fork() that
 * becomes another program, or ends, before it was sampled needs no other.  The first page is there
 * since the header is. */
static bool touch_pages(const struct spool_writer *w, const void *start, size_t size)
{
	const uintptr_t end = (uintptr_t)start + size, second = (uintptr_t)w->header + PAGE_BYTES;
	uintptr_t first = (uintptr_t)start & ~(uintptr_t)(PAGE_BYTES - 1);

	if (first < second)
		first = second;
	return end <= first || populate(w, (const void *)first, end - first);
}

void *spool_find_touched(
	const struct spool_writer *w, const void *at, const void *end, size_t size)
{
	const char *base = (const char *)w->header, *entry = at;

	while (entry < (const char *)end && !spool_is_touched(w, entry)) {
		const size_t chunk = (size_t)(entry - base) / SPOOL_CHUNK_SIZE;
		const char *next = base + (chunk + 1) * SPOOL_CHUNK_SIZE;

		entry += ((size_t)(next - entry) + size - 1) / size * size;
	}
	return (void *)(entry < (const char *)end ? entry : end);
}

bool spool_copy_touched(struct spool_writer *w, const struct spool_writer *from,
	const void *start, size_t size)
{
	const char *base = (const char *)from->header;
	const size_t first = (size_t)((const char *)start - base), end = first + size;

	for (size_t at = first, next; at < end; at = next) {
		char *to = (char *)w->header + at;

		next = (at / SPOOL_CHUNK_SIZE + 1) * SPOOL_CHUNK_SIZE;
		if (next > end)
			next = end;
		if (!spool_is_touched(from, base + at))
			continue;
		if (!spool_touch(w, to, next - at))
			return false;
		memcpy(to, base + at, next - at);
	}
	return true;
}

/* --- making one --- */

/* Only a folder of our own that nobody else can write to: another user must not be able to
 * plant a spool, or a link, for us to follow. */
static int open_folder(const char *folder)
{
	const int flags = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	struct stat st;
	int descriptor;

	descriptor = open(folder, flags);
	if (descriptor < 0 && errno == ENOENT) {
		if (mkdir(folder, 0700) < 0 && errno != EEXIST)
			return -errno;
		descriptor = open(folder, flags);
	}
	if (descriptor < 0)
		return -errno;
	if (fstat(descriptor, &st) < 0 || st.st_uid != geteuid() || (st.st_mode & 022)) {
		close(descriptor);
		return -EPERM;
	}
	return descriptor;
}

static uint64_t process_start_ticks(void)
{
	char text[1024];
	int descriptor = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
	ssize_t size = descriptor < 0 ? -1 : read(descriptor, text, sizeof(text) - 1);
	uint64_t ticks = 0;
	char *at;

	if (descriptor >= 0)
		close(descriptor);
	if (size <= 0)
		return 0;
	text[size] = '\0';
	at = strrchr(text, ')'); /* the name may hold anything, also spaces and brackets */
	for (int field = 2; at && field < 22; field++)
		at = strchr(at + 1, ' ');
	for (at = at ? at + 1 : text; *at >= '0' && *at <= '9'; at++)
		ticks = ticks * 10 + (uint64_t)(*at - '0');
	return ticks;
}

/* Was NAME left by this very process when it was another program (a child of fork() that called
 * exec), without a sample?  Then nobody wants it.  In another pid namespace a process with the same
 * number may have been started at the same time; its spool is in use. */
static bool remove_leftover(int folder, const char *name)
{
	struct spool_header header;
	int descriptor = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	bool is_empty = descriptor >= 0 &&
		read(descriptor, &header, sizeof(header)) == sizeof(header) &&
		!spool_has_samples(&header) &&
		header.process_start_ticks == process_start_ticks() &&
		file_use_of(descriptor) != FILE_WRITTEN;

	if (descriptor >= 0)
		close(descriptor);
	return is_empty && unlinkat(folder, name, 0) == 0;
}

/* PID.N.spool with the first free N.  An N that is taken is what this pid left when it was
 * another program (exec) or another process: "recover" finds it. */
static int open_new_spool(int folder, char name[static 40], uint32_t *image)
{
	const int flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	static bool has_made_one; /* this program, so an earlier one is not from before exec */

	for (uint32_t n = 0; n < 10000; n++) {
		char *end = decimal_put(name, (uint64_t)getpid());
		int descriptor;
		bool is_there;

		*end++ = '.';
		end = decimal_put(end, n);
		memcpy(end, SPOOL_SUFFIX, sizeof(SPOOL_SUFFIX));
		descriptor = openat(folder, name, flags, 0600);
		is_there = descriptor < 0 && errno == EEXIST;
		if (is_there && !has_made_one && remove_leftover(folder, name)) {
			descriptor = openat(folder, name, flags, 0600);
			is_there = descriptor < 0 && errno == EEXIST;
		}
		if (!is_there) {
			has_made_one = true;
			*image = n;
			return descriptor < 0 ? -errno : descriptor;
		}
	}
	return -EEXIST;
}

static void find_section(struct spool_writer *w, const struct spool_section *section)
{
	void *start = (char *)w->header + section->offset;
	const uint32_t count =
		(uint32_t)(section->entry_size ? section->size / section->entry_size : 0);

	switch ((enum spool_section_type)section->type) {
	case SPOOL_SECTION_JOURNAL:
		w->journal = start;
		w->journal_size = (uint32_t)section->size;
		break;
	case SPOOL_SECTION_THREAD_NAMES:
		w->thread_names = start;
		w->thread_name_count = count;
		break;
	case SPOOL_SECTION_CPU_STACKS:
		w->stacks = start;
		w->stack_count = count - 1;
		break;
	case SPOOL_SECTION_FRAMES:
		w->frames = start;
		w->frame_count = count;
		break;
	case SPOOL_SECTION_LABEL_SETS:
		w->label_sets = start;
		w->label_set_count = count;
		break;
	case SPOOL_SECTION_LABEL_TEXTS:
		w->label_texts = start;
		w->label_texts_size = (uint32_t)section->size;
		break;
	case SPOOL_SECTION_HEAP:
		w->heap = start;
		break;
	case SPOOL_SECTION_LIVE:
		w->live = start;
		w->live_count = count;
		break;
	case SPOOL_SECTION_HEAP_STACKS:
		w->heap_stacks = start;
		w->heap_stack_levels = spool_levels_of(count);
		break;
	}
}

static int map_spool(struct spool_writer *w, int descriptor, struct spool_header *plan)
{
	struct rlimit limit;
	void *mapping;
	int r;

	/* Beyond the limit ftruncate would be SIGXFSZ. */
	if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && plan->file_size > limit.rlim_cur)
		return -EFBIG;
	if (ftruncate(descriptor, (off_t)plan->file_size) < 0)
		return -errno;
	mapping = mmap(NULL, plan->file_size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
	if (mapping == MAP_FAILED)
		return -errno;
	w->populates = madvise(mapping, sizeof(*plan), MADV_POPULATE_WRITE_NUMBER) == 0;
	if (!w->populates) {
		/* An older kernel, or no room: all of it now, or none. */
		r = posix_fallocate(descriptor, 0, (off_t)plan->file_size);
		if (r) {
			munmap(mapping, plan->file_size);
			return -r;
		}
		memset(w->touched, 1, sizeof(w->touched));
	}
	w->header = mapping;
	*w->header = *plan;
	for (size_t i = 0; i < SPOOL_SECTIONS_MAX && plan->sections[i].type; i++)
		find_section(w, &plan->sections[i]);
	return w->live ? spool_start_live(w) : 0;
}

int spool_create(struct spool_writer *w, const char *folder, const struct spool_identity *identity,
	char *path, size_t path_size)
{
	struct spool_header plan = {
		.magic = SPOOL_MAGIC,
		.version = SPOOL_VERSION,
		.header_size = sizeof(plan),
		.pid = (uint32_t)getpid(),
		.uid = geteuid(),
		.process_start_ticks = identity->process_start_ticks ?
			identity->process_start_ticks :
			process_start_ticks(),
		.session = identity->session,
		.recorder_pid = identity->recorder_pid,
		.start_realtime_ns = clock_now_ns(CLOCK_REALTIME),
		.start_monotonic_ns = monotonic_ns(),
		.start_tsc = __rdtsc(),
		.period_ns = identity->period_ns,
		.stop_monotonic_ns = identity->stop_monotonic_ns,
		.frames_used = 1, /* frame 0 is taken */
	};
	char name[40];
	int folder_descriptor, descriptor;
	int r;

	if (w->was_used)
		memset(w, 0, sizeof(*w));
	w->was_used = true;
	if (strlen(folder) + 1 + sizeof(name) > path_size)
		return -ENAMETOOLONG;
	folder_descriptor = open_folder(folder);
	if (folder_descriptor < 0)
		return folder_descriptor;
	plan.file_size = spool_lay_out(&plan, identity);
	descriptor = open_new_spool(folder_descriptor, name, &plan.image);
	r = descriptor < 0 ? descriptor : map_spool(w, descriptor, &plan);
	if (descriptor >= 0) {
		if (r)
			unlinkat(folder_descriptor, name, 0);
		close(descriptor);
	}
	close(folder_descriptor);
	if (r == 0 && w->heap && touch_pages(w, w->heap, sizeof(*w->heap)))
		w->heap->rate_bytes = identity->heap_rate_bytes;
	if (r) {
		spool_abandon(w);
		return r;
	}
	strcpy(path, folder);
	strcat(path, "/");
	strcat(path, name);
	return 0;
}

void spool_begin(struct spool_writer *w)
{
	__atomic_store_n(&w->header->state, SPOOL_RECORDING, __ATOMIC_RELEASE);
}

void spool_end(struct spool_writer *w)
{
	w->header->end_monotonic_ns = monotonic_ns();
	__atomic_store_n(&w->header->state, SPOOL_ENDED, __ATOMIC_RELEASE);
}

bool spool_inherit(struct spool_writer *w, const struct spool_writer *from)
{
	const uint64_t used = from->header->journal_used;
	uint32_t names = 1; /* the first is none's */

	if (!touch_pages(w, w->journal, used))
		return false;
	memcpy(w->journal, from->journal, used);
	w->header->journal_used = used;
	while (names < w->thread_name_count && from->thread_names[names].state != SPOOL_NAME_EMPTY)
		names++; /* they are taken in order */
	if (!touch_pages(w, w->thread_names, names * sizeof(*w->thread_names)))
		return false;
	for (uint32_t i = 1; i < names; i++)
		if (from->thread_names[i].state == SPOOL_NAME_READY)
			w->thread_names[i] = from->thread_names[i];
	return spool_inherit_labels(w, from) && (!from->heap || spool_inherit_heap(w, from));
}

void spool_abandon(struct spool_writer *w)
{
	spool_abandon_live(w);
	if (w->header)
		munmap(w->header, w->header->file_size);
	/* Not the rest: after fork() it is still shared with the parent. */
	memset(w, 0, offsetof(struct spool_writer, was_used));
}

void spool_count(struct spool_writer *w, enum spool_counter counter, uint64_t more)
{
	lone_add(&w->header->counters[counter], more);
}

/* --- journal --- */

static void *append(struct spool_writer *w, enum spool_record_type type, size_t size)
{
	const size_t whole = (size + 7) & ~(size_t)7;
	const uint64_t used = w->header->journal_used;
	struct spool_record *record = (struct spool_record *)(w->journal + used);

	if (whole > w->journal_size - used || !spool_touch(w, record, whole))
		return NULL;
	record->size = (uint32_t)whole;
	record->type = (uint16_t)type;
	record->time_ns = monotonic_ns();
	return record;
}

static void commit(struct spool_writer *w, const struct spool_record *record)
{
	__atomic_store_n(&w->header->journal_used, w->header->journal_used + record->size,
		__ATOMIC_RELEASE);
}

bool spool_append_text(struct spool_writer *w, enum spool_text_kind kind, const char *text)
{
	const size_t length = strlen(text);
	struct spool_text *record = append(w, SPOOL_RECORD_TEXT, sizeof(*record) + length);

	if (!record)
		return false;
	record->kind = kind;
	record->length = (uint32_t)length;
	memcpy(record + 1, text, length);
	commit(w, &record->record);
	return true;
}

struct spool_module *spool_append_module(struct spool_writer *w, const struct spool_module *module,
	const struct spool_segment *segments, const char *path, const char *names)
{
	const size_t segments_size = module->segment_count * sizeof(*segments);
	struct spool_module *record = append(w, SPOOL_RECORD_MODULE,
		sizeof(*record) + segments_size + module->path_length + module->names_length);
	struct spool_record head;
	char *behind;

	if (!record)
		return NULL;
	head = record->record;
	*record = *module;
	record->record = head;
	behind = (char *)(record + 1);
	memcpy(behind, segments, segments_size);
	memcpy(behind + segments_size, path, module->path_length);
	memcpy(behind + segments_size + module->path_length, names, module->names_length);
	commit(w, &record->record);
	return record;
}

struct spool_life *spool_append_life(struct spool_writer *w, const struct spool_life *life)
{
	struct spool_life *record = append(w, SPOOL_RECORD_LIFE, sizeof(*record));
	struct spool_record head;

	if (!record)
		return NULL;
	head = record->record;
	*record = *life;
	record->record = head;
	commit(w, &record->record);
	return record;
}

/* --- thread names --- */

uint16_t spool_intern_thread_name(struct spool_writer *w, const char name[static 16])
{
	if (name[0] == '\0')
		return 0;
	for (uint32_t i = 1; i < w->thread_name_count; i++) {
		struct spool_thread_name *entry = &w->thread_names[i];
		uint32_t state;

		if (!spool_touch(w, entry, sizeof(*entry)))
			return 0;
		state = __atomic_load_n(&entry->state, __ATOMIC_ACQUIRE);
		if (state == SPOOL_NAME_READY && strncmp(entry->name, name, 16) == 0)
			return (uint16_t)i;
		/* An entry another thread is busy with may become this name too: the tool joins
		 * equal names again. */
		if (state == SPOOL_NAME_EMPTY &&
			__atomic_compare_exchange_n(&entry->state, &state, SPOOL_NAME_BUSY, false,
				__ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
			memcpy(entry->name, name, 15);
			__atomic_store_n(&entry->state, SPOOL_NAME_READY, __ATOMIC_RELEASE);
			return (uint16_t)i;
		}
	}
	return 0;
}

/* --- stacks --- */

static uint64_t stack_key(const spool_frame *frames, size_t frame_count, uint16_t thread_name)
{
	uint64_t key = thread_name + 1;

	for (size_t i = 0; i < frame_count; i++)
		key = hash_add(key, frames[i]);
	key = hash_mix(key);
	return key ? key : 1;
}

uint64_t spool_store_frames(struct spool_writer *w, const spool_frame *frames, size_t frame_count)
{
	uint64_t first = __atomic_fetch_add(&w->header->frames_used, frame_count, __ATOMIC_RELAXED);

	if (first + frame_count > w->frame_count ||
		!spool_touch(w, &w->frames[first], frame_count * sizeof(*frames)))
		return SPOOL_FRAMES_REFUSED;
	memcpy(&w->frames[first], frames, frame_count * sizeof(*frames));
	return first << 16 | frame_count;
}

/* Put the frames of a stack just claimed where a reader finds them.  False: no room. */
static bool store_frames(struct spool_writer *w, struct spool_stack *stack,
	const spool_frame *frames, size_t frame_count)
{
	const uint64_t stored = spool_store_frames(w, frames, frame_count);

	__atomic_store_n(&stack->frames, stored, __ATOMIC_SEQ_CST);
	return stored != SPOOL_FRAMES_REFUSED;
}

bool spool_is_half_full(const struct spool_writer *w)
{
	return __atomic_load_n(&w->header->frames_used, __ATOMIC_RELAXED) > w->frame_count / 2 ||
		__atomic_load_n(&w->header->stacks_used, __ATOMIC_RELAXED) > w->stack_count / 2;
}

enum find { FOUND, FULL, REFUSED, NO_MEMORY, NOT_WITH_LABELS };

/* The slot of the stack KEY stands for, made when new. */
static enum find find_stack(struct spool_writer *w, uint64_t key, const spool_frame *frames,
	size_t frame_count, uint16_t thread_name, struct spool_stack **ret)
{
	const bool has_labels =
		spool_frame_is_note(frames[frame_count - 1], SPOOL_NOTE_LABELS);

	for (uint32_t probe = 0; probe < PROBES_MAX; probe++) {
		struct spool_stack *stack = &w->stacks[(key + probe) & (w->stack_count - 1)];
		uint64_t seen;

		if (UNLIKELY(!spool_touch(w, stack, sizeof(*stack))))
			return NO_MEMORY;
		seen = __atomic_load_n(&stack->key, __ATOMIC_ACQUIRE);
		if (seen == 0 && has_labels && UNLIKELY(spool_is_half_full(w)))
			return NOT_WITH_LABELS;
		if (seen == 0 && __atomic_compare_exchange_n(&stack->key, &seen, key, false,
					 __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
			__atomic_fetch_add(&w->header->stacks_used, 1, __ATOMIC_RELAXED);
			stack->thread_name = thread_name;
			*ret = stack;
			return store_frames(w, stack, frames, frame_count) ? FOUND : REFUSED;
		}
		if (seen == key) {
			*ret = stack;
			/* They may still be on their way. */
			return __atomic_load_n(&stack->frames, __ATOMIC_ACQUIRE) ==
					SPOOL_FRAMES_REFUSED ?
				REFUSED :
				FOUND;
		}
	}
	return FULL;
}

bool spool_fill_note_frame(struct spool_writer *w)
{
	if (!spool_touch(w, &w->frames[0], sizeof(w->frames[0])))
		return false;
	__atomic_store_n(
		&w->frames[0], spool_frame_note(SPOOL_NOTE_TABLE_FULL, 0), __ATOMIC_RELAXED);
	return true;
}

/* The slot behind the table.  Every thread that comes here writes the same. */
static enum find find_full_stack(struct spool_writer *w, struct spool_stack **ret)
{
	struct spool_stack *stack = &w->stacks[w->stack_count];

	if (!spool_touch(w, stack, sizeof(*stack)) || !spool_fill_note_frame(w))
		return NO_MEMORY;
	__atomic_store_n(&stack->key, 1, __ATOMIC_RELAXED);
	__atomic_store_n(&stack->frames, 1, __ATOMIC_RELEASE);
	*ret = stack;
	return FOUND;
}

static void append_to_full_stack(struct spool_writer *w, uint64_t periods)
{
	struct spool_stack *stack;

	if (find_full_stack(w, &stack) != FOUND) {
		spool_count(w, SPOOL_LOST_MEMORY, periods);
		return;
	}
	spool_count(w, SPOOL_COUNT_TABLE_FULL, periods);
	__atomic_fetch_add(&stack->periods, periods, __ATOMIC_RELAXED);
}

/* What was added to a stack while its frames were on their way and then found no room.  Whoever
 * refuses and whoever adds both look, each after its own store, so that none is left. */
static void move_refused(struct spool_writer *w, struct spool_stack *stack)
{
	uint64_t periods;

	if (LIKELY(__atomic_load_n(&stack->frames, __ATOMIC_SEQ_CST) != SPOOL_FRAMES_REFUSED))
		return;
	periods = __atomic_exchange_n(&stack->periods, 0, __ATOMIC_SEQ_CST);
	if (periods)
		append_to_full_stack(w, periods);
}

void spool_append_sample(struct spool_writer *w, const spool_frame *frames, size_t frame_count,
	uint16_t thread_name, uint64_t periods)
{
	struct spool_stack *stack;

	switch (find_stack(w, stack_key(frames, frame_count, thread_name), frames, frame_count,
		thread_name, &stack)) {
	case FOUND:
		__atomic_fetch_add(&stack->periods, periods, __ATOMIC_SEQ_CST);
		move_refused(w, stack);
		break;
	case REFUSED:
		move_refused(w, stack);
		append_to_full_stack(w, periods);
		break;
	case FULL:
		append_to_full_stack(w, periods);
		break;
	case NO_MEMORY:
		spool_count(w, SPOOL_LOST_MEMORY, periods);
		break;
	case NOT_WITH_LABELS:
		spool_count_lost_labels(w);
		spool_append_sample(w, frames, frame_count - 1, thread_name, periods);
	}
}
