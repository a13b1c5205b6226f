#include "mapstore/gsym_writer.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/hash.h"
#include "base/table.h"
#include "base/xalloc.h"
#include "mapstore/gsym_function.h"

#define GSYM_MAGIC 0x4753594du
#define GSYM_VERSION 1
#define GSYM_ID_SIZE_MAX 20
#define GSYM_SIZE_MAX (1u << 30) /* of the functions: a hostile map can ask for any size */
#define STRING_WORK_MAX (UINT64_C(1) << 32) /* bytes read, each string once: likewise */

struct gsym_header {
	uint32_t magic;
	uint16_t version;
	uint8_t address_size; /* bytes of an entry in the table of addresses */
	uint8_t id_size; /* bytes of the build-ID */
	uint64_t base; /* addresses count from it */
	uint32_t address_count;
	uint32_t strings_offset, strings_size;
	uint8_t id[GSYM_ID_SIZE_MAX];
};
static_assert(sizeof(struct gsym_header) == 48, "no GSYM header");

struct entry {
	uint64_t vaddr;
	size_t offset; /* among the functions */
};

struct file {
	uint32_t folder, name; /* offsets in the string table */
};

struct conversion {
	struct map_reader *map;
	struct output strings, functions;
	VEC(struct entry) entries;
	VEC(struct file) files;
	struct table by_text, by_file;
	uint32_t *names, *file_numbers; /* ours by the map's; 0: not asked yet */
	struct gsym_function function; /* the one that is being read; empty: none */
	uint64_t end; /* of all that was read */
	int error;
};

static bool same_text(const void *context, size_t index, const void *key)
{
	const struct conversion *c = context;

	return strcmp((const char *)c->strings.bytes.items + index, key) == 0;
}

static uint32_t string_offset(struct conversion *c, const char *text)
{
	const size_t size = strlen(text);
	const uint64_t hash = hash_bytes(text, size);
	size_t index;

	if (!table_find(&c->by_text, hash, same_text, c, text, &index)) {
		index = c->strings.bytes.count;
		output_bytes(&c->strings, text, size + 1);
		table_insert(&c->by_text, hash, index);
	}
	return (uint32_t)index;
}

static bool same_file(const void *context, size_t index, const void *key)
{
	const struct conversion *c = context;

	return memcmp(&c->files.items[index], key, sizeof(struct file)) == 0;
}

static uint32_t file_number(struct conversion *c, const char *path)
{
	const char *slash = strrchr(path, '/');
	char *folder = slash ? xstrndup(path, (size_t)(slash - path)) : xstrdup("");
	const struct file file = { .folder = string_offset(c, slash == path ? "/" : folder),
		.name = string_offset(c, slash ? slash + 1 : path) };
	const uint64_t hash = hash_bytes(&file, sizeof(file));
	size_t index;

	if (!table_find(&c->by_file, hash, same_file, c, &file, &index)) {
		index = c->files.count;
		*VEC_PUSH(&c->files) = file;
		table_insert(&c->by_file, hash, index);
	}
	free(folder);
	return (uint32_t)index;
}

static const char *name_of(struct map_reader *map, uint32_t function)
{
	struct map_function f;
	const char *text = NULL;

	if (map_reader_function(map, function, &f))
		text = map_reader_string(map, f.name ? f.name : f.linkage_name);
	return text ? text : "??";
}

static struct gsym_place place_of(struct conversion *c, const struct map_frame *f)
{
	uint32_t *name = &c->names[f->function], *file = &c->file_numbers[f->file];
	const char *path;

	if (*name == 0)
		*name = string_offset(c, name_of(c->map, f->function));
	if (*file == 0 && f->file) {
		path = map_reader_string(c->map, f->file);
		*file = path ? file_number(c, path) : c->function.unknown_file;
	}
	return (struct gsym_place){ *name, *file, f->line };
}

static void finish_function(struct conversion *c)
{
	struct gsym_function *f = &c->function;

	if (f->end > f->vaddr) {
		output_align(&c->functions, 4);
		*VEC_PUSH(&c->entries) = (struct entry){ f->vaddr, c->functions.bytes.count };
		gsym_function_write(f, &c->functions);
		if (c->functions.bytes.count > GSYM_SIZE_MAX)
			c->error = -EOVERFLOW;
	}
	f->end = f->vaddr;
}

