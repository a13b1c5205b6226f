#define _GNU_SOURCE
#include "spool/spool_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
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
};

struct spool_reader {
	uint8_t *data; /* the copy */
	size_t size;
	const struct spool_header *header;
	struct section stacks, frames, thread_names;
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
		at += record->size;
		left -= record->size;
	}
}

static int check_header(const struct spool_reader *r)
{
	const struct spool_header *h = r->header;

	if (r->size < sizeof(*h) || memcmp(h->magic, SPOOL_MAGIC, sizeof(h->magic)) != 0)
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
	error = check_header(r);
	if (error) {
		spool_reader_free(r);
		return error;
	}
	r->stacks = find_section(r, SPOOL_SECTION_CPU_STACKS, sizeof(struct spool_stack));
	r->frames = find_section(r, SPOOL_SECTION_FRAMES, sizeof(spool_frame));
	r->thread_names =
		find_section(r, SPOOL_SECTION_THREAD_NAMES, sizeof(struct spool_thread_name));
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

int spool_reader_open(const char *path, struct spool_reader **ret)
{
	int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	uint8_t *data;
	size_t size;
	int r;

	if (descriptor < 0)
		return -errno;
	r = file_read_all(descriptor, SPOOL_SIZE_MAX, &data, &size);
	close(descriptor);
	return r ? r : open_copy(data, size, ret);
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
		entry->module, entry->segments, entry->path, entry->names };
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

bool spool_reader_next_stack(
	const struct spool_reader *r, size_t *at, struct spool_stack_view *view)
{
	const struct spool_stack *stacks = r->stacks.start;
	const spool_frame *frames = r->frames.start;

	for (; *at < r->stacks.count; ++*at) {
		const struct spool_stack *s = &stacks[*at];
		uint64_t first = s->frames >> 16, count = s->frames & 0xffff;

		if (s->key == 0 || s->periods == 0 || count == 0 ||
			count > SPOOL_FRAMES_PER_STACK_MAX || first > r->frames.count ||
			count > r->frames.count - first)
			continue;
		*view = (struct spool_stack_view){
			.frames = frames + first,
			.frame_count = count,
			.periods = s->periods,
			.thread_name = thread_name(r, s->thread_name),
		};
		++*at;
		return true;
	}
	return false;
}
