/*
 * A program that takes every signal for itself, in the way its argument says:
 *
 *     signals handle|info|reset|ignore|wait|timedwait|signalfd|thread|default|die NUMBER
 *
 * It sends itself each real-time signal and prints what it got, the same with and without the
 * agent, and burns a quarter of a second of CPU time meanwhile.  die: by that signal.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#define NUMBERS 65

static volatile sig_atomic_t got[NUMBERS];
static volatile int values[NUMBERS];
static volatile sig_atomic_t not_ours; /* no code or pid of a signal that we sent */

__attribute__((noipa)) static void burn(double seconds)
{
	volatile unsigned long value = 1;
	struct timespec t;
	double end = 0;

	do {
		for (int i = 0; i < 10000; i++)
			value = value * 6364136223846793005u + 1;
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
		if (end == 0)
			end = (double)t.tv_sec + (double)t.tv_nsec / 1e9 + seconds;
	} while ((double)t.tv_sec + (double)t.tv_nsec / 1e9 < end);
}

static void on_signal(int number)
{
	got[number]++;
}

static void on_signal_info(int number, siginfo_t *info, void *context)
{
	(void)context;
	got[number]++;
	values[number] = info->si_value.sival_int;
	if (info->si_pid != getpid() || info->si_code != SI_QUEUE)
		not_ours++;
}

static void print_got(const char *how)
{
	for (int number = 1; number < NUMBERS; number++)
		if (got[number])
			printf("%s: %d: %d times, value %d\n", how, number, (int)got[number],
				values[number]);
	printf("%s: %d of them were not from us\n", how, (int)not_ours);
}

/* All that can be had, NULL where it says what each was before. */
static void handle_all(const struct sigaction *action)
{
	for (int number = 1; number < NUMBERS; number++) {
		struct sigaction old;

		if (sigaction(number, action, NULL) != 0)
			continue;
		sigaction(number, NULL, &old);
		if (old.sa_handler != action->sa_handler ||
			((old.sa_flags ^ action->sa_flags) & ~0x04000000) != 0 ||
			memcmp(&old.sa_mask, &action->sa_mask, 8) != 0)
			printf("signal %d: not the action that was set\n", number);
	}
}

/* Once by each way to send; the others (SIGSEGV, ...) have been tried out by other programs. */
static void send_all(void)
{
	for (int number = SIGRTMIN; number <= SIGRTMAX; number++)
		if (sigqueue(getpid(), number, (union sigval){ .sival_int = number * 10 }) != 0)
			printf("signal %d: errno %d\n", number, errno);
}

static void raise_all(void)
{
	for (int number = SIGRTMIN; number <= SIGRTMAX; number++) {
		raise(number);
		pthread_kill(pthread_self(), number);
	}
}

static void block_all(sigset_t *set)
{
	sigset_t seen;

	sigfillset(set);
	sigprocmask(SIG_BLOCK, set, NULL);
	pthread_sigmask(SIG_BLOCK, NULL, &seen);
	for (int number = SIGRTMIN; number <= SIGRTMAX; number++)
		if (sigismember(&seen, number) != 1)
			printf("signal %d is not blocked\n", number);
}

static void do_handle(void)
{
	for (int number = 1; number < NUMBERS; number++)
		if (signal(number, on_signal) != SIG_ERR &&
			signal(number, on_signal) != on_signal)
			printf("signal %d: not the handler that was set\n", number);
	burn(0.1);
	send_all();
	raise_all();
	burn(0.15);
	print_got("handle");
	for (int number = 1; number < NUMBERS; number++)
		if (signal(number, SIG_DFL) != SIG_ERR && signal(number, SIG_DFL) != SIG_DFL)
			printf("signal %d: not reset\n", number);
	burn(0.05);
}

static void do_info(void)
{
	struct sigaction action = { .sa_sigaction = on_signal_info, .sa_flags = SA_SIGINFO };

	sigaddset(&action.sa_mask, SIGUSR1);
	handle_all(&action);
	burn(0.1);
	send_all();
	burn(0.15);
	print_got("info");
}

