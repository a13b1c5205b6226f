#define _GNU_SOURCE
#include "agent/finisher.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/real.h"
#include "base/compiler.h"
#include "base/syscalls.h"

#define STACK_SIZE ((size_t)64 << 10)

static char tool[PATH_MAX + 64];

/* In the build tree, and as installed. */
static const char *const places[] = { "/plugprof", "/../plugprof", "/../../bin/plugprof",
	"/../../../bin/plugprof" };

void finisher_find_tool(void)
{
	char folder[PATH_MAX];
	Dl_info self;
	char *slash;

	if (!dladdr((void *)finisher_find_tool, &self) || !self.dli_fname)
		return;
	folder[0] = '\0';
	if (self.dli_fname[0] != '/') {
		if (!getcwd(folder, sizeof(folder)))
			return;
		strncat(folder, "/", sizeof(folder) - strlen(folder) - 1);
	}
	strncat(folder, self.dli_fname, sizeof(folder) - strlen(folder) - 1);
	slash = strrchr(folder, '/');
	if (!slash)
		return;
	*slash = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		strcpy(tool, folder);
		strcat(tool, places[i]);
		if (access(tool, X_OK) == 0)
			return;
	}
	tool[0] = '\0';
}

struct job {
	char *const *arguments;
	char **environment;
	bool verbose;
};

/* In the child, on its own stack but in our memory, until exec. */
static int run_child(void *argument)
{
	const struct job *job = argument;
	const uint64_t none = 0;
	int null = open("/dev/null", O_RDWR);

	if (null < 0)
		raw_syscall1(SYS_exit_group, 127); /* it would write to what is the host's */
	for (int fd = 0; fd <= 2; fd++)
		if (!(fd == 2 && job->verbose))
			dup2(null, fd);
	raw_syscall3(SYS_close_range, 3, UINT32_MAX, 0);
	setsid(); /* the terminal's Ctrl-C is for the host */
	raw_syscall4(SYS_rt_sigprocmask, SIG_SETMASK, (long)&none, 0, sizeof(none));
	execve(tool, job->arguments, job->environment);
	raw_syscall1(SYS_exit_group, 127);
	return 127;
}

static bool is_for_the_loader(const char *variable)
{
	static const char *const prefixes[] = { "LD_", "PLUGPROF=", "GLIBC_TUNABLES=" };

	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++)
		if (strncmp(variable, prefixes[i], strlen(prefixes[i])) == 0)
			return true;
	return false;
}

/* Without what would load us, or something else, into the tool. */
static void copy_environment(char **to)
{
	for (char **from = environ; from && *from; from++)
		if (!is_for_the_loader(*from))
			*to++ = *from;
	*to = NULL;
}

void finisher_run(const char *spool_path, bool verbose)
{
	const char *arguments[] = { tool, "finish", verbose ? "--verbose" : "--quiet", spool_path,
		NULL };
	struct job job = { .arguments = (char *const *)arguments, .verbose = verbose };
	const uint64_t all = ~(uint64_t)0;
	size_t count = 0, size;
	uint64_t old_mask;
	char *memory;
	int child, status;

	if (!tool[0])
		return;
	while (environ && environ[count])
		count++;
	size = STACK_SIZE + (count + 1) * sizeof(char *);
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return;
	job.environment = (char **)(memory + STACK_SIZE);
	copy_environment(job.environment);
	raw_syscall4(SYS_rt_sigprocmask, SIG_SETMASK, (long)&all, (long)&old_mask, sizeof(all));
	/* No exit signal: no SIGCHLD, and only __WALL waits for it. */
	child = clone(run_child, memory + STACK_SIZE, CLONE_VM | CLONE_VFORK, &job);
	if (child > 0)
		while (raw_syscall4(SYS_wait4, child, (long)&status, __WALL, 0) == -4)
			continue; /* EINTR */
	raw_syscall4(SYS_rt_sigprocmask, SIG_SETMASK, (long)&old_mask, 0, sizeof(old_mask));
	munmap(memory, size);
}
