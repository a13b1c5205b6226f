#define _GNU_SOURCE
#include "spool/spool_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/vec.h"

#define SPOOL_SIZE_MAX ((size_t)256 << 20)
#define SEGMENTS_MAX 1024
#define PATH_LENGTH_MAX 65536
#define NAMES_LENGTH_MAX 65536

struct section {
	const void *start;
	size_t count; /* of whole entries */
};

struct text {
	uint32_t kind;
	char *text;
};

struct module_entry {
	const struct spool_module *module; /* NULL: a gap */
	const struct spool_segment *segments;
	char *path;
	char *names; /* names_length bytes and one NUL more */
	const struct spool_life *life;
};

struct spool_reader {
	uint8_t *data; /* the copy */
	size_t size;
	const struct spool_header *header;
	struct section stacks, frames, thread_names, heap, heap_stacks, live;
	struct section label_sets, label_texts;
	VEC(struct text) texts;
	VEC(struct module_entry) modules; /* by id - 1 */
};

/* --- opening --- */

/* The section of TYPE with entries of ENTRY_SIZE, as far as it lies in the file. */
static struct section find_section(
	const struct spool_reader *r, enum spool_section_type type, size_t entry_size)
{
	for (size_t i = 0; i < SPOOL_SECTIONS_MAX; i++) {
		const struct spool_section *s = &r->header->sections[i];
		size_t size;

		if (s->type != type || (s->entry_size && s->entry_size != entry_size) ||
			s->offset > r->size || s->offset % 8)
			continue;
		size = s->size < r->size - s->offset ? s->size : r->size - s->offset;
		return (struct section){ r->data + s->offset, size / entry_size };
	}
	return (struct section){ NULL, 0 };
}

static void add_text(struct spool_reader *r, const struct spool_record *record)
{
	const struct spool_text *t = (const struct spool_text *)record;

	if (record->size < sizeof(*t) || t->length > record->size - sizeof(*t))
		return;
	*VEC_PUSH(&r->texts) = (struct text){ .kind = t->kind,
		.text = xstrndup((const char *)(t + 1), t->length) };
}

static void add_module(struct spool_reader *r, const struct spool_record *record)
{
	const struct spool_module *m = (const struct spool_module *)record;
	const char *behind = (const char *)(m + 1);
	struct module_entry *entry;
	size_t segments_size;

	if (record->size < sizeof(*m) || m->id == 0 || m->id > SPOOL_MODULE_ID_MAX ||
		m->segment_count > SEGMENTS_MAX || m->path_length > PATH_LENGTH_MAX ||
		m->build_id_size > SPOOL_BUILD_ID_MAX || m->names_length > NAMES_LENGTH_MAX)
		return;
	segments_size = m->segment_count * sizeof(struct spool_segment);
	if (segments_size + m->path_length + m->names_length > record->size - sizeof(*m))
		return;
	while (r->modules.count < m->id)
		VEC_PUSH(&r->modules);
	entry = &r->modules.items[m->id - 1];
	if (entry->module)
		return; /* the first of that id stands */
	*entry = (struct module_entry){
		.module = m,
		.segments = (const struct spool_segment *)behind,
		.path = xstrndup(behind + segments_size, m->path_length),
		.names = xcalloc(m->names_length + 1, 1),
	};
	memcpy(entry->names, behind + segments_size + m->path_length, m->names_length);
}

/* It comes behind the module's own record. */
static void add_life(struct spool_reader *r, const struct spool_record *record)
{
	const struct spool_life *life = (const struct spool_life *)record;

	if (record->size >= sizeof(*life) && life->module_id > 0 &&
		life->module_id <= r->modules.count)
		r->modules.items[life->module_id - 1].life = life;
}

static void read_journal(struct spool_reader *r)
{
	struct section journal = find_section(r, SPOOL_SECTION_JOURNAL, 1);
	size_t left = journal.count;
	const uint8_t *at = journal.start;

	if (left > r->header->journal_used)
		left = r->header->journal_used;
	while (left >= sizeof(struct spool_record)) {
		const struct spool_record *record = (const struct spool_record *)at;

		if (record->size < sizeof(*record) || record->size > left || record->size % 8)
			return;
		if (record->type == SPOOL_RECORD_TEXT)
			add_text(r, record);
		else if (record->type == SPOOL_RECORD_MODULE)
			add_module(r, record);
		else if (record->type == SPOOL_RECORD_LIFE)
			add_life(r, record);
		at += record->size;
		left -= record->size;
	}
}

