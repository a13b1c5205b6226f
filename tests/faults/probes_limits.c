/* Programs that are allowed little, or have much: limits, filters of system calls, threads. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "probes.h"

/* --- limits: set by the parent, so that they hold from the first instruction --- */

static int run_limited(int resource, rlim_t limit, const char *name)
{
	const struct rlimit both = { limit, limit };

	if (setrlimit(resource, &both) != 0)
		return 1;
	execl("/proc/self/exe", "probes", name, (char *)NULL);
	return 1;
}

static int little_address_space(void)
{
	return run_limited(RLIMIT_AS, (rlim_t)48 << 20, "work");
}

static int hardly_any_address_space(void)
{
	return run_limited(RLIMIT_AS, (rlim_t)6 << 20, "work");
}

static int no_descriptors(void)
{
	closefrom(3); /* whatever was inherited: the loader needs one */
	return run_limited(RLIMIT_NOFILE, 4, "work");
}

static int no_locked_memory(void)
{
	return run_limited(RLIMIT_MEMLOCK, 0, "lock_memory");
}

static int small_files(void)
{
	return run_limited(RLIMIT_FSIZE, 4096, "write_too_much");
}

static int no_pending_signals(void)
{
	return run_limited(RLIMIT_SIGPENDING, 0, "work");
}

static int little_cpu_time(void)
{
	return run_limited(RLIMIT_CPU, 1, "burn_too_long");
}

static int work(void)
{
	char *memory = malloc(1 << 20);

	memset(memory, 1, 1 << 20);
	probe_burn(0.15);
	printf("%d\n", memory[4711]);
	free(memory);
	return 0;
}

static int lock_memory(void)
{
	printf("mlockall: %d\n", mlockall(MCL_CURRENT | MCL_FUTURE) ? errno : 0);
	return work();
}

static volatile sig_atomic_t too_large;

static void on_too_large(int number)
{
	(void)number;
	too_large++;
}

static int write_too_much(void)
{
	char folder[] = "/tmp/plugprof-file.XXXXXX";
	static const char bytes[8192];
	int file = mkstemp(folder);
	ssize_t first, second;

	signal(SIGXFSZ, on_too_large);
	unlink(folder);
	first = write(file, bytes, sizeof(bytes));
	second = write(file, bytes, sizeof(bytes));
	printf("wrote %zd and %zd, %d signals\n", first, second, (int)too_large);
	return work();
}

static int burn_too_long(void)
{
	probe_burn(5);
	return 0;
}

/* --- filters --- */

#define ALLOW BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

static int filter(const int *numbers, size_t count, uint32_t what)
{
	struct sock_filter program[64] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	};
	unsigned short length = 1;
	struct sock_fprog whole = { .filter = program };

	for (size_t i = 0; i < count; i++) {
		program[length++] = (struct sock_filter)BPF_JUMP(
			BPF_JMP | BPF_JEQ | BPF_K, (unsigned int)numbers[i], 0, 1);
		program[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, what);
	}
	program[length++] = (struct sock_filter)ALLOW;
	whole.len = length;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return -1;
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &whole);
}

/* What a careful filter forbids, and we want. */
static const int wanted[] = { SYS_timer_create, SYS_timer_settime, SYS_openat, SYS_open, SYS_mkdir,
	SYS_ftruncate, SYS_fallocate, SYS_madvise, SYS_getdents64, SYS_newfstatat, SYS_statfs,
	SYS_unlink, SYS_clone3, SYS_kill, SYS_tgkill };
#define WANTED (sizeof(wanted) / sizeof(wanted[0]))

/* From before the program's start: loader and libc need openat. */
static int no_timers_from_the_start(void)
{
	static const int timers[] = { SYS_timer_create };

	if (filter(timers, 1, SECCOMP_RET_ERRNO | EPERM) != 0)
		return 1;
	execl("/proc/self/exe", "probes", "work", (char *)NULL);
	return 1;
}

static void *burn_in_thread(void *argument)
{
	probe_burn(0.15);
	return argument;
}

static int burn_with_a_thread(void)
{
	pthread_t thread;
	int r = pthread_create(&thread, NULL, burn_in_thread, NULL);

	printf("thread: %d\n", r);
	if (r == 0)
		pthread_join(thread, NULL);
	return work();
}

/* What the others get, the program gets too. */
static int calls_refused(void)
{
	probe_burn(0.15);
	if (filter(wanted, WANTED, SECCOMP_RET_ERRNO | ENOSYS) != 0)
		return 1;
	printf("openat: %d\n", open("/dev/null", O_RDONLY) < 0 ? errno : 0);
	return burn_with_a_thread();
}

static volatile sig_atomic_t trapped;

static void on_trap(int number, siginfo_t *info, void *context)
{
	(void)number, (void)context;
	trapped++;
	if (info->si_syscall != SYS_personality)
		trapped += 1000;
}

/* A program that answers forbidden calls itself sees its own alone. */
static int calls_trapped(void)
{
	static const int numbers[] = { SYS_personality, SYS_timer_create, SYS_getdents64 };
	const struct sigaction action = { .sa_sigaction = on_trap, .sa_flags = SA_SIGINFO };

	sigaction(SIGSYS, &action, NULL);
	if (filter(numbers, 3, SECCOMP_RET_TRAP) != 0)
		return 1;
	syscall(SYS_personality, 0xffffffff);
	probe_burn(0.7); /* longer than our looks at /proc/self/task are apart */
	printf("%d trapped\n", (int)trapped);
	return 0;
}

