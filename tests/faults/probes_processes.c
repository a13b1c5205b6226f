/* Processes that come to be, change and end in ways of their own. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "probes.h"

static void print_status(const char *what, pid_t child)
{
	int status = 0;

	if (child < 0 || waitpid(child, &status, 0) != child)
		printf("%s: errno %d\n", what, errno);
	else if (WIFSIGNALED(status))
		printf("%s: signal %d\n", what, WTERMSIG(status));
	else
		printf("%s: status %d\n", what, WEXITSTATUS(status));
}

/* --- copies --- */

#define WORKERS 6

/* As a server: the master waits, workers work until they are told to end. */
static void work(void)
{
	probe_burn(0.15);
	for (;;)
		pause();
}

static int prefork_server(void)
{
	pid_t workers[WORKERS];

	for (int i = 0; i < WORKERS; i++) {
		workers[i] = fork();
		if (workers[i] == 0)
			work();
	}
	probe_burn(0.15);
	usleep(400000);
	for (int i = 0; i < WORKERS; i++) {
		kill(workers[i], SIGTERM);
		print_status("worker", workers[i]);
	}
	return 0;
}

static int raw_fork(void)
{
	const pid_t child = (pid_t)syscall(SYS_fork);

	if (child == 0) {
		probe_burn(0.15);
		free(malloc(1 << 20));
		_exit(5);
	}
	probe_burn(0.15);
	print_status("child of a bare system call", child);
	return 0;
}

static int run_clone(void *argument)
{
	(void)argument;
	probe_burn(0.15);
	return 6;
}

static int clone_without_memory(void)
{
	static char stack[262144] __attribute__((aligned(16)));

	probe_burn(0.15);
	print_status("clone", clone(run_clone, stack + sizeof(stack), SIGCHLD, NULL));
	return 0;
}

/* 450 children of three threads at once, while the main thread is sampled. */
static void *fork_often(void *argument)
{
	long *failed = argument;

	for (volatile int i = 0; i < 150; i++) {
		const pid_t child = i % 3 ? fork() : vfork();
		int status = 0;

		if (child == 0)
			_exit(i & 127);
		if (child < 0 || waitpid(child, &status, 0) != child ||
			!WIFEXITED(status) || WEXITSTATUS(status) != (i & 127))
			++*failed;
	}
	return NULL;
}

static int fork_storm(void)
{
	pthread_t threads[3];
	long failed[3] = { 0 };

	for (int i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, fork_often, &failed[i]);
	probe_burn(0.1);
	for (int i = 0; i < 3; i++) {
		pthread_join(threads[i], NULL);
		printf("%ld failed\n", failed[i]);
	}
	return 0;
}

/* Copying its page table takes longer than a period: clone is to be interrupted no more than it can
 * stand. */
static int fork_of_a_large_process(void)
{
	const size_t size = (size_t)1 << 30;
	char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	madvise(memory, size, MADV_NOHUGEPAGE);
	for (size_t i = 0; i < size / 8; i += 4096) /* an eighth, all over */
		memory[i * 8 % size] = 1;
	probe_burn(0.15);
	for (int i = 0; i < 3; i++) {
		const pid_t child = fork();

		if (child == 0)
			_exit(i);
		print_status("child", child);
	}
	return 0;
}

static int forks_prepared, forks_parent, forks_child;
static void on_prepare(void) { forks_prepared++; }
static void on_parent(void) { forks_parent++; }
static void on_child(void) { forks_child++; }

static int fork_handlers_run_once(void)
{
	pid_t child;

	pthread_atfork(on_prepare, on_parent, on_child);
	child = fork();
	if (child == 0) {
		printf("child: %d %d %d\n", forks_prepared, forks_parent, forks_child);
		exit(0);
	}
	print_status("child", child);
	printf("parent: %d %d %d\n", forks_prepared, forks_parent, forks_child);
	probe_burn(0.15);
	return 0;
}

/* --- what they change --- */

static int all_descriptors_closed(void)
{
	probe_burn(0.15);
	closefrom(3);
	probe_burn(0.15);
	close_range(0, ~0u, 0);
	probe_burn(0.15);
	/* Ours, at the lowest numbers. */
	if (open("/dev/null", O_RDONLY) != 0 || open("/dev/null", O_RDONLY) != 1 ||
		open("/dev/null", O_RDONLY) != 2)
		return 4;
	probe_burn(0.15);
	return 7;
}

/* Its spool was made as root, its profile is to be written by somebody who may not. */
static int privileges_dropped(void)
{
	probe_burn(0.15);
	if (geteuid() == 0 && (setgroups(0, NULL) || setgid(65534) || setuid(65534)))
		return 1;
	probe_burn(0.15);
	printf("now %u\n", geteuid());
	return 0;
}

