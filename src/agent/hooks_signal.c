#define _GNU_SOURCE
#include "agent/signals.h"

#include <errno.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

#include "agent/real.h"
#include "agent/threads.h"
#include "base/compiler.h"
#include "base/syscalls.h"

static int number_taken;
static pid_t owner; /* the process whose signal it is */
static struct sigaction host_action; /* what the host believes is installed */

int signals_number(void)
{
	return number_taken;
}

static uint64_t mask_bit(void)
{
	return (uint64_t)1 << (number_taken - 1);
}

void signals_unblock(void)
{
	const uint64_t ours = number_taken ? mask_bit() : 0;

	raw_syscall4(SYS_rt_sigprocmask, SIG_UNBLOCK, (long)&ours, 0, sizeof(ours));
}

/* The highest signal that is free: at its default, or if IGNORED_TOO ignored, as a parent may hand
 * it on; the host then goes on to believe so.  False: none. */
static bool take_signal(const struct sigaction *action, bool ignored_too)
{
	struct sigaction old;

	/* The very last is Valgrind's. */
	for (int number = SIGRTMAX - 1; number >= SIGRTMIN; number--) {
		if (real.sigaction(number, NULL, &old) < 0 || (old.sa_flags & SA_SIGINFO) ||
			(old.sa_handler != SIG_DFL &&
				!(ignored_too && old.sa_handler == SIG_IGN)) ||
			real.sigaction(number, action, NULL) < 0)
			continue;
		host_action = old;
		number_taken = number;
		return true;
	}
	return false;
}

int signals_start(signal_handler *handler)
{
	struct sigaction action = { .sa_sigaction = handler,
		.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART };
	uint64_t blocked = 0;

	sigfillset(&action.sa_mask);
	if (!take_signal(&action, false) && !take_signal(&action, true))
		return -EBUSY;
	owner = getpid();
	raw_syscall4(SYS_rt_sigprocmask, SIG_SETMASK, 0, (long)&blocked, sizeof(blocked));
	thread_self.host_blocks_signal = blocked & mask_bit();
	signals_unblock();
	return number_taken;
}

void signals_restart_in_child(void)
{
	owner = getpid();
}

/* The host has no handler: the default action of a real-time signal is the end of the process,
 * with this very signal.  It takes effect when the handler returns. */
static void die_by(int number)
{
	const struct sigaction action = { .sa_handler = SIG_DFL };

	real.sigaction(number, &action, NULL);
	raw_syscall3(SYS_tgkill, getpid(), raw_syscall1(SYS_gettid, 0), number);
}

/* The host believes our signal is blocked on this thread, so what others send must wait.  Now
 * it is blocked in truth, without ticks that would wait with it, until the host unblocks or
 * takes it. */
static void hold_back(int number, siginfo_t *info, ucontext_t *context)
{
	const long pid = getpid();

	threads_silence_self();
	sigaddset(&context->uc_sigmask, number);
	thread_self.holds_signal_back = true;
	if (info->si_code == SI_TKILL)
		raw_syscall4(SYS_rt_tgsigqueueinfo, pid, raw_syscall1(SYS_gettid, 0), number,
			(long)info);
	else
		raw_syscall3(SYS_rt_sigqueueinfo, pid, number, (long)info);
}

/* The host has unblocked our signal, or taken what was held back. */
static void let_through(void)
{
	if (!thread_self.holds_signal_back)
		return;
	thread_self.holds_signal_back = false;
	threads_resume_self();
	signals_unblock();
}

void signals_forward(int number, siginfo_t *info, void *context)
{
	const int saved_errno = errno;
	const struct sigaction action = host_action;

	if (thread_self.host_blocks_signal) {
		hold_back(number, info, context);
		return;
	}

	if (action.sa_flags & (int)SA_RESETHAND)
		host_action = (struct sigaction){ .sa_handler = SIG_DFL };
	if (action.sa_flags & SA_SIGINFO)
		action.sa_sigaction(number, info, context);
	else if (action.sa_handler == SIG_DFL)
		die_by(number);
	else if (action.sa_handler != SIG_IGN)
		action.sa_handler(number);
	errno = saved_errno;
}

/* --- hooks: handlers --- */

/* A child of vfork() resets its handlers before exec, in our memory: they are not ours to
 * change. */
static bool is_owner(void)
{
	return getpid() == owner;
}

EXPORT int sigaction(int number, const struct sigaction *action, struct sigaction *old)
{
	struct sigaction before = host_action;

	real_start();
	if (number == 0 || number != number_taken)
		return real.sigaction(number, action, old);
	if (action && is_owner())
		host_action = *action;
	if (old)
		*old = before;
	return 0;
}

