/*
 * Jumps out of handlers that have interrupted a sample (siglongjmp), as interpreters do, and goes
 * on allocating: 1000 blocks of 100 bytes in after_jumps(), which are kept.
 *
 *     alloc_jumps AGENT
 *     alloc_jumps AGENT aside
 *
 * It jumps only from code of the library AGENT, so as not to leave the allocator's own locks
 * behind, until it has done so JUMPS times.  With "aside" nothing is jumped out of: handlers that
 * interrupt AGENT, on a stack of their own inside the thread's, allocate 100 bytes each.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <ucontext.h>

#define SITE __attribute__((noipa))
#define JUMPS 200
#define HANDLED 500

static const char *agent;
static sigjmp_buf here;
static volatile int jumps, handled;
static volatile bool is_jumping;
static void *kept[1000 + HANDLED];

SITE static void *in_handler(void)
{
	return malloc(100);
}

static void jump_out(int number, siginfo_t *info, void *context)
{
	const ucontext_t *u = context;
	Dl_info of;

	(void)number;
	(void)info;
	if (!is_jumping || !dladdr((void *)u->uc_mcontext.gregs[REG_RIP], &of) ||
		!strstr(of.dli_fname, agent))
		return;
	jumps++;
	siglongjmp(here, 1);
}

static void allocate_aside(int number, siginfo_t *info, void *context)
{
	const ucontext_t *u = context;
	Dl_info of;

	(void)number;
	(void)info;
	if (handled < HANDLED && dladdr((void *)u->uc_mcontext.gregs[REG_RIP], &of) &&
		strstr(of.dli_fname, agent))
		kept[1000 + handled++] = in_handler();
}

static void start_timer(void (*handler)(int, siginfo_t *, void *), int flags)
{
	const struct itimerval often = { { 0, 300 }, { 0, 300 } };
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags };

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
}

static void stop_timer(void)
{
	const struct itimerval never = { { 0, 0 }, { 0, 0 } };

	setitimer(ITIMER_REAL, &never, NULL);
}

/* Further down the stack than what comes after it. */
SITE static void busy(int depth)
{
	volatile char room[200];

	room[0] = 0;
	if (depth > 0)
		busy(depth - 1);
	else
		free(malloc(50));
	room[1] = room[0];
}

SITE static void after_jumps(void)
{
	for (int i = 0; i < 1000; i++)
		kept[i] = malloc(100);
}

int main(int argc, char **argv)
{
	char stack[1 << 16];
	const stack_t aside = { .ss_sp = stack, .ss_size = sizeof(stack) };

	if (argc < 2)
		return 2;
	agent = argv[1];
	if (argc > 2) {
		sigaltstack(&aside, NULL);
		start_timer(allocate_aside, SA_ONSTACK | SA_RESTART);
		while (handled < HANDLED)
			busy(3);
	} else {
		start_timer(jump_out, SA_NODEFER);
		while (jumps < JUMPS) {
			if (sigsetjmp(here, 1) == 0)
				is_jumping = true;
			busy(3);
			is_jumping = false;
		}
	}
	stop_timer();
	busy(0);
	after_jumps();
	printf("%d jumps, %d in handlers\n", jumps, handled);
	return 0;
}
