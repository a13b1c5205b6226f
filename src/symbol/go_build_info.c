#define _GNU_SOURCE
#include "symbol/go_build_info.h"

#include <stdlib.h>
#include <string.h>

#include "symbol/binary.h"

#define MAGIC "\xff Go buildinf:"
#define HEADER_SIZE 32u
#define FLAG_INLINE 2u /* Go 1.18: the strings follow; before, two pointers to them */
#define TEXT_SIZE_MAX (16u << 20)
#define SENTINEL_SIZE 16u /* random bytes that the linker puts around the module lines */

/* A string of the file: not NUL-terminated, maybe empty. */
struct text {
	const char *start;
	size_t size;
};

static struct text inline_text(struct bytes *rest)
{
	const uint64_t size = bytes_uleb128(rest);
	const void *start = size <= TEXT_SIZE_MAX ? bytes_take(rest, size) : NULL;

	return start ? (struct text){ start, size } : (struct text){ "", 0 };
}

/* A Go string's header at VADDR: address and length. */
static struct text text_at(const struct binary *b, uint64_t vaddr)
{
	struct bytes header, content;
	uint64_t address, size;

	if (!binary_bytes_at(b, vaddr, &header))
		return (struct text){ "", 0 };
	address = bytes_u64(&header);
	size = bytes_u64(&header);
	if (!bytes_ok(&header) || size > TEXT_SIZE_MAX ||
		!binary_bytes_at(b, address, &content) || size > bytes_left(&content))
		return (struct text){ "", 0 };
	return (struct text){ (const char *)content.at, size };
}

static char *keep_text(struct go_build_info *info, const char *start, size_t size)
{
	char *copy = xstrndup(start, size);

	*VEC_PUSH(&info->texts) = copy;
	return copy;
}

static const char *next_field(char **line)
{
	const char *field = strsep(line, "\t");

	return field ? field : "";
}

static struct go_module read_module(char *rest)
{
	struct go_module module = { .path = next_field(&rest) };

	module.version = next_field(&rest);
	return module;
}

/* "=>": the module of the line before is replaced by this one. */
static void replace_last(struct go_build_info *info, char *rest)
{
	struct go_module by = read_module(rest);
	struct go_module *last = info->modules.count > 0 ?
					 &info->modules.items[info->modules.count - 1] :
					 &info->main_module;
	char *text = xasprintf("=> %s%s%s", by.path, by.version[0] ? " " : "", by.version);

	*VEC_PUSH(&info->texts) = text;
	last->version = text;
}

static void read_line(struct go_build_info *info, char *line)
{
	char *rest = line;
	const char *kind = next_field(&rest);

	if (!rest)
		return;
	if (strcmp(kind, "path") == 0)
		info->main_package = rest;
	else if (strcmp(kind, "mod") == 0)
		info->main_module = read_module(rest);
	else if (strcmp(kind, "dep") == 0)
		*VEC_PUSH(&info->modules) = read_module(rest);
	else if (strcmp(kind, "=>") == 0)
		replace_last(info, rest);
	else if (strcmp(kind, "build") == 0)
		*VEC_PUSH(&info->settings) = (struct go_setting){ .key = strsep(&rest, "="),
			.value = rest ? rest : "" };
}

void go_build_info_parse(
	const char *version, const char *lines, size_t size, struct go_build_info *ret)
{
	char *rest, *line;

	*ret = (struct go_build_info){
		.found = true, .main_package = "", .main_module = { "", "" }
	};
	ret->version = keep_text(ret, version, strlen(version));
	rest = keep_text(ret, lines, size);
	while ((line = strsep(&rest, "\n")) != NULL)
		read_line(ret, line);
}

static void parse_texts(struct go_build_info *ret, struct text version, struct text lines)
{
	char *version_copy = xstrndup(version.start, version.size);

	if (lines.size > 2 * SENTINEL_SIZE &&
		lines.start[lines.size - SENTINEL_SIZE - 1] == '\n') {
		lines.start += SENTINEL_SIZE;
		lines.size -= 2 * SENTINEL_SIZE;
	} else {
		lines.size = 0;
	}
	go_build_info_parse(version_copy, lines.start, lines.size, ret);
	free(version_copy);
}

void go_build_info_read(const struct binary *b, struct go_build_info *ret)
{
	struct binary_section section;
	struct bytes *rest = &section.bytes;
	struct text version, lines;
	uint64_t version_vaddr, lines_vaddr;
	const uint8_t *header;

	*ret = (struct go_build_info){
		.version = "", .main_package = "", .main_module = { "", "" }
	};
	if (!binary_find_section(b, ".go.buildinfo", &section))
		return;
	header = bytes_take(rest, HEADER_SIZE);
	if (!header || memcmp(header, MAGIC, strlen(MAGIC)) != 0)
		return;
	if (header[15] & FLAG_INLINE) {
		version = inline_text(rest);
		lines = inline_text(rest);
	} else {
		memcpy(&version_vaddr, header + 16, sizeof(version_vaddr));
		memcpy(&lines_vaddr, header + 24, sizeof(lines_vaddr));
		version = text_at(b, version_vaddr);
		lines = text_at(b, lines_vaddr);
	}
	parse_texts(ret, version, lines);
}

void go_build_info_free(struct go_build_info *info)
{
	for (size_t i = 0; i < info->texts.count; i++)
		free(info->texts.items[i]);
	VEC_FREE(&info->texts);
	VEC_FREE(&info->modules);
	VEC_FREE(&info->settings);
}

const char *go_setting_of(const struct go_build_info *info, const char *key)
{
	for (size_t i = 0; i < info->settings.count; i++)
		if (strcmp(info->settings.items[i].key, key) == 0)
			return info->settings.items[i].value;
	return "";
}

const struct go_module *go_module_find(const struct go_build_info *info, const char *path)
{
	if (strcmp(info->main_module.path, path) == 0)
		return &info->main_module;
	for (size_t i = 0; i < info->modules.count; i++)
		if (strcmp(info->modules.items[i].path, path) == 0)
			return &info->modules.items[i];
	return NULL;
}
