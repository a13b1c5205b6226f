#define _GNU_SOURCE
#include "symbol/dwarf_split.h"

#include <errno.h>
#include <string.h>

#include "symbol/dwarf_package.h"

#define NOTES_MAX 16 /* a library may have thousands of .dwo files */

struct split_file {
	struct binary *binary; /* NULL: a package's */
	struct dwarf_file *dwarf;
	char *path;
};

struct dwarf_split {
	const struct binary *linked; /* with the skeletons */
	const char *module_path;
	VEC(struct split_file) files;
	VEC(struct dwarf_package *) packages;
	bool packages_tried;
	int notes;
	struct trail *trail;
};

struct dwarf_split *dwarf_split_new(
	const struct binary *linked, const char *module_path, struct trail *trail)
{
	struct dwarf_split *s = xcalloc(1, sizeof(*s));

	s->linked = linked;
	s->module_path = module_path;
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
	for (size_t i = 0; i < s->packages.count; i++)
		dwarf_package_close(s->packages.items[i]);
	VEC_FREE(&s->files);
	VEC_FREE(&s->packages);
	free(s);
}

/* The trail for one more note; NULL: there were enough. */
static struct trail *trail_of(struct dwarf_split *s)
{
	return s->notes++ < NOTES_MAX ? s->trail : NULL;
}

static void adopt(struct dwarf_unit *skeleton, struct dwarf_unit *split)
{
	skeleton->split = split;
	split->skeleton = skeleton;
}

/* FILE has U's other half: it is taken. */
static bool adopt_from(struct dwarf_split *s, struct dwarf_unit *u, struct split_file *file)
{
	for (size_t i = 0; file->dwarf && i < file->dwarf->units.count; i++) {
		struct dwarf_unit *split = &file->dwarf->units.items[i];

		if (split->split_id == u->split_id && !split->skeleton) {
			adopt(u, split);
			*VEC_PUSH(&s->files) = *file;
			return true;
		}
	}
	return false;
}

/* --- a package beside the file --- */

/* PATH is freed. */
static void open_package(struct dwarf_split *s, char *path)
{
	struct dwarf_package *package;
	const int r = dwarf_package_open(path, &package);

	if (r == 0)
		*VEC_PUSH(&s->packages) = package;
	if (r == -ENODATA)
		trail_note(trail_of(s), PLACE_SPLIT, path, "no index of units, or damaged");
	else if (r)
		trail_note_error(trail_of(s), PLACE_SPLIT, path, r);
	else
		trail_note(trail_of(s), PLACE_SPLIT, path, "taken: a package");
	free(path);
}

/* FILE.dwp, of the library, and of its debug file, whose name may be FILE.debug. */
static void open_packages(struct dwarf_split *s)
{
	const char *path = binary_path(s->linked);
	const size_t length = strlen(path);

	if (s->packages_tried)
		return;
	s->packages_tried = true;
	if (s->module_path[0])
		open_package(s, xasprintf("%s.dwp", s->module_path));
	if (strcmp(path, s->module_path) != 0)
		open_package(s, xasprintf("%s.dwp", path));
	if (length > 6 && strcmp(path + length - 6, ".debug") == 0)
		open_package(s, xasprintf("%.*s.dwp", (int)(length - 6), path));
}

static bool find_in_packages(struct dwarf_split *s, struct dwarf_unit *u)
{
	open_packages(s);
	for (size_t i = 0; i < s->packages.count; i++) {
		struct split_file file = {
			.dwarf = dwarf_package_find(s->packages.items[i], u->split_id) };

		if (adopt_from(s, u, &file))
			return true;
		close_file(&file);
	}
	return false;
}

/* --- a file of its own --- */

static char *path_of_dwo(const struct dwarf_unit *u)
{
	if (u->split_name[0] == '/' || !u->folder)
		return xstrdup(u->split_name);
	return xasprintf("%s/%s", u->folder, u->split_name);
}

static void open_dwo(struct dwarf_split *s, struct dwarf_unit *u)
{
	struct split_file file = { .path = path_of_dwo(u) };
	const int r = binary_open_relocatable(file.path, &file.binary);

	if (r == 0)
		file.dwarf = dwarf_file_open(file.binary, DWARF_SPLIT);
	if (adopt_from(s, u, &file)) {
		trail_note(trail_of(s), PLACE_SPLIT, file.path, "taken");
		return;
	}
	if (r)
		trail_note_error(trail_of(s), PLACE_SPLIT, file.path, r);
	else
		trail_note(trail_of(s), PLACE_SPLIT, file.path, "no unit %016llx in it",
			(unsigned long long)u->split_id);
	close_file(&file);
}

void dwarf_split_open(struct dwarf_split *s, struct dwarf_unit *u)
{
	if (!u->split_name || u->split_tried)
		return;
	u->split_tried = true;
	if (!find_in_packages(s, u))
		open_dwo(s, u);
}
