#define _GNU_SOURCE
#include "symbol/dwarf_split.h"

#include <string.h>

struct split_file {
	struct binary *binary;
	struct dwarf_file *dwarf;
	char *path;
};

struct dwarf_split {
	VEC(struct split_file) files;
	struct trail *trail;
};

struct dwarf_split *dwarf_split_new(struct trail *trail)
{
	struct dwarf_split *s = xcalloc(1, sizeof(*s));

	s->trail = trail;
	return s;
}

static void close_file(struct split_file *f)
{
	dwarf_file_close(f->dwarf);
	binary_close(f->binary);
	free(f->path);
}

void dwarf_split_free(struct dwarf_split *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->files.count; i++)
		close_file(&s->files.items[i]);
	VEC_FREE(&s->files);
	free(s);
}

static char *path_of_dwo(const struct dwarf_unit *u)
{
	if (u->split_name[0] == '/' || !u->folder)
		return xstrdup(u->split_name);
	return xasprintf("%s/%s", u->folder, u->split_name);
}

static void adopt(struct dwarf_unit *skeleton, struct dwarf_unit *split)
{
	skeleton->split = split;
	split->skeleton = skeleton;
}

static void open_dwo(struct dwarf_split *s, struct dwarf_unit *u)
{
	struct split_file file = { .path = path_of_dwo(u) };
	const int r = binary_open_relocatable(file.path, &file.binary);

	if (r == 0)
		file.dwarf = dwarf_file_open(file.binary, DWARF_SPLIT);
	for (size_t i = 0; file.dwarf && i < file.dwarf->units.count; i++) {
		struct dwarf_unit *split = &file.dwarf->units.items[i];

		if (split->split_id == u->split_id && !split->skeleton) {
			adopt(u, split);
			*VEC_PUSH(&s->files) = file;
			trail_note(s->trail, PLACE_SPLIT, file.path, "taken");
			return;
		}
	}
	if (r)
		trail_note_error(s->trail, PLACE_SPLIT, file.path, r);
	else
		trail_note(s->trail, PLACE_SPLIT, file.path, "no unit %016llx in it",
			(unsigned long long)u->split_id);
	close_file(&file);
}

void dwarf_split_open(struct dwarf_split *s, struct dwarf_unit *u)
{
	if (!u->split_name || u->split_tried)
		return;
	u->split_tried = true;
	open_dwo(s, u);
}
