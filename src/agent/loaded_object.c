#define _GNU_SOURCE
#include "agent/loaded_object.h"

#include <limits.h>
#include <string.h>
#include <sys/auxv.h>

#include "base/content_id.h"
#include "base/syscalls.h"

#define PAGE_MASK ((uint64_t)4095)

static char path_buffer[PATH_MAX + 256];
static char names_buffer[2048];

static bool inside(const struct loaded_object *o, uint64_t vaddr, uint64_t size)
{
	uint64_t pc = vaddr + o->bias;

	return pc >= o->map_start && pc <= o->map_end && size <= o->map_end - pc;
}

void object_find_range(struct loaded_object *o)
{
	uint64_t low = UINT64_MAX, high = 0;

	for (size_t i = 0; i < o->header_count; i++) {
		const Elf64_Phdr *h = &o->headers[i];

		if (h->p_type != PT_LOAD)
			continue;
		if (h->p_vaddr < low)
			low = h->p_vaddr;
		if (h->p_vaddr + h->p_memsz > high)
			high = h->p_vaddr + h->p_memsz;
	}
	o->map_start = o->bias + (low & ~PAGE_MASK);
	o->map_end = o->bias + ((high + PAGE_MASK) & ~PAGE_MASK);
}

size_t object_find_segments(const struct loaded_object *o, struct spool_segment *segments)
{
	size_t count = 0;

	for (size_t i = 0; i < o->header_count && count < OBJECT_SEGMENTS_MAX; i++) {
		const Elf64_Phdr *h = &o->headers[i];
		uint64_t start = h->p_vaddr & ~PAGE_MASK;

		if (h->p_type != PT_LOAD || !(h->p_flags & PF_X) || h->p_memsz == 0)
			continue;
		segments[count++] = (struct spool_segment){
			.vaddr = start,
			.size = ((h->p_vaddr + h->p_memsz + PAGE_MASK) & ~PAGE_MASK) - start,
			.file_offset = h->p_offset & ~PAGE_MASK,
		};
	}
	return count;
}

/* No more than this is known to be there. */
static uint64_t to_page_end(uint64_t vaddr, uint64_t size)
{
	return ((vaddr + size + PAGE_MASK) & ~PAGE_MASK) - vaddr;
}

void object_find_build_id(const struct loaded_object *o, struct build_id *id, bool *is_go)
{
	struct build_notes notes = { .is_go = false };

	for (size_t i = 0; i < o->header_count; i++) {
		const Elf64_Phdr *h = &o->headers[i];

		if (h->p_type == PT_NOTE && inside(o, h->p_vaddr, h->p_memsz))
			build_notes_add(&notes, (const void *)(h->p_vaddr + o->bias), h->p_memsz,
				to_page_end(h->p_vaddr, h->p_memsz), h->p_align);
	}
	build_id_of_notes(&notes, o->headers, o->header_count, id);
	*is_go = notes.is_go;
}

static const void *read_segment(
	void *context, const Elf64_Phdr *segment, uint64_t at, size_t size)
{
	const struct loaded_object *o = context;

	return inside(o, segment->p_vaddr + at, size) ?
		(const void *)(segment->p_vaddr + at + o->bias) :
		NULL;
}

uint64_t object_find_content(const struct loaded_object *o)
{
	return content_id_of(o->headers, o->header_count, read_segment, (void *)o);
}

void object_find_unwind(const struct loaded_object *o, struct cfi_table *table)
{
	const Elf64_Phdr *header = NULL;

	*table = (struct cfi_table){ .data = NULL };
	for (size_t i = 0; i < o->header_count; i++)
		if (o->headers[i].p_type == PT_GNU_EH_FRAME)
			header = &o->headers[i];
	for (size_t i = 0; header && i < o->header_count; i++) {
		const Elf64_Phdr *h = &o->headers[i];

		if (h->p_type != PT_LOAD || header->p_vaddr < h->p_vaddr ||
			header->p_vaddr >= h->p_vaddr + h->p_filesz ||
			!inside(o, h->p_vaddr, h->p_filesz))
			continue;
		table->data = (const uint8_t *)(h->p_vaddr + o->bias);
		table->vaddr = h->p_vaddr;
		table->size = h->p_filesz;
		break;
	}
	if (!table->data)
		return;
	table->bias = o->bias;
	table->header_vaddr = header->p_vaddr;
	if (!cfi_table_open(table)) {
		table->data = NULL;
		return;
	}
	uint64_t first = table->frame_vaddr < table->header_vaddr ? table->frame_vaddr :
								    table->header_vaddr;

	if (first > table->vaddr && first < table->vaddr + table->size) {
		table->data += first - table->vaddr;
		table->size -= first - table->vaddr;
		table->vaddr = first;
	}
}

static bool put_path(char *to, size_t size, const char *folder, const char *name)
{
	size_t folder_length = folder ? strlen(folder) : 0;
	size_t name_length = strlen(name);

	if (folder_length + 1 + name_length >= size)
		return false;
	if (folder) {
		memmove(to, folder, folder_length);
		to[folder_length++] = '/';
	}
	memcpy(to + folder_length, name, name_length + 1);
	return true;
}

static const char deleted[] = " (deleted)";