/* One call beyond what the program itself does is its end. */
static int calls_that_kill(void)
{
	static const int numbers[] = { SYS_timer_create, SYS_timer_settime, SYS_openat,
		SYS_getdents64, SYS_newfstatat, SYS_gettid, SYS_tgkill, SYS_statfs };

	probe_burn(0.03);
	printf("confined\n");
	if (filter(numbers, sizeof(numbers) / sizeof(numbers[0]), SECCOMP_RET_KILL_PROCESS) != 0)
		return 1;
	probe_burn(0.7); /* longer than our looks at /proc/self/task are apart */
	printf("alive\n");
	return 3;
}

/* As browsers do it: all that a worker needs, and nothing to begin or end with. */
static int calls_that_kill_a_worker(void)
{
	static const int numbers[] = { SYS_timer_create, SYS_timer_settime, SYS_timer_delete,
		SYS_openat, SYS_getdents64, SYS_newfstatat, SYS_tgkill, SYS_statfs, SYS_execve,
		SYS_clone, SYS_fork, SYS_vfork, SYS_wait4, SYS_unlink, SYS_unlinkat, SYS_kill };
	pthread_t thread;

	probe_burn(0.03);
	printf("confined\n");
	if (filter(numbers, sizeof(numbers) / sizeof(numbers[0]), SECCOMP_RET_KILL_PROCESS) != 0)
		return 1;
	if (pthread_create(&thread, NULL, burn_in_thread, NULL) != 0)
		return 1;
	pthread_join(thread, NULL);
	probe_burn(0.05);
	printf("alive\n");
	return 3;
}

/* --- threads --- */

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static void *wait_at_the_gate(void *argument)
{
	pthread_mutex_lock(&gate);
	pthread_mutex_unlock(&gate);
	return argument;
}

/* How many can be had at once is the machine's affair. */
static int ten_thousand_threads(void)
{
	static pthread_t threads[10000];
	pthread_attr_t attributes;
	int started = 0, joined = 0;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, 16384);
	pthread_mutex_lock(&gate);
	while (started < 10000 && pthread_create(&threads[started], &attributes, wait_at_the_gate,
					  NULL) == 0)
		started++;
	probe_burn(0.1);
	pthread_mutex_unlock(&gate);
	for (int i = 0; i < started; i++)
		joined += pthread_join(threads[i], NULL) == 0;
	printf("%s, %s\n", started == 10000 ? "10000" : "fewer",
		joined == started ? "all joined" : "some lost");
	return 0;
}

static void *count_up(void *argument)
{
	__atomic_fetch_add((long *)argument, 1, __ATOMIC_RELAXED);
	return argument;
}

/* PROBE_THREADS in all; 5,000 when nothing is said. */
static int many_short_threads(void)
{
	const char *said = getenv("PROBE_THREADS");
	const long all = said ? atol(said) : 5000;
	long ran = 0, failed = 0;

	for (long i = 0; i < all; i += 4) {
		pthread_t threads[4];

		for (int n = 0; n < 4; n++)
			failed += pthread_create(&threads[n], NULL, count_up, &ran) != 0;
		for (int n = 0; n < 4; n++)
			pthread_join(threads[n], NULL);
	}
	probe_burn(0.15);
	printf("%ld missing, %ld failed\n", all - ran, failed);
	return 0;
}

/* The main thread ends first; the process with the last one. */
static void *outlive(void *argument)
{
	usleep(50000);
	probe_burn(0.1);
	printf("outlived\n");
	exit(9);
	return argument;
}

static int main_thread_ends_first(void)
{
	pthread_t thread;

	probe_burn(0.15);
	pthread_create(&thread, NULL, outlive, NULL);
	pthread_exit(NULL);
}

static int cleaned_up;

static void clean_up(void *argument)
{
	(void)argument;
	cleaned_up++;
}

static void *burn_for_ever(void *argument)
{
	pthread_cleanup_push(clean_up, NULL);
	for (;;) {
		probe_burn(0.001);
		pthread_testcancel();
	}
	pthread_cleanup_pop(0);
	return argument;
}

static int cancelled_threads(void)
{
	int cancelled = 0;

	for (int i = 0; i < 20; i++) {
		pthread_t thread;
		void *result = NULL;

		pthread_create(&thread, NULL, burn_for_ever, NULL);
		usleep(3000);
		pthread_cancel(thread);
		pthread_join(thread, &result);
		cancelled += result == PTHREAD_CANCELED;
	}
	printf("%d cancelled, %d cleaned up\n", cancelled, cleaned_up);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct probe probes[] = {
		{ "little_address_space", little_address_space },
		{ "hardly_any_address_space", hardly_any_address_space },
		{ "no_descriptors", no_descriptors },
		{ "no_locked_memory", no_locked_memory },
		{ "small_files", small_files },
		{ "no_pending_signals", no_pending_signals },
		{ "little_cpu_time", little_cpu_time },
		{ "work", work },
		{ "lock_memory", lock_memory },
		{ "write_too_much", write_too_much },
		{ "burn_too_long", burn_too_long },
		{ "no_timers_from_the_start", no_timers_from_the_start },
		{ "calls_refused", calls_refused },
		{ "calls_trapped", calls_trapped },
		{ "calls_that_kill", calls_that_kill },
		{ "calls_that_kill_a_worker", calls_that_kill_a_worker },
		{ "ten_thousand_threads", ten_thousand_threads },
		{ "many_short_threads", many_short_threads },
		{ "main_thread_ends_first", main_thread_ends_first },
		{ "cancelled_threads", cancelled_threads },
	};

	return probe_main(argc, argv, probes, sizeof(probes) / sizeof(probes[0]));
}
