/*
 * prctl and syscall (its way in is in hooks_filter_entry.S): what a handler, or the end of the
 * process, asks the kernel for may be answered by death once a filter of system calls is there.
 */
#define _GNU_SOURCE
#include <linux/seccomp.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "agent/agent.h"
#include "agent/cpu_sampler.h"
#include "agent/real.h"
#include "agent/threads.h"
#include "base/compiler.h"

void *hooks_real_syscall; /* NULL: not looked up yet */

void *hooks_before_syscall(long number, unsigned long a, unsigned long b);

static void before_prctl(unsigned long option, unsigned long a)
{
	if (option == PR_SET_TSC || (option == PR_SET_SECCOMP && a == SECCOMP_MODE_STRICT))
		cpu_sampler_stop();
	if (option == PR_SET_SECCOMP)
		agent_confine();
}

void *hooks_before_syscall(long number, unsigned long a, unsigned long b)
{
	real_start();
	hooks_real_syscall = (void *)real.syscall;
	if (number == SYS_prctl)
		before_prctl(a, b);
	else if (number == SYS_seccomp && a == SECCOMP_SET_MODE_STRICT)
		before_prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
	else if (number == SYS_seccomp && a == SECCOMP_SET_MODE_FILTER)
		agent_confine();
	return hooks_real_syscall;
}

/* Takes what glibc's own takes: four more words, whether given or not. */
EXPORT int prctl(int option, ...)
{
	unsigned long a, b, c, d;
	va_list arguments;
	int r;

	va_start(arguments, option);
	a = va_arg(arguments, unsigned long);
	b = va_arg(arguments, unsigned long);
	c = va_arg(arguments, unsigned long);
	d = va_arg(arguments, unsigned long);
	va_end(arguments);
	real_start();
	before_prctl((unsigned long)option, a);
	r = real.prctl(option, a, b, c, d);
	if (option == PR_SET_NAME)
		threads_renamed();
	return r;
}