/* A FunctionInfo is as much code as lies together and belongs to one function. */
static void add_range(void *context, uint64_t vaddr, uint64_t end, const struct map_frame *frames,
	size_t count)
{
	static struct gsym_place places[MAP_DEPTH_MAX];
	struct conversion *c = context;
	struct gsym_function *f = &c->function;

	if (end - map_reader_header(c->map)->base > UINT32_MAX ||
		map_reader_string_work(c->map) > STRING_WORK_MAX)
		c->error = -EOVERFLOW;
	/* Without a name GSYM has no function; a hostile map can go backwards. */
	if (count == 0 || !frames[count - 1].function || vaddr < c->end || c->error)
		return;
	for (size_t i = 0; i < count; i++)
		places[i] = place_of(c, &frames[i]);
	if (f->end == f->vaddr || f->end != vaddr || f->name != places[count - 1].name) {
		finish_function(c);
		gsym_function_start(f, vaddr, places[count - 1].name);
	}
	gsym_function_add(f, vaddr, end, places, count);
	c->end = end;
}

static void read_map(struct conversion *c)
{
	const struct map_section *sections = map_reader_header(c->map)->sections;

	c->names = calloc(sections[MAP_FUNCTIONS].count + 1, sizeof(*c->names));
	c->file_numbers = calloc(sections[MAP_STRINGS].count + 1, sizeof(*c->file_numbers));
	if (!c->names || !c->file_numbers) {
		c->error = -EOVERFLOW;
		return;
	}
	output_u8(&c->strings, '\0'); /* offset 0 is the empty string, file 0 is none */
	*VEC_PUSH(&c->files) = (struct file){ 0, 0 };
	c->function.unknown_file = file_number(c, "??");
	map_reader_visit(c->map, add_range, c);
	finish_function(c);
	if (c->error == 0 && c->entries.count == 0)
		c->error = -ENODATA;
}

static uint8_t address_size(uint64_t highest)
{
	return highest <= UINT8_MAX ? 1 : highest <= UINT16_MAX ? 2 : 4;
}

static void write_header(const struct conversion *c, struct output *out)
{
	const struct map_header *of_map = map_reader_header(c->map);
	const size_t last = c->entries.count - 1;
	struct gsym_header h = { .magic = GSYM_MAGIC, .version = GSYM_VERSION };
	struct build_id id;

	map_reader_build_id(c->map, &id);
	h.base = of_map->base;
	h.address_size = address_size(c->entries.items[last].vaddr - h.base);
	h.address_count = (uint32_t)c->entries.count;
	h.id_size = id.size < GSYM_ID_SIZE_MAX ? id.size : GSYM_ID_SIZE_MAX;
	memcpy(h.id, id.bytes, h.id_size);
	output_bytes(out, &h, sizeof(h));
	for (size_t i = 0; i <= last; i++) {
		const uint64_t address = c->entries.items[i].vaddr - h.base;

		output_bytes(out, &address, h.address_size);
	}
	output_align(out, 4);
}

/* The header, then tables of addresses, of where their functions are, of files, of strings. */
static void write_file(const struct conversion *c, struct output *out)
{
	size_t infos, functions;

	write_header(c, out);
	infos = out->bytes.count;
	for (size_t i = 0; i < c->entries.count; i++)
		output_u32(out, 0);
	output_u32(out, (uint32_t)c->files.count);
	output_bytes(out, c->files.items, c->files.count * sizeof(struct file));
	output_set_u32(out, offsetof(struct gsym_header, strings_offset),
		(uint32_t)out->bytes.count);
	output_set_u32(out, offsetof(struct gsym_header, strings_size),
		(uint32_t)c->strings.bytes.count);
	output_bytes(out, c->strings.bytes.items, c->strings.bytes.count);
	output_align(out, 4);
	functions = out->bytes.count;
	for (size_t i = 0; i < c->entries.count; i++)
		output_set_u32(out, infos + 4 * i,
			(uint32_t)(functions + c->entries.items[i].offset));
	output_bytes(out, c->functions.bytes.items, c->functions.bytes.count);
}

int gsym_write(struct map_reader *map, uint8_t **data, size_t *size)
{
	struct conversion c = { .map = map };
	struct output out = { .bytes = { NULL, 0, 0 } };

	read_map(&c);
	if (c.error == 0 && c.strings.bytes.count > GSYM_SIZE_MAX)
		c.error = -EOVERFLOW;
	if (c.error == 0) {
		write_file(&c, &out);
		*data = out.bytes.items;
		*size = out.bytes.count;
	}
	gsym_function_free(&c.function);
	output_free(&c.strings);
	output_free(&c.functions);
	VEC_FREE(&c.entries);
	VEC_FREE(&c.files);
	table_free(&c.by_text);
	table_free(&c.by_file);
	free(c.names);
	free(c.file_numbers);
	return c.error;
}