static int root_folder_changed(void)
{
	char folder[] = "/tmp/plugprof-root.XXXXXX";
	const int above = open("/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC);

	probe_burn(0.15);
	if (above < 0 || !mkdtemp(folder))
		return 1;
	if (geteuid() == 0 && (chroot(folder) || chdir("/")))
		return 1;
	if (unlinkat(above, strrchr(folder, '/') + 1, AT_REMOVEDIR))
		return 1;
	probe_burn(0.15);
	printf("there %s anything\n", access("/dev", F_OK) == 0 ? "is" : "is not");
	return 0;
}

static int working_folder_removed(void)
{
	char folder[] = "/tmp/plugprof-here.XXXXXX";

	if (!mkdtemp(folder) || chdir(folder) || rmdir(folder))
		return 1;
	probe_burn(0.15);
	return 0;
}

/* A parent, without the agent itself, with signals blocked and ignored: what exec hands on. */
static int signals_blocked_and_ignored(void)
{
	const char *library = getenv("PROBE_PRELOAD");
	sigset_t all;

	for (int number = SIGRTMIN; number <= SIGRTMAX; number++)
		signal(number, SIG_IGN);
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	if (library)
		setenv("LD_PRELOAD", library, 1);
	execl("/proc/self/exe", "probes", "blocked_and_ignored", (char *)NULL);
	return 1;
}

static int blocked_and_ignored(void)
{
	sigset_t set;
	int blocked = 0, ignored = 0;

	sigprocmask(SIG_BLOCK, NULL, &set);
	for (int number = SIGRTMIN; number <= SIGRTMAX; number++) {
		struct sigaction action;

		sigaction(number, NULL, &action);
		blocked += sigismember(&set, number) == 1;
		ignored += action.sa_handler == SIG_IGN;
	}
	probe_burn(0.15);
	printf("%d blocked, %d ignored\n", blocked, ignored);
	return 0;
}

/* --- what interrupts them --- */

/* Waiting calls are interrupted by nobody: a thread that waits has no CPU time. */
static int waits_are_not_interrupted(void)
{
	struct timeval tv = { .tv_usec = 30000 };
	struct timespec ts = { .tv_nsec = 30000000 };
	int interrupted = 0;

	for (int i = 0; i < 5; i++) {
		probe_burn(0.01);
		interrupted += select(0, NULL, NULL, NULL, &tv) < 0;
		interrupted += poll(NULL, 0, 30) < 0;
		interrupted += nanosleep(&ts, NULL) < 0;
		interrupted += usleep(10000) < 0;
		tv.tv_usec = 30000;
	}
	printf("%d interrupted\n", interrupted);
	return 0;
}

/* The old profilers' timer and signal, used by the program itself. */
static volatile sig_atomic_t profiling_signals;

static void on_profiling_signal(int number)
{
	(void)number;
	profiling_signals++;
}

static int own_profiling_timer(void)
{
	const struct itimerval every = { { 0, 10000 }, { 0, 10000 } };

	signal(SIGPROF, on_profiling_signal);
	setitimer(ITIMER_PROF, &every, NULL);
	probe_burn(0.3);
	setitimer(ITIMER_PROF, &(struct itimerval){ { 0, 0 }, { 0, 0 } }, NULL);
	printf("%s of its own signals\n",
		profiling_signals >= 15 && profiling_signals <= 60 ? "about 30" : "another number");
	return 0;
}

/* A timer that outlives exec would kill the new program. */
static int exec_with_an_empty_environment(void)
{
	static char name[] = "sh", option[] = "-c",
		    script[] = "i=0; while [ $i -lt 30000 ]; do i=$((i+1)); done; echo $i; exit 4";
	char *const arguments[] = { name, option, script, NULL };
	char *const environment[] = { NULL };

	probe_burn(0.15);
	execve("/bin/sh", arguments, environment);
	return 1;
}

int main(int argc, char **argv)
{
	static const struct probe probes[] = {
		{ "prefork_server", prefork_server },
		{ "raw_fork", raw_fork },
		{ "clone_without_memory", clone_without_memory },
		{ "fork_storm", fork_storm },
		{ "fork_of_a_large_process", fork_of_a_large_process },
		{ "fork_handlers_run_once", fork_handlers_run_once },
		{ "all_descriptors_closed", all_descriptors_closed },
		{ "privileges_dropped", privileges_dropped },
		{ "root_folder_changed", root_folder_changed },
		{ "working_folder_removed", working_folder_removed },
		{ "signals_blocked_and_ignored", signals_blocked_and_ignored },
		{ "blocked_and_ignored", blocked_and_ignored },
		{ "waits_are_not_interrupted", waits_are_not_interrupted },
		{ "own_profiling_timer", own_profiling_timer },
		{ "exec_with_an_empty_environment", exec_with_an_empty_environment },
	};

	return probe_main(argc, argv, probes, sizeof(probes) / sizeof(probes[0]));
}