static int check_header(const struct spool_header *h, size_t size)
{
	if (size < sizeof(*h) || memcmp(h->magic, SPOOL_MAGIC, sizeof(h->magic)) != 0)
		return -EBADMSG;
	if (h->version != SPOOL_VERSION || h->header_size != sizeof(*h))
		return -EPROTO;
	if (h->state == SPOOL_BEING_MADE)
		return -ENODATA;
	if (h->period_ns == 0 || h->period_ns > INT64_MAX)
		return -EBADMSG;
	return 0;
}

/* Takes DATA over. */
static int open_copy(uint8_t *data, size_t size, struct spool_reader **ret)
{
	struct spool_reader *r = xcalloc(1, sizeof(*r));
	int error;

	r->data = data;
	r->size = size;
	r->header = (const struct spool_header *)data;
	error = check_header(r->header, size);
	if (error) {
		spool_reader_free(r);
		return error;
	}
	r->stacks = find_section(r, SPOOL_SECTION_CPU_STACKS, sizeof(struct spool_stack));
	r->frames = find_section(r, SPOOL_SECTION_FRAMES, sizeof(spool_frame));
	r->thread_names =
		find_section(r, SPOOL_SECTION_THREAD_NAMES, sizeof(struct spool_thread_name));
	r->label_sets =
		find_section(r, SPOOL_SECTION_LABEL_SETS, sizeof(struct spool_label_set));
	r->label_texts = find_section(r, SPOOL_SECTION_LABEL_TEXTS, 1);
	r->heap = find_section(r, SPOOL_SECTION_HEAP, sizeof(struct spool_heap));
	r->heap_stacks =
		find_section(r, SPOOL_SECTION_HEAP_STACKS, sizeof(struct spool_heap_stack));
	r->live = find_section(r, SPOOL_SECTION_LIVE, sizeof(struct spool_live));
	read_journal(r);
	*ret = r;
	return 0;
}

int spool_reader_over(const void *data, size_t size, struct spool_reader **ret)
{
	uint8_t *copy = xmalloc(size);

	if (size)
		memcpy(copy, data, size);
	return open_copy(copy, size, ret);
}

static int open_file(const char *path, size_t *size)
{
	int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
	struct stat st;
	int r = 0;

	if (descriptor < 0)
		return -errno;
	if (fstat(descriptor, &st) < 0)
		r = -errno;
	else if (!S_ISREG(st.st_mode))
		r = S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
	else if ((uint64_t)st.st_size > SPOOL_SIZE_MAX)
		r = -EBADMSG;
	if (r) {
		close(descriptor);
		return r;
	}
	*size = (size_t)st.st_size;
	return descriptor;
}

static int read_range(int descriptor, uint8_t *to, size_t from, size_t end)
{
	while (from < end) {
		ssize_t got = pread(descriptor, to + from, end - from, (off_t)from);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -errno : 0; /* shorter by now: the rest is zeros */
		from += (size_t)got;
	}
	return 0;
}

/* A spool is mostly holes: they stay untouched zeros here too. */
static int read_data(int descriptor, uint8_t *to, size_t size)
{
	off_t at = 0;
	int r = 0;

	while (r == 0 && (size_t)at < size) {
		off_t start = lseek(descriptor, at, SEEK_DATA);
		off_t end = start < 0 ? -1 : lseek(descriptor, start, SEEK_HOLE);

		if (start < 0 && errno == ENXIO)
			return 0; /* a hole to the end */
		if (start < 0 || end <= start)
			return read_range(descriptor, to, (size_t)at, size);
		r = read_range(descriptor, to, (size_t)start,
			(size_t)end < size ? (size_t)end : size);
		at = end;
	}
	return r;
}

int spool_read_header(const char *path, struct spool_header *header)
{
	size_t size = 0;
	int descriptor = open_file(path, &size);
	int r;

	if (descriptor < 0)
		return descriptor;
	memset(header, 0, sizeof(*header));
	r = read_range(descriptor, (uint8_t *)header, 0,
		size < sizeof(*header) ? size : sizeof(*header));
	close(descriptor);
	return r ? r : check_header(header, size);
}

