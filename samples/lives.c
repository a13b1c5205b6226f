/*
 * A host whose plugins come, go, are replaced and deleted, as its arguments say, one after the
 * other:
 *
 *     open PATH       dlopen; the plugin that the next words are about
 *     space PATH      the same in a namespace of its own (dlmopen)
 *     deep PATH       the same with RTLD_DEEPBIND
 *     memory PATH     the same from a copy of the file in memory, by /proc/self/fd/N
 *     run MS          have the plugin work for MS milliseconds of CPU time
 *     wait MS         let other threads work for MS milliseconds
 *     close           dlclose
 *     unlink PATH     delete a file
 *     rename OLD NEW  put one file in another's place
 *     over FROM TO    write one file's content into another one, in place, as cp does
 *     push SIZE       map SIZE bytes: the next plugin will lie elsewhere
 *     jit MS          run generated code, lives_jit below, which a perf map tells of if
 *                     PERF_MAP is in the environment
 *     times N         do all that follows N times
 *     kill            end by SIGKILL
 *
 *     main > lives_run > plugin_run > ...
 *     main > lives_jit > (generated code)
 *
 * It prints nothing but errors.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <time.h>
#include <unistd.h>

#include "plugin.h"
#include "work.h"

#define UNITS 20	/* of work between two looks at the clock: about 2 ms */

static void *handle;
static uint64_t (*run)(uint64_t unit_count);

static void die(const char *what, const char *why)
{
	fprintf(stderr, "lives: %s: %s\n", what, why ? why : "failed");
	exit(2);
}

static void took(const char *path, void *opened)
{
	if (!opened)
		die(path, dlerror());
	handle = opened;
	run = (uint64_t (*)(uint64_t))dlsym(handle, "plugin_run");
	if (!run)
		die(path, "has no plugin_run");
}

static void open_plainly(char **word)
{
	took(word[0], dlopen(word[0], RTLD_NOW | RTLD_LOCAL));
}

static void open_in_space(char **word)
{
	took(word[0], dlmopen(LM_ID_NEWLM, word[0], RTLD_NOW | RTLD_LOCAL));
}

static void open_deep(char **word)
{
	took(word[0], dlopen(word[0], RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND));
}

static void open_from_memory(char **word)
{
	const int file = open(word[0], O_RDONLY | O_CLOEXEC);
	const int memory = memfd_create("plugin", MFD_CLOEXEC);
	char path[64];

	while (sendfile(memory, file, NULL, 1 << 20) > 0)
		continue;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", memory);
	took(word[0], dlopen(path, RTLD_NOW | RTLD_LOCAL));
	close(memory);
	close(file);
}

static KEPT void lives_run(char **word)
{
	const double end = work_thread_cpu_seconds() + atof(word[0]) / 1000;

	do
		run(UNITS);
	while (work_thread_cpu_seconds() < end);
}

static void wait_a_while(char **word)
{
	usleep((useconds_t)(atof(word[0]) * 1000));
}

static void close_it(char **word)
{
	(void)word;
	if (dlclose(handle) != 0)
		die("dlclose", dlerror());
}

static void unlink_it(char **word)
{
	if (unlink(word[0]) != 0)
		die(word[0], "cannot be deleted");
}

static void rename_it(char **word)
{
	if (rename(word[0], word[1]) != 0)
		die(word[0], "cannot be renamed");
}

static void over(char **word)
{
	const int from = open(word[0], O_RDONLY | O_CLOEXEC);
	const int to = open(word[1], O_WRONLY | O_TRUNC | O_CLOEXEC);

	while (sendfile(to, from, NULL, 1 << 20) > 0)
		continue;
	if (close(to) != 0 || close(from) != 0)
		die(word[1], "cannot be written to");
}

static void push(char **word)
{
	if (mmap(NULL, strtoul(word[0], NULL, 0), PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
	    MAP_FAILED)
		die("mmap", NULL);
}

/* push %rbp; mov %rsp,%rbp; mov $10000000,%rcx; 1: dec %rcx; jnz 1b; pop %rbp; ret */
static const unsigned char code[] = { 0x55, 0x48, 0x89, 0xe5, 0x48, 0xc7, 0xc1, 0x80, 0x96, 0x98,
	0x00, 0x48, 0xff, 0xc9, 0x75, 0xfb, 0x5d, 0xc3 };

static void tell_perf(const void *where)
{
	char path[64];
	FILE *map;

	snprintf(path, sizeof(path), "/tmp/perf-%d.map", getpid());
	map = fopen(path, "we");
	if (!map)
		die(path, "cannot be written");
	fprintf(map, "%lx %zx generated loop\n", (unsigned long)where, sizeof(code));
	fclose(map);
}

static KEPT void lives_jit(char **word)
{
	const double end = work_thread_cpu_seconds() + atof(word[0]) / 1000;
	void *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	void (*generated)(void) = (void (*)(void))memory;

	if (memory == MAP_FAILED)
		die("mmap", NULL);
	memcpy(memory, code, sizeof(code));
	if (mprotect(memory, 4096, PROT_READ | PROT_EXEC) != 0)
		die("mprotect", NULL);
	if (getenv("PERF_MAP"))
		tell_perf(memory);
	do
		generated();
	while (work_thread_cpu_seconds() < end);
}

static void kill_self(char **word)
{
	(void)word;
	kill(getpid(), SIGKILL);
}

static const struct verb {
	const char *name;
	int words;	/* that belong to it */
	void (*act)(char **word);
} verbs[] = {
	{ "open", 1, open_plainly },
	{ "space", 1, open_in_space },
	{ "deep", 1, open_deep },
	{ "memory", 1, open_from_memory },
	{ "run", 1, lives_run },
	{ "wait", 1, wait_a_while },
	{ "close", 0, close_it },
	{ "unlink", 1, unlink_it },
	{ "rename", 2, rename_it },
	{ "over", 2, over },
	{ "push", 1, push },
	{ "jit", 1, lives_jit },
	{ "kill", 0, kill_self },
};

static const struct verb *find_verb(const char *name)
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strcmp(name, verbs[i].name) == 0)
			return &verbs[i];
	die(name, "is no verb");
	return NULL;
}

int main(int argc, char **argv)
{
	long times = 1;

	for (int at = 1; at < argc; at++) {
		if (strcmp(argv[at], "times") == 0 && at + 1 < argc) {
			times = strtol(argv[at + 1], NULL, 10);
			argv += at + 1;
			argc -= at + 1;
			at = 0;
		} else {
			const struct verb *verb = find_verb(argv[at]);

			if (at + verb->words >= argc)
				die(argv[at], "wants more words");
			verb->act(argv + at + 1);
			at += verb->words;
		}
		if (at == argc - 1 && --times > 0)
			at = 0;
	}
	return 0;
}
