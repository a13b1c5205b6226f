#define _GNU_SOURCE
#include "cli/doctor_process.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "base/xalloc.h"
#include "cli/message.h"
#include "cli/process_files.h"

struct single { /* a library that is there once, or should be */
	char *soname, *path;
};

struct process {
	const struct inspection *host; /* NULL: it cannot be read */
	const struct symbolizer_options *places;
	struct doctor_report *report;
	VEC(struct single) singles;
};

/* Does the file that the process runs still have its name, and what to do if not. */
static void check_mapping(const struct process_file *file,
	const struct symbolizer_options *places, struct findings *f)
{
	static const char name[] = "mapping";
	struct build_id running = { .size = 0 }, present;
	char hex[BUILD_ID_HEX_SIZE], kept[STORE_PATH_MAX];
	const bool is_there = inspection_build_id(file->present_path, &present);
	const bool is_known = inspection_build_id(file->mapping_path, &running);

	if (!file->deleted && (!is_there || !is_known || build_id_equal(&running, &present)))
		return;
	if (is_there && build_id_equal(&running, &present))
		findings_add(f, FINDING_NOTE, name, "its file was replaced, by the same build");
	else if (is_known && doctor_find_kept(places, &running, STORE_KEPT_SUFFIX, kept))
		findings_add(f, FINDING_OK, name, "its file is gone, and kept as %s", kept);
	else if (is_there)
		findings_add(f, FINDING_PROBLEM, name,
			"its file was replaced, by build %s: restart the process, or keep what "
			"runs: cp %s NAME.so",
			build_id_to_hex(&present, hex), file->mapping_path);
	else
		findings_add(f, FINDING_PROBLEM, name,
			"%s: while the process runs, cp %s NAME.so keeps it",
			strncmp(file->path, "/memfd:", 7) == 0 ?
				"it was loaded from memory and has no file" :
				"its file was deleted",
			file->mapping_path);
}

/* The file to read: what runs, where that can be had; by its own name while that is the same,
 * since a debug file is looked for beside it. */
static const char *path_to_read(const struct process_file *file)
{
	struct build_id running, present;

	if (inspection_build_id(file->mapping_path, &running) &&
		(file->deleted || !inspection_build_id(file->present_path, &present) ||
			!build_id_equal(&running, &present)))
		return file->mapping_path;
	return file->deleted ? NULL : file->present_path;
}

/* Libraries of which a process should have one. */
static const char *const singles[] = { "libstdc++.so", "libc++.so", "libgcc_s.so", "libc.so" };

static bool is_single(const char *soname)
{
	for (size_t i = 0; soname && i < ARRAY_SIZE(singles); i++)
		if (strncmp(soname, singles[i], strlen(singles[i])) == 0)
			return true;
	return false;
}

/* A second file of the same soname comes from dlmopen(), or from a path that was given whole.
 */
static void check_second_copy(
	struct process *process, const struct doctor_case *c, struct findings *f)
{
	const char *soname = c->library->dynamic.soname;

	if (!is_single(soname))
		return;
	for (size_t i = 0; i < process->singles.count; i++)
		if (strcmp(process->singles.items[i].soname, soname) == 0)
			findings_add(f, FINDING_PROBLEM, "copies",
				"%s is loaded from %s as well: open libraries in one "
				"namespace, and let all find one",
				soname, process->singles.items[i].path);
	*VEC_PUSH(&process->singles) =
		(struct single){ .soname = xstrdup(soname), .path = xstrdup(c->name) };
}

static void examine_file(struct process *process, const struct process_file *file)
{
	struct doctor_case c = {
		.name = file->path, .places = process->places, .host = process->host
	};
	struct findings findings = { .items = { .count = 0 } };
	const char *path = path_to_read(file), *kind;
	struct inspection *library = NULL;

	check_mapping(file, process->places, &findings);
	if (path && inspection_open(path, process->places, &library, &kind) == 0) {
		c.library = library;
		doctor_examine(&c, &findings);
		check_second_copy(process, &c, &findings);
	} else if (!path) {
		findings_add(
			&findings, FINDING_NOTE, "file", "what runs cannot be read from here");
	}
	/* Mapped files that are no libraries are not looked at. */
	if (library || findings.items.count > 0)
		doctor_report_add(process->report, &c, &findings);
	findings_free(&findings);
	inspection_free(library);
}

static void examine_files(struct process *process, const struct process_files *files)
{
	for (size_t i = 0; i < files->items.count; i++)
		examine_file(process, &files->items.items[i]);
	for (size_t i = 0; i < process->singles.count; i++) {
		free(process->singles.items[i].soname);
		free(process->singles.items[i].path);
	}
	VEC_FREE(&process->singles);
}

int doctor_examine_process(unsigned int pid, const struct inspection *host,
	const struct symbolizer_options *places, struct doctor_report *report)
{
	struct process process = { .host = host, .places = places, .report = report };
	char *program = xasprintf("/proc/%u/exe", pid);
	struct inspection *own = NULL;
	struct process_files files;
	const char *kind;
	const int r = process_files_read(pid, &files);
	int status;

	if (r == 0 && !host && inspection_open(program, places, &own, &kind) == 0)
		process.host = own;
	examine_files(&process, &files);
	status = files.items.count > 0 ? EXIT_OK : EXIT_OWN_ERROR;
	if (r == -ENOENT)
		message("there is no process %u", pid);
	else if (r < 0)
		message_errno(r, "cannot read what process %u has loaded", pid);
	else if (status != EXIT_OK)
		message("process %u has loaded no files that can be seen", pid);
	free(program);
	inspection_free(own);
	process_files_free(&files);
	return status;
}
