/*
 * Makes processes and threads in the way its argument says, each of which burns CPU time in a
 * function named after it, and prints what came of it:
 *
 *     processes fork|vfork|spawn|system|daemon|orphan|threads|thrd|clone|nested
 *     processes burn NAME		what the others start by exec
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static char *self;

static double cpu_seconds(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Looks at the clock about twenty times: on a busy machine that system call is where a thread is
 * stopped, and then the kernel's ticks, at which CPU timers are looked at, rarely meet it. */
#define BURNER(name)                                                     \
	__attribute__((noipa)) static void name(double seconds)          \
	{                                                                \
		double end = cpu_seconds(CLOCK_THREAD_CPUTIME_ID) + seconds; \
		volatile unsigned long value = 1;                        \
                                                                         \
		while (cpu_seconds(CLOCK_THREAD_CPUTIME_ID) < end)       \
			for (long i = 0; i < (long)(seconds * 5e7); i++) \
				value = value * 6364136223846793005u + 1; \
	}
BURNER(burn_parent)
BURNER(burn_child)
BURNER(burn_grandchild)
BURNER(burn_exec)
BURNER(burn_thread)
BURNER(burn_thrd)
BURNER(burn_clone)
#undef BURNER

static void print_status(const char *what, int status)
{
	printf("%s: %s %d\n", what, WIFSIGNALED(status) ? "signal" : "status",
		WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	fflush(stdout);
}

static void wait_for(const char *what, pid_t child)
{
	int status = -1;

	if (child < 0 || waitpid(child, &status, 0) != child)
		printf("%s: errno %d\n", what, errno);
	print_status(what, status);
}

static void do_fork(void)
{
	pid_t child;

	burn_parent(0.1);
	child = fork();
	if (child == 0) {
		pid_t grandchild;

		burn_child(0.15);
		grandchild = fork();
		if (grandchild == 0) {
			burn_grandchild(0.15);
			_exit(4);
		}
		wait_for("grandchild", grandchild);
		exit(3);
	}
	burn_parent(0.1);
	wait_for("child", child);
}

/* A fork in a thread, while another thread works. */
static void *fork_in_thread(void *argument)
{
	pid_t child;

	burn_thread(0.05);
	child = fork();
	if (child == 0) {
		burn_child(0.15);
		_exit(5);
	}
	wait_for("child of a thread", child);
	return argument;
}

static void do_nested(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, fork_in_thread, NULL);
	burn_parent(0.2);
	pthread_join(thread, NULL);
}

static void do_vfork(void)
{
	pid_t child;

	burn_parent(0.1);
	child = vfork();
	if (child == 0) {
		execl(self, self, "burn", "vfork", (char *)NULL);
		_exit(127);
	}
	wait_for("vfork and exec", child);
	child = vfork();
	if (child == 0)
		_exit(9);
	wait_for("vfork and _exit", child);
	burn_parent(0.1);
}

static void do_spawn(void)
{
	static char burn[] = "burn", name[] = "spawn";
	char *arguments[] = { self, burn, name, NULL };
	pid_t child = -1;

	burn_parent(0.1);
	if (posix_spawn(&child, self, NULL, NULL, arguments, environ) != 0)
		printf("posix_spawn failed\n");
	wait_for("spawn", child);
	if (posix_spawn(&child, "/nonexistent", NULL, NULL, arguments, environ) != ENOENT)
		printf("posix_spawn of nothing does not say so\n");
	burn_parent(0.1);
}

static void do_system(void)
{
	char command[4096];

	burn_parent(0.1);
	snprintf(command, sizeof(command), "'%s' burn system; exit 6", self);
	print_status("system", system(command));
	print_status("system", system("kill -TERM $$"));
	burn_parent(0.1);
}

/* The daemon writes to the file that the script waits for. */
static void do_daemon(void)
{
	FILE *done;

	burn_parent(0.05);
	if (daemon(1, 1) != 0)
		printf("daemon: errno %d\n", errno);
	burn_child(0.2);
	done = fopen("daemon.done", "w");
	fprintf(done, "done\n");
	fclose(done);
}

/* A double fork: the grandchild lives longer than its parents. */
static void do_orphan(void)
{
	pid_t child = fork();

	if (child == 0) {
		if (fork() == 0) {
			FILE *done;

			burn_grandchild(0.2);
			done = fopen("orphan.done", "w");
			fprintf(done, "done\n");
			fclose(done);
			_exit(0);
		}
		_exit(0);
	}
	wait_for("child", child);
	burn_parent(0.1);
}

static void *run_thread(void *argument)
{
	burn_thread(0.003);
	return argument;
}

/* 200, at most 20 at once, some detached. */
static void do_threads(void)
{
	pthread_t threads[20];

	for (int round = 0; round < 10; round++) {
		for (long i = 0; i < 20; i++)
			if (pthread_create(&threads[i], NULL, run_thread, (void *)i) != 0)
				printf("pthread_create failed\n");
		for (long i = 0; i < 20; i++) {
			void *result = NULL;

			if (i % 4 == 3)
				pthread_detach(threads[i]);
			else if (pthread_join(threads[i], &result) != 0 || result != (void *)i)
				printf("pthread_join: %p\n", result);
		}
	}
	burn_parent(0.2);
	printf("200 threads\n");
}

static int run_thrd(void *argument)
{
	burn_thrd(0.05);
	return (int)(long)argument - 100;
}

static void do_thrd(void)
{
	thrd_t threads[4];

	for (long i = 0; i < 4; i++)
		if (thrd_create(&threads[i], run_thrd, (void *)i) != thrd_success)
			printf("thrd_create failed\n");
	for (int i = 0; i < 4; i++) {
		int result = 0;

		thrd_join(threads[i], &result);
		printf("thread %d: %d\n", i, result);
	}
}

static int clone_tid;

/* No glibc thread: no descriptor of its own, so it uses ours; it must be sampled with care. */
static int run_clone(void *argument)
{
	(void)argument;
	burn_clone(1.5);
	syscall(SYS_exit, 0);
	return 0;
}

static void do_clone(void)
{
	const size_t size = 1 << 20;
	char *stack = mmap(
		NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	const int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
		CLONE_SYSVSEM | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID;

	if (clone(run_clone, stack + size, flags, NULL, &clone_tid, NULL, &clone_tid) < 0)
		printf("clone: errno %d\n", errno);
	burn_parent(1.0);
	while (__atomic_load_n(&clone_tid, __ATOMIC_ACQUIRE))
		usleep(1000);
	printf("clone ended\n");
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} ways[] = { { "fork", do_fork }, { "nested", do_nested }, { "vfork", do_vfork },
		{ "spawn", do_spawn }, { "system", do_system }, { "daemon", do_daemon },
		{ "orphan", do_orphan }, { "threads", do_threads }, { "thrd", do_thrd },
		{ "clone", do_clone } };

	self = argv[0];
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc == 3 && strcmp(argv[1], "burn") == 0) {
		burn_exec(0.15);
		printf("%s: burnt\n", argv[2]);
		return 7;
	}
	for (size_t i = 0; argc == 2 && i < sizeof(ways) / sizeof(ways[0]); i++)
		if (strcmp(argv[1], ways[i].name) == 0) {
			ways[i].run();
			return 0;
		}
	return 2;
}