/* What stacks point to (names, modules, and the header's counts of them) lies before them in the
 * file, but must be read after them when the process still runs. */
static int read_again(int descriptor, uint8_t *to, size_t size)
{
	const struct spool_header *header = (const struct spool_header *)to;
	size_t end = size;

	if (size < sizeof(*header))
		return 0;
	for (size_t i = 0; i < SPOOL_SECTIONS_MAX; i++) {
		const struct spool_section *s = &header->sections[i];

		if (s->type != 0 && s->type != SPOOL_SECTION_JOURNAL &&
			s->type != SPOOL_SECTION_THREAD_NAMES && s->offset < end)
			end = s->offset;
	}
	return read_data(descriptor, to, end);
}

int spool_reader_open(const char *path, struct spool_reader **ret)
{
	size_t size = 0;
	int descriptor = open_file(path, &size);
	uint8_t *data;
	int r;

	if (descriptor < 0)
		return descriptor;
	data = xcalloc(size ? size : 1, 1);
	r = read_data(descriptor, data, size);
	if (r == 0)
		r = read_again(descriptor, data, size);
	close(descriptor);
	if (r) {
		free(data);
		return r;
	}
	return open_copy(data, size, ret);
}

void spool_reader_free(struct spool_reader *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->texts.count; i++)
		free(r->texts.items[i].text);
	for (size_t i = 0; i < r->modules.count; i++) {
		free(r->modules.items[i].path);
		free(r->modules.items[i].names);
	}
	VEC_FREE(&r->texts);
	VEC_FREE(&r->modules);
	free(r->data);
	free(r);
}

/* --- reading --- */

bool spool_reader_is_cut_short(const struct spool_reader *r)
{
	return r->header->file_size > r->size;
}

const struct spool_header *spool_reader_header(const struct spool_reader *r)
{
	return r->header;
}

const char *spool_reader_text(const struct spool_reader *r, enum spool_text_kind kind)
{
	for (size_t i = 0; i < r->texts.count; i++)
		if (r->texts.items[i].kind == (uint32_t)kind)
			return r->texts.items[i].text;
	return "";
}

bool spool_reader_module(
	const struct spool_reader *r, uint32_t id, struct spool_module_view *view)
{
	const struct module_entry *entry;

	if (id == 0 || id > r->modules.count || !r->modules.items[id - 1].module)
		return false;
	entry = &r->modules.items[id - 1];
	*view = (struct spool_module_view){
		entry->module, entry->segments, entry->path, entry->names, entry->life };
	return true;
}

bool spool_module_needs(const struct spool_module_view *module, const char *soname)
{
	const char *end = module->soname + module->module->names_length;
	const char *at = module->soname + strlen(module->soname) + 1;

	for (; at < end; at += strlen(at) + 1)
		if (strcmp(at, soname) == 0)
			return true;
	return false;
}

uint32_t spool_reader_module_count(const struct spool_reader *r)
{
	return (uint32_t)r->modules.count;
}

static const char *thread_name(const struct spool_reader *r, uint16_t index)
{
	const struct spool_thread_name *names = r->thread_names.start;

	if (index == 0 || index >= r->thread_names.count ||
		names[index].state != SPOOL_NAME_READY ||
		!memchr(names[index].name, '\0', sizeof(names[index].name)))
		return "";
	return names[index].name;
}

/* The end of SET's text, which begins at *TEXT.  NULL: there is none, or it is damaged. */
static const char *labels_text(const struct spool_reader *r, uint32_t set, const char **text)
{
	const struct spool_label_set *s = r->label_sets.start;
	const size_t head = sizeof(struct spool_label_texts);

	if (set == 0 || set > r->label_sets.count || r->label_texts.count < head)
		return NULL;
	s += set - 1;
	if (s->text == 0 || s->text - 1 > r->label_texts.count - head ||
		s->size > r->label_texts.count - head - (s->text - 1))
		return NULL;
	*text = (const char *)r->label_texts.start + head + (s->text - 1);
	return *text + s->size;
}

/* The text ended by the first NUL from *AT on; NULL: there is none before END. */
static const char *next_text(const char **at, const char *end)
{
	const char *text = *at;
	const char *nul = text < end ? memchr(text, '\0', (size_t)(end - text)) : NULL;

	if (!nul)
		return NULL;
	*at = nul + 1;
	return text;
}