/* A handler that serves once. */
static void do_reset(void)
{
	struct sigaction action = { .sa_handler = on_signal,
		.sa_flags = (int)(SA_RESETHAND | SA_NODEFER) };

	handle_all(&action);
	burn(0.1);
	send_all();
	for (int number = SIGRTMIN; number <= SIGRTMAX; number++) {
		sigaction(number, NULL, &action);
		if (action.sa_handler != SIG_DFL)
			printf("signal %d: still has its handler\n", number);
	}
	burn(0.15);
	print_got("reset");
}

static void do_ignore(void)
{
	for (int number = 1; number < NUMBERS; number++)
		signal(number, SIG_IGN);
	burn(0.1);
	send_all();
	raise_all();
	burn(0.15);
	print_got("ignore");
}

/* Blocked, pending, and taken one by one. */
static void print_pending(void)
{
	sigset_t pending;

	sigpending(&pending);
	for (int number = SIGRTMIN; number <= SIGRTMAX; number++)
		if (sigismember(&pending, number) != 1)
			printf("signal %d is not pending\n", number);
}

static void do_wait(void)
{
	sigset_t all;
	int number;

	block_all(&all);
	burn(0.1);
	send_all();
	print_pending();
	burn(0.15);
	for (int i = SIGRTMIN; i <= SIGRTMAX; i++)
		if (sigwait(&all, &number) == 0)
			got[number]++;
	print_got("wait");
}

static void do_timedwait(void)
{
	const struct timespec soon = { .tv_nsec = 50000000 };
	siginfo_t info;
	sigset_t all;

	block_all(&all);
	burn(0.1);
	send_all();
	burn(0.15);
	while (sigtimedwait(&all, &info, &soon) > 0)
		on_signal_info(info.si_signo, &info, NULL);
	printf("timedwait: errno %d\n", errno);
	print_got("timedwait");
}

static void do_signalfd(void)
{
	struct signalfd_siginfo info;
	sigset_t all;
	int descriptor;

	block_all(&all);
	descriptor = signalfd(-1, &all, SFD_NONBLOCK);
	burn(0.1);
	send_all();
	burn(0.15);
	while (read(descriptor, &info, sizeof(info)) == sizeof(info)) {
		got[info.ssi_signo]++;
		values[info.ssi_signo] = info.ssi_int;
	}
	print_got("signalfd");
}

/* Blocked in one thread and then let through: none is lost, none comes twice. */
static void *run_blocked(void *argument)
{
	sigset_t all, seen;

	block_all(&all);
	burn(0.1);
	for (int number = SIGRTMIN; number <= SIGRTMAX; number++)
		pthread_kill(pthread_self(), number);
	for (int number = SIGRTMIN; number <= SIGRTMAX; number++)
		if (got[number])
			printf("signal %d came though it is blocked\n", number);
	burn(0.1);
	pthread_sigmask(SIG_UNBLOCK, &all, NULL);
	pthread_sigmask(SIG_BLOCK, NULL, &seen);
	for (int number = SIGRTMIN; number <= SIGRTMAX; number++)
		if (sigismember(&seen, number) != 0)
			printf("signal %d is still blocked\n", number);
	burn(0.05);
	return argument;
}

static void do_thread(void)
{
	pthread_t thread;

	for (int number = SIGRTMIN; number <= SIGRTMAX; number++)
		signal(number, on_signal);
	pthread_create(&thread, NULL, run_blocked, NULL);
	pthread_join(thread, NULL);
	print_got("thread");
}

static void do_default(void)
{
	const struct sigaction action = { .sa_handler = SIG_DFL };

	handle_all(&action);
	burn(0.25);
	print_got("default");
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} ways[] = { { "handle", do_handle }, { "info", do_info }, { "reset", do_reset },
		{ "ignore", do_ignore }, { "wait", do_wait }, { "timedwait", do_timedwait },
		{ "signalfd", do_signalfd }, { "thread", do_thread }, { "default", do_default } };

	if (argc == 3 && strcmp(argv[1], "die") == 0) {
		burn(0.25);
		raise(atoi(argv[2]));
		return 1;
	}
	for (size_t i = 0; argc == 2 && i < sizeof(ways) / sizeof(ways[0]); i++)
		if (strcmp(argv[1], ways[i].name) == 0) {
			ways[i].run();
			return fflush(stdout);
		}
	return 2;
}
