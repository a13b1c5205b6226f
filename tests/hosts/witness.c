/*
 * Preloaded behind the agent into the programs of the matrix.  When a process ends it writes to the
 * file WITNESS what the process could see of a guest: "NAME DESCRIPTORS THREADS CHILDREN".
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char path[4096]; /* hosts empty their environment */
static char name[64]; /* ... and write over their arguments */

__attribute__((constructor)) static void remember(void)
{
	const char *wanted = getenv("WITNESS");

	if (wanted && strlen(wanted) < sizeof(path))
		strcpy(path, wanted);
	snprintf(name, sizeof(name), "%s", program_invocation_short_name);
}

static int entries(const char *folder)
{
	DIR *dir = opendir(folder);
	int count = 0;

	while (dir && readdir(dir))
		count++;
	if (dir)
		closedir(dir);
	return count;
}

__attribute__((destructor)) static void testify(void)
{
	siginfo_t info;
	char text[128];
	int descriptor, length;
	bool has_children;

	if (!path[0])
		return;
	has_children = waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
	length = snprintf(text, sizeof(text), "%s %d descriptors %d threads %s\n",
		name, entries("/proc/self/fd") - 3,
		entries("/proc/self/task") - 2,
		has_children ? "children" : "no children");
	descriptor = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
	if (descriptor < 0)
		return;
	if (write(descriptor, text, (size_t)length) < 0)
		path[0] = '\0';
	close(descriptor);
}
