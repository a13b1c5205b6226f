/* Stacks that are small, deep, borrowed, broken, or left by a jump. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <ucontext.h>
#include <unistd.h>

#include "probes.h"

/* --- small --- */

__attribute__((noipa)) static void *burn_on_little(void *argument)
{
	probe_burn(0.1);
	return argument;
}

/* 16 KiB, of which libc takes some; what lies below is checked to be as it was. */
static int smallest_stack(void)
{
	const size_t size = (size_t)sysconf(_SC_THREAD_STACK_MIN) > 16384 ?
		(size_t)sysconf(_SC_THREAD_STACK_MIN) :
		16384;
	char *memory = mmap(NULL, size + 65536, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pthread_attr_t attributes;
	pthread_t thread;
	size_t written = 0;

	memset(memory, 0x5a, size + 65536);
	pthread_attr_init(&attributes);
	pthread_attr_setstack(&attributes, memory + 65536, size);
	if (pthread_create(&thread, &attributes, burn_on_little, NULL) != 0)
		return 1;
	pthread_join(thread, NULL);
	for (size_t i = 0; i < 65536; i++)
		written += memory[i] != 0x5a;
	printf("%zu bytes below the stack written\n", written);
	return 0;
}

static volatile sig_atomic_t handled;

__attribute__((noipa)) static void burn_in_handler(int number)
{
	(void)number;
	probe_burn(0.1);
	handled++;
}

/* As small as the system says will do; memory below it is checked, too. */
static int smallest_signal_stack(void)
{
	/* For a signal within a signal, as the kernel lays them down, and little more. */
	const size_t size = 2 * (size_t)sysconf(_SC_MINSIGSTKSZ) + 1024;
	char *memory = mmap(NULL, size + 65536, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	const stack_t alternate = { .ss_sp = memory + 65536, .ss_size = size };
	const struct sigaction action = { .sa_handler = burn_in_handler,
		.sa_flags = SA_ONSTACK };
	size_t written = 0;

	memset(memory, 0x5a, size + 65536);
	sigaltstack(&alternate, NULL);
	sigaction(SIGUSR1, &action, NULL);
	probe_burn(0.15);
	raise(SIGUSR1);
	for (size_t i = 0; i < 65536; i++)
		written += memory[i] != 0x5a;
	printf("%d handled, %zu bytes below the stack written\n", (int)handled, written);
	return 0;
}

/* --- deep --- */

#define DEPTH 100000
static int levels_left;

/* Through a pointer, so that it stays a call. */
static int (*volatile deeper)(int);

__attribute__((noipa)) static int recurse_deeply(int level)
{
	volatile int here = level;

	if (level == 0) {
		probe_burn(0.3);
		return levels_left;
	}
	return deeper(level - 1) + here - level;
}

__attribute__((noipa)) static int begin_deep_recursion(void)
{
	return deeper(DEPTH);
}

static int deep_recursion(void)
{
	deeper = recurse_deeply;
	printf("returned %d\n", begin_deep_recursion());
	return 0;
}

static void *recurse_in_thread(void *argument)
{
	begin_deep_recursion();
	return argument;
}

static int deep_recursion_in_a_thread(void)
{
	pthread_attr_t attributes;
	pthread_t thread;

	deeper = recurse_deeply;
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, (size_t)64 << 20);
	if (pthread_create(&thread, &attributes, recurse_in_thread, NULL) != 0)
		return 1;
	pthread_join(thread, NULL);
	printf("returned\n");
	return 0;
}

static sigjmp_buf out_of_overflow;

static void on_overflow(int number)
{
	(void)number;
	siglongjmp(out_of_overflow, 1);
}

__attribute__((noipa)) static int recurse_for_ever(int level)
{
	volatile char frame[256] = { 0 };

	return deeper(level + 1) + frame[level & 255];
}

/* Programs that live with it: guile, some databases. */
static int overflow_that_is_handled(void)
{
	static char memory[65536];
	const stack_t alternate = { .ss_sp = memory, .ss_size = sizeof(memory) };
	const struct sigaction action = { .sa_handler = on_overflow, .sa_flags = SA_ONSTACK };
	volatile int times = 0;

	deeper = recurse_for_ever;
	sigaltstack(&alternate, NULL);
	sigaction(SIGSEGV, &action, NULL);
	while (times < 20) {
		if (sigsetjmp(out_of_overflow, 1) == 0)
			deeper(0);
		times++;
	}
	probe_burn(0.15);
	printf("%d overflows\n", times);
	return 0;
}

/* --- broken --- */

/* rbp and the return addresses are garbage while it runs; no unwind information says otherwise. */
__attribute__((noipa)) static void burn_with_garbage(uint64_t garbage, uint64_t turns)
{
	__asm__ volatile("pushq %%rbp\n\t"
			 "movq %0, %%rbp\n\t"
			 "1: imulq $12345, %%rax, %%rax\n\t"
			 "decq %1\n\t"
			 "jnz 1b\n\t"
			 "popq %%rbp"
			 : "+r"(garbage), "+r"(turns)
			 :
			 : "rax", "memory", "cc");
}

static int garbage_in_the_frame_pointer(void)
{
	static const uint64_t values[] = { 0xdead, 8, UINT64_MAX, UINT64_MAX - 7, 1ull << 47,
		0xffff800000000000u, 0xffffffffff600000u, 1 };

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		burn_with_garbage(values[i], 20000000);
	printf("survived\n");
	return 0;
}

/* The stack pointer itself: only code without calls can do so, as some codecs do.  Our signal then
 * has no stack but the alternate one. */
__attribute__((noipa)) static void burn_with_another_rsp(uint64_t value, uint64_t turns)
{
	__asm__ volatile("movq %%rsp, %%r12\n\t"
			 "movq %0, %%rsp\n\t"
			 "1: imulq $12345, %%rax, %%rax\n\t"
			 "decq %1\n\t"
			 "jnz 1b\n\t"
			 "movq %%r12, %%rsp"
			 : "+r"(value), "+r"(turns)
			 :
			 : "rax", "r12", "memory", "cc");
}

static int another_stack_pointer(void)
{
	static char memory[65536] __attribute__((aligned(16)));

	burn_with_another_rsp((uint64_t)memory + sizeof(memory), 100000000);
	printf("survived\n");
	return 0;
}

/* Code in anonymous memory, without unwind information, that calls itself with odd frames. */
static int generated_code(void)
{
	static const unsigned char code[] = {
		0x55, /* push rbp */
		0x48, 0xc7, 0xc5, 0xad, 0xde, 0, 0, /* mov rbp, 0xdead */
		0x48, 0xff, 0xcf, /* 1: dec rdi */
		0x75, 0xfb, /* jnz 1b */
		0x5d, /* pop rbp */
		0xc3, /* ret */
	};
	unsigned char *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	void (*run)(uint64_t);

	memcpy(memory, code, sizeof(code));
	run = (void (*)(uint64_t))(uintptr_t)memory;
	run(300000000);
	munmap(memory, 4096);
	probe_burn(0.15);
	printf("survived\n");
	return 0;
}

/* --- left and borrowed --- */

static int long_jumps(void)
{
	volatile int jumps = 0;
	jmp_buf back;

	if (setjmp(back) < 1000000) {
		jumps++;
		if (jumps < 1000000)
			longjmp(back, jumps);
	}
	probe_burn(0.15);
	printf("%d jumps\n", jumps);
	return 0;
}

#define FIBERS 16
static ucontext_t scheduler, fibers[FIBERS];
static int rounds;

__attribute__((noipa)) static void fiber(int number)
{
	for (;;) {
		probe_burn(0.001);
		rounds++;
		swapcontext(&fibers[number], &scheduler);
	}
}

/* Stacks of their own that end somewhere, and come and go. */
static int context_switches(void)
{
	for (int i = 0; i < FIBERS; i++) {
		getcontext(&fibers[i]);
		fibers[i].uc_stack.ss_size = 32768;
		fibers[i].uc_stack.ss_sp = mmap(NULL, 32768, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		makecontext(&fibers[i], (void (*)(void))(void *)fiber, 1, i);
	}
	for (int round = 0; round < 10; round++)
		for (int i = 0; i < FIBERS; i++)
			swapcontext(&scheduler, &fibers[i]);
	for (int i = 0; i < FIBERS; i++)
		munmap(fibers[i].uc_stack.ss_sp, 32768);
	probe_burn(0.15);
	printf("%d rounds\n", rounds);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct probe probes[] = {
		{ "smallest_stack", smallest_stack },
		{ "smallest_signal_stack", smallest_signal_stack },
		{ "deep_recursion", deep_recursion },
		{ "deep_recursion_in_a_thread", deep_recursion_in_a_thread },
		{ "overflow_that_is_handled", overflow_that_is_handled },
		{ "garbage_in_the_frame_pointer", garbage_in_the_frame_pointer },
		{ "another_stack_pointer", another_stack_pointer },
		{ "generated_code", generated_code },
		{ "long_jumps", long_jumps },
		{ "context_switches", context_switches },
	};

	return probe_main(argc, argv, probes, sizeof(probes) / sizeof(probes[0]));
}
