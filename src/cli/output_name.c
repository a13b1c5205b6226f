#define _GNU_SOURCE
#include "cli/output_name.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/path.h"
#include "base/xalloc.h"

static const char ending[] = ".pb.gz";

/* What %LETTER stands for; false: nothing. */
static bool expand_letter(char letter, const struct spool_reader *spool, char *text, size_t size)
{
	const struct spool_header *h = spool_reader_header(spool);
	time_t start = (time_t)(h->start_realtime_ns / 1000000000);
	struct tm tm;

	switch (letter) {
	case 'p':
		snprintf(text, size, "%u", h->pid);
		return true;
	case 'n':
		snprintf(text, size, "%u", h->image);
		return true;
	case 'e':
		snprintf(text, size, "%s",
			path_base_name(spool_reader_text(spool, SPOOL_TEXT_EXECUTABLE)));
		return true;
	case 'h':
		if (gethostname(text, size) != 0)
			snprintf(text, size, "localhost");
		text[size - 1] = '\0';
		return true;
	case 't':
		strftime(text, size, "%Y%m%d-%H%M%S", localtime_r(&start, &tm));
		return true;
	case '%':
		snprintf(text, size, "%%");
		return true;
	}
	return false;
}

char *output_name_expand(const char *template, const struct spool_reader *spool, bool is_ours)
{
	const char *folder = spool_reader_text(spool, SPOOL_TEXT_FOLDER);
	char *name = template[0] == '/' || is_ours ?
		xstrdup("") :
		xasprintf("%s/", strcmp(folder, "/") ? folder : "");

	for (const char *at = template; *at; at++) {
		char text[256] = { *at, '\0' };
		char *longer;

		if (*at == '%' && at[1] && expand_letter(at[1], spool, text, sizeof(text)))
			at++;
		longer = xasprintf("%s%s", name, text);
		free(name);
		name = longer;
	}
	return name;
}

char *output_name_insert(const char *name, const char *middle)
{
	size_t length = strlen(name), tail = strlen(ending);

	if (length > tail && strcmp(name + length - tail, ending) == 0)
		return xasprintf("%.*s.%s%s", (int)(length - tail), name, middle, ending);
	return xasprintf("%s.%s", name, middle);
}

char *output_name_of_heap(const char *name, bool beside)
{
	static const char cpu[] = ".cpu.pb.gz";
	const size_t length = strlen(name), tail = strlen(cpu);

	if (length > tail && strcmp(name + length - tail, cpu) == 0)
		return xasprintf("%.*s.heap%s", (int)(length - tail), name, ending);
	return beside ? output_name_insert(name, "heap") : xstrdup(name);
}

bool output_name_is_file(const char *name)
{
	struct stat st;

	return stat(name, &st) < 0 || S_ISREG(st.st_mode);
}

static bool is_taken(const char *name)
{
	struct stat st;

	/* A device or pipe takes any number of profiles. */
	return lstat(name, &st) == 0 && (S_ISREG(st.st_mode) || S_ISLNK(st.st_mode));
}

char *output_name_unused(const char *name, unsigned int pid)
{
	char *free_name = xstrdup(name);
	char pid_text[16];

	snprintf(pid_text, sizeof(pid_text), "%u", pid);
	for (unsigned int n = 1; is_taken(free_name) && n < 10000; n++) {
		char middle[32];

		if (strstr(path_base_name(name), pid_text))
			snprintf(middle, sizeof(middle), "%u", n);
		else if (n == 1)
			snprintf(middle, sizeof(middle), "%s", pid_text);
		else
			snprintf(middle, sizeof(middle), "%s.%u", pid_text, n);
		free(free_name);
		free_name = output_name_insert(name, middle);
	}
	return free_name;
}

int output_name_check(const char *name, char **folder)
{
	const char *slash = strrchr(name, '/');
	struct stat st;

	*folder = slash == name ? xstrdup("/") :
		slash		? xstrndup(name, (size_t)(slash - name)) :
				  xstrdup(".");
	if (stat(name, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		return access(name, W_OK) == 0 ? 0 : -errno;
	if (stat(name, &st) == 0 && S_ISDIR(st.st_mode))
		return -EISDIR;
	if (stat(*folder, &st) < 0)
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return -ENOTDIR;
	return access(*folder, W_OK | X_OK) == 0 ? 0 : -errno;
}