/* What the link NAME points to in BUFFER, without the kernel's remark.  False: no link. */
static bool read_link(const char *name, char *buffer, size_t size)
{
	const size_t remark = sizeof(deleted) - 1;
	long length = raw_syscall3(SYS_readlink, (long)name, (long)buffer, (long)size - 1);

	if (length <= 0)
		return false;
	buffer[length] = '\0';
	if ((size_t)length > remark && strcmp(buffer + length - remark, deleted) == 0)
		buffer[(size_t)length - remark] = '\0';
	return true;
}

/* --- names that mean a descriptor --- */

#define DESCRIPTOR_NAMES_MAX 8

static struct {
	char name[64], target[256];
} descriptor_names[DESCRIPTOR_NAMES_MAX];

bool object_name_means_descriptor(const char *name)
{
	return strncmp(name, "/proc/", 6) == 0 || strncmp(name, "/dev/fd/", 8) == 0;
}

void object_remember_descriptor(const char *name)
{
	static uint32_t next;
	const size_t length = strlen(name);

	if (length >= sizeof(descriptor_names[0].name))
		return;
	for (size_t i = 0; i < DESCRIPTOR_NAMES_MAX; i++)
		if (strcmp(descriptor_names[i].name, name) == 0)
			next = (uint32_t)i;
	if (read_link(name, descriptor_names[next].target, sizeof(descriptor_names[0].target)))
		memcpy(descriptor_names[next].name, name, length + 1);
	next = (next + 1) % DESCRIPTOR_NAMES_MAX;
}

static const char *find_descriptor(const char *name)
{
	for (size_t i = 0; i < DESCRIPTOR_NAMES_MAX; i++)
		if (strcmp(descriptor_names[i].name, name) == 0)
			return descriptor_names[i].target;
	return read_link(name, path_buffer, sizeof(path_buffer)) ? path_buffer : name;
}

static const char *make_absolute(const char *name)
{
	if (name[0] == '/' || name[0] == '\0')
		return name;
	if (raw_syscall3(SYS_getcwd, (long)path_buffer, PATH_MAX, 0) <= 0 ||
		!put_path(path_buffer, sizeof(path_buffer), path_buffer, name))
		return name;
	return path_buffer;
}

const char *object_program_path(void)
{
	const char *started_as = (const char *)getauxval(AT_EXECFN);

	if (read_link("/proc/self/exe", path_buffer, sizeof(path_buffer)))
		return path_buffer;
	return make_absolute(started_as ? started_as : ""); /* there is no /proc */
}

const char *object_find_path(const struct loaded_object *o)
{
	if (o->flags & SPOOL_MODULE_VDSO)
		return "[vdso]";
	if (o->flags & SPOOL_MODULE_MAIN)
		return object_program_path();
	return object_name_means_descriptor(o->name) ? find_descriptor(o->name) :
						       make_absolute(o->name);
}

const void *object_at(const struct loaded_object *o, uint64_t address, uint64_t size)
{
	const uint64_t pc = address < o->bias ? address + o->bias : address;

	return pc >= o->map_start && pc < o->map_end && size <= o->map_end - pc ?
		(const void *)pc :
		NULL;
}

/* The dynamic section, up to *END; NULL: none. */
static const Elf64_Dyn *find_dynamic(const struct loaded_object *o, const Elf64_Dyn **end)
{
	const Elf64_Dyn *dynamic = NULL;

	*end = NULL;
	for (size_t i = 0; i < o->header_count; i++) {
		const Elf64_Phdr *h = &o->headers[i];

		if (h->p_type != PT_DYNAMIC || !inside(o, h->p_vaddr, h->p_memsz))
			continue;
		dynamic = (const Elf64_Dyn *)(h->p_vaddr + o->bias);
		*end = dynamic + h->p_memsz / sizeof(*dynamic);
	}
	return dynamic;
}

uint64_t object_find_dynamic(const struct loaded_object *o, int64_t tag)
{
	const Elf64_Dyn *end, *d = find_dynamic(o, &end);

	for (; d < end && d->d_tag != DT_NULL; d++)
		if (d->d_tag == tag)
			return d->d_un.d_val;
	return 0;
}

static size_t put_name(size_t used, const char *name, uint64_t room)
{
	size_t length = strnlen(name, room);

	if (length == room || length >= sizeof(names_buffer) - used)
		return used;
	memcpy(names_buffer + used, name, length + 1);
	return used + length + 1;
}

size_t object_find_names(const struct loaded_object *o, const char **names)
{
	const uint64_t strings = object_find_dynamic(o, DT_STRTAB);
	const Elf64_Dyn *end, *dynamic = find_dynamic(o, &end);
	size_t used = 0;

	for (int pass = 0; strings && pass < 2; pass++) {
		for (const Elf64_Dyn *d = dynamic; d < end && d->d_tag != DT_NULL; d++) {
			const char *name = object_at(o, strings + d->d_un.d_val, 1);

			if (name && d->d_tag == (pass == 0 ? DT_SONAME : DT_NEEDED))
				used = put_name(used, name, o->map_end - (uint64_t)name);
		}
		if (used == 0)
			used = put_name(0, "", 1); /* no soname */
	}
	*names = names_buffer;
	return used;
}
