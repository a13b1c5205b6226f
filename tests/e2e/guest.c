/*
 * Tells what a program can see of itself, so that it can be compared with and without the agent:
 * descriptors, threads, environment, children, signals.  Between two looks it burns CPU time.
 *
 * Built with -DLAST -shared -fPIC it is a library whose destructor looks once more, after the
 * program and the libraries before it have ended.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static volatile sig_atomic_t child_signals;

static void on_child_signal(int number)
{
	(void)number;
	child_signals++;
}

static void show_folder(const char *when, const char *path, int names)
{
	DIR *folder = opendir(path);
	struct dirent *entry;
	int count = 0;

	dprintf(1, "%s: %s", when, path);
	while (folder && (entry = readdir(folder))) {
		if (entry->d_name[0] == '.' || (names && atoi(entry->d_name) == dirfd(folder)))
			continue;
		count++;
		if (names)
			dprintf(1, " %s", entry->d_name);
	}
	dprintf(1, " (%d)\n", count);
	closedir(folder);
}

static void show_signals(const char *when)
{
	sigset_t set;

	for (int number = 1; number <= 64; number++) {
		struct sigaction action;

		memset(&action, 0x55, sizeof(action));
		if (sigaction(number, NULL, &action) != 0) {
			dprintf(1, "%s: signal %d: errno %d\n", when, number, errno);
			continue;
		}
		if (action.sa_handler == on_child_signal)
			action.sa_handler = SIG_DFL;
		if (action.sa_handler != SIG_DFL || action.sa_flags & ~(SA_RESTART | 0x04000000))
			dprintf(1, "%s: signal %d: flags %x\n", when, number,
				(unsigned int)action.sa_flags);
		for (int other = 1; other <= 64; other++)
			if (sigismember(&action.sa_mask, other) == 1 && number != SIGCHLD)
				dprintf(1, "%s: signal %d blocks %d\n", when, number, other);
	}
	sigprocmask(SIG_BLOCK, NULL, &set);
	for (int number = 1; number <= 64; number++)
		if (sigismember(&set, number) == 1)
			dprintf(1, "%s: signal %d is blocked\n", when, number);
	sigpending(&set);
	for (int number = 1; number <= 64; number++)
		if (sigismember(&set, number) == 1)
			dprintf(1, "%s: signal %d is pending\n", when, number);
}

static void show_children(const char *when)
{
	int r = waitpid(-1, NULL, WNOHANG | __WALL);

	dprintf(1, "%s: waitpid %s, %d SIGCHLD\n", when,
		r < 0 && errno == ECHILD ? "says there is no child" : "finds a child",
		(int)child_signals);
}

static void show_environment(const char *when)
{
	for (char **variable = environ; *variable; variable++)
		if (strncmp(*variable, "LD_PRELOAD=", 11) != 0 &&
			strncmp(*variable, "PLUGPROF=", 9) != 0)
			dprintf(1, "%s: %s\n", when, *variable);
}

static void show(const char *when)
{
	show_folder(when, "/proc/self/fd", 1);
	show_folder(when, "/proc/self/task", 0);
	show_children(when);
	show_signals(when);
	show_environment(when);
}

#ifdef LAST
__attribute__((destructor)) static void at_the_very_end(void)
{
	show("last");
}
#else
static void burn(double seconds)
{
	volatile unsigned long value = 1;
	struct timespec t;

	do {
		for (int i = 0; i < 10000; i++)
			value = value * 6364136223846793005u + 1;
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	} while ((double)t.tv_sec + (double)t.tv_nsec / 1e9 < seconds);
}

int main(int argc, char **argv)
{
	const int errno_at_start = errno;

	(void)argc;
	dprintf(1, "start: errno %d, %s\n", errno_at_start, program_invocation_short_name);
	show("start");
	signal(SIGCHLD, on_child_signal);
	burn(0.15);
	/* Hosts that close every descriptor, and those that use the lowest ones. */
	for (int descriptor = 3; descriptor < 64; descriptor++)
		if (close(descriptor) == 0)
			dprintf(1, "descriptor %d was open\n", descriptor);
	dprintf(1, "next descriptor: %d\n", dup(1));
	burn(0.3);
	show("end");
	/* And those that clear their environment. */
	if (argv[1] && strcmp(argv[1], "clear") == 0)
		clearenv();
	return 0;
}
#endif