static sighandler_t set_handler(int number, sighandler_t handler, int flags,
	sighandler_t (*real_function)(int, sighandler_t))
{
	sighandler_t before = host_action.sa_handler;

	if (number == 0 || number != number_taken)
		return real_function(number, handler);
	if (is_owner())
		host_action = (struct sigaction){ .sa_handler = handler, .sa_flags = flags };
	return before;
}

EXPORT sighandler_t signal(int number, sighandler_t handler)
{
	real_start();
	return set_handler(number, handler, SA_RESTART, real.signal);
}

/* What signal() is under -ansi and -D_XOPEN_SOURCE: the handler serves once. */
EXPORT sighandler_t __sysv_signal(int number, sighandler_t handler)
{
	real_start();
	return set_handler(
		number, handler, (int)(SA_RESETHAND | SA_NODEFER), real.__sysv_signal);
}

EXPORT sighandler_t sigset(int number, sighandler_t handler)
{
	real_start();
	return set_handler(number, handler, 0, real.sigset);
}

/* --- hooks: masks --- */

/* SET without our signal, in COPY. */
static const sigset_t *without_ours(const sigset_t *set, sigset_t *copy)
{
	if (!set || number_taken == 0 || sigismember(set, number_taken) != 1)
		return set;
	*copy = *set;
	sigdelset(copy, number_taken);
	return copy;
}

static void block_in_truth(void)
{
	const uint64_t ours = mask_bit();

	raw_syscall4(SYS_rt_sigprocmask, SIG_BLOCK, (long)&ours, 0, sizeof(ours));
}

static int change_mask(int (*change)(int, const sigset_t *, sigset_t *), int how,
	const sigset_t *set, sigset_t *old)
{
	const bool blocked_before = thread_self.host_blocks_signal;
	const bool has_ours = set && number_taken && sigismember(set, number_taken) == 1;
	sigset_t copy;
	int r = change(how, how == SIG_UNBLOCK ? set : without_ours(set, &copy), old);

	if (r != 0 || number_taken == 0)
		return r;
	if (set && (how == SIG_SETMASK || has_ours) &&
		thread_self.host_blocks_signal != (has_ours && how != SIG_UNBLOCK) && is_owner())
		thread_self.host_blocks_signal = has_ours && how != SIG_UNBLOCK;
	if (!thread_self.host_blocks_signal)
		let_through();
	else if (thread_self.holds_signal_back && how == SIG_SETMASK)
		block_in_truth(); /* SET went in without it */
	if (old && blocked_before)
		sigaddset(old, number_taken);
	return r;
}

EXPORT int sigprocmask(int how, const sigset_t *set, sigset_t *old)
{
	real_start();
	return change_mask(real.sigprocmask, how, set, old);
}

EXPORT int pthread_sigmask(int how, const sigset_t *set, sigset_t *old)
{
	real_start();
	return change_mask(real.pthread_sigmask, how, set, old);
}

/* --- hooks: waiting for signals --- */

bool signals_is_tick(const siginfo_t *info)
{
	return info->si_code == SI_TIMER &&
		(info->si_value.sival_ptr == &thread_tick_cookie ||
			info->si_value.sival_ptr == &process_tick_cookie);
}

/* Was what a wait has brought a tick of ours?  Then wait again: a thread that waits uses no CPU
 * time to speak of. */
static bool is_our_tick(int number, const siginfo_t *info)
{
	if (number != number_taken || number <= 0)
		return false;
	if (signals_is_tick(info))
		return true;
	let_through();
	return false;
}

EXPORT int sigwaitinfo(const sigset_t *set, siginfo_t *info)
{
	siginfo_t own;
	int number;

	real_start();
	do
		number = real.sigwaitinfo(set, info ? info : &own);
	while (is_our_tick(number, info ? info : &own));
	return number;
}

EXPORT int sigtimedwait(const sigset_t *set, siginfo_t *info, const struct timespec *timeout)
{
	siginfo_t own;
	int number;

	real_start();
	do
		number = real.sigtimedwait(set, info ? info : &own, timeout);
	while (is_our_tick(number, info ? info : &own));
	return number;
}

/* sigwait(3) gives the error back and does not end for other handlers. */
EXPORT int sigwait(const sigset_t *set, int *number)
{
	const int saved_errno = errno;
	int got, error;

	real_start();
	if (number_taken == 0 || sigismember(set, number_taken) != 1)
		return real.sigwait(set, number);
	do
		got = sigwaitinfo(set, NULL);
	while (got < 0 && errno == EINTR);
	error = errno;
	errno = saved_errno;
	if (got < 0)
		return error;
	*number = got;
	return 0;
}