size_t spool_reader_labels(const struct spool_reader *r, const spool_frame *frames,
	size_t frame_count, struct spool_label_view labels[static SPOOL_LABELS_MAX])
{
	size_t count = 0;

	for (size_t i = 0; i < frame_count; i++) {
		const char *at = NULL, *end;

		if (!spool_frame_is_note(frames[i], SPOOL_NOTE_LABELS))
			continue;
		end = labels_text(r, (uint32_t)spool_frame_vaddr(frames[i]), &at);
		while (end && count < SPOOL_LABELS_MAX) {
			const char *key = next_text(&at, end), *value = next_text(&at, end);

			if (!key || !value)
				break;
			if (key[0])
				labels[count++] = (struct spool_label_view){ key, value };
		}
	}
	return count;
}

uint64_t spool_reader_labels_lost(const struct spool_reader *r)
{
	const struct spool_label_texts *texts = r->label_texts.start;

	return r->label_texts.count >= sizeof(*texts) ? texts->lost : 0;
}

bool spool_reader_has_cpu(const struct spool_reader *r)
{
	return r->stacks.start != NULL;
}

/* The frames that a stack's FRAMES field stands for.  0: none, or damaged. */
static size_t find_frames(const struct spool_reader *r, uint64_t field, const spool_frame **frames)
{
	const uint64_t first = field >> 16, count = field & 0xffff;

	if (count == 0 || count > SPOOL_FRAMES_PER_STACK_MAX || first > r->frames.count ||
		count > r->frames.count - first)
		return 0;
	*frames = (const spool_frame *)r->frames.start + first;
	return count;
}

bool spool_reader_next_stack(
	const struct spool_reader *r, size_t *at, struct spool_stack_view *view)
{
	const struct spool_stack *stacks = r->stacks.start;

	for (; *at < r->stacks.count; ++*at) {
		const struct spool_stack *s = &stacks[*at];
		const spool_frame *frames;
		size_t count = find_frames(r, s->frames, &frames);

		if (s->key == 0 || s->periods == 0 || count == 0)
			continue;
		*view = (struct spool_stack_view){
			.frames = frames,
			.frame_count = count,
			.periods = s->periods,
			.thread_name = thread_name(r, s->thread_name),
		};
		++*at;
		return true;
	}
	return false;
}

/* --- heap --- */

uint64_t spool_reader_heap_rate(const struct spool_reader *r)
{
	return r->heap.count ? ((const struct spool_heap *)r->heap.start)->rate_bytes : 0;
}

uint32_t spool_reader_heap_slots(const struct spool_reader *r)
{
	return (uint32_t)r->heap_stacks.count;
}

bool spool_reader_next_heap_stack(
	const struct spool_reader *r, size_t *at, struct spool_heap_stack_view *view)
{
	static const spool_frame table_full = (uint64_t)SPOOL_MODULE_NOTE
			<< SPOOL_FRAME_VADDR_BITS |
		(uint64_t)SPOOL_NOTE_TABLE_FULL << 32;
	const struct spool_heap_stack *stacks = r->heap_stacks.start;

	for (; *at < r->heap_stacks.count; ++*at) {
		const struct spool_heap_stack *s = &stacks[*at];
		const spool_frame *frames = &table_full;
		size_t count = s->frames == SPOOL_FRAMES_REFUSED ?
			1 :
			find_frames(r, s->frames, &frames);

		if (s->key == 0 || count == 0 || s->size_class >= 64)
			continue;
		*view = (struct spool_heap_stack_view){
			.slot = (uint32_t)*at,
			.frames = frames,
			.frame_count = count,
			.alloc_objects = s->alloc_objects,
			.alloc_bytes = s->alloc_bytes,
			.size_class = s->size_class,
			.is_mapping = s->kind == SPOOL_HEAP_MAPPING,
			.thread_name = thread_name(r, s->thread_name),
		};
		++*at;
		return true;
	}
	return false;
}

bool spool_reader_next_live(const struct spool_reader *r, size_t *at, struct spool_live *live)
{
	const struct spool_live *entries = r->live.start;

	while (*at < r->live.count) {
		*live = entries[(*at)++];
		if (live->check && live->stack < r->heap_stacks.count &&
			live->check ==
				spool_live_check(
					live->address, live->size, live->time_ns, live->stack))
			return true;
	}
	return false;
}
