/*
 * The threads of the process and their CPU timers: one POSIX timer per thread, on the thread's own
 * CPU clock, that signals the thread itself.  Known by the hook of pthread_create, else by a scan
 * of /proc/self/task.  Everything here may be called from handlers.
 */
#ifndef AGENT_THREADS_H
#define AGENT_THREADS_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/stack_memory.h"
#include "spool/spool_writer.h"

/* All the thread-local memory the agent has: it lies in the static TLS block, which is scarce. */
struct thread_self {
	uint64_t heap_left; /* bytes until the next sampled allocation, see alloc_sampler.h */
	uint64_t stack_high : 48; /* see threads_own_stack() */
	uint64_t stack_pages : 16; /* at most that many are known */
	uint64_t mask_before_fork;
	uint64_t first_tick_ns; /* on the thread's CPU clock; 0: not known */
	void *routine; /* what it was started for; NULL: not known */
	uint32_t periods_seen; /* delivered so far */
	uint32_t tid; /* 0: this thread has not been seen yet */
	uint32_t names_seen; /* thread_names_generation when NAME was read */
	uint16_t name; /* in the spool's thread names */
	uint16_t labels; /* see labels.c; 0: none */
	bool heap_started; /* the thread counts down to a point of its own */
	uint8_t heap_scratch; /* its number, in the middle of an allocation's sample; else 0 */
	bool has_timer, has_ended;
	bool host_blocks_signal; /* the host believes our signal is blocked here */
	bool holds_modules; /* see modules_lock() */
	bool forks_with_modules; /* around fork(), see modules_hold() */
	bool holds_signal_back; /* and so it is, for somebody else's waits to be let through */
};
static_assert(sizeof(struct thread_self) <= 64, "static TLS is scarce");

extern __thread struct thread_self thread_self;

/* The calling thread's stack; {0, 0}: not known.  Kept in whole pages, and 256 MiB at most: what is
 * lower is not known to be part of it. */
static inline struct stack_range threads_own_stack(void)
{
	const uint64_t high = thread_self.stack_high;

	return (struct stack_range){ .low = high - ((uint64_t)thread_self.stack_pages << 12),
		.high = high };
}

static inline void threads_set_own_stack(struct stack_range stack)
{
	const uint64_t pages = (stack.high - stack.low) >> 12;

	thread_self.stack_high = stack.high;
	thread_self.stack_pages = (uint16_t)(pages < UINT16_MAX ? pages : UINT16_MAX);
}

/* Every timer carries one of these as its value: what tells our ticks from somebody's signal. */
extern const char thread_tick_cookie, process_tick_cookie;

/* PERIOD_NS of CPU time between ticks, SIGNAL_NUMBER to send.  Before that, or with a period of 0,
 * no thread gets a timer. */
void threads_start(struct spool_writer *spool, uint64_t period_ns, int signal_number);
/* fork() has made a process with one thread and no timers. */
void threads_restart_in_child(struct spool_writer *spool);

/* The calling thread starts: give it a timer.  NAME: what it inherits; STACK as above; ROUTINE:
 * what it will run, NULL for the main thread. */
void threads_begin(struct stack_range stack, uint16_t name, void *routine);
/* The calling thread ends: no ticks any more.  How many periods have passed on its CPU clock that
 * no tick has told of: the kernel looks at timers only once a scheduler tick. */
uint64_t threads_end(void);
/* A tick found a thread that no hook saw. */
void threads_adopt_self(void);
/* Stop the ticks of the calling thread, which is still known; and let them begin again. */
void threads_silence_self(void);
void threads_resume_self(void);

/* Give timers to threads that have none, at most once in half a second. */
void threads_scan_sometimes(uint64_t now_ns);
/* The same at any time, unless there are as many threads as are known. */
void threads_scan_if_needed(uint64_t now_ns);

/* A filter of system calls is coming: never look at /proc again, and neither make nor delete a
 * timer.  Threads that come later are sampled by the timer of the whole process. */
void threads_confine(void);

/* The calling thread's name in the spool, read again when some thread was renamed. */
uint16_t threads_name_self(void);
/* Some thread has been renamed. */
void threads_renamed(void);

/* The range of the calling (main) thread's stack. */
struct stack_range threads_main_stack(void);
/* The range of the calling thread's stack, which pthread_create() made SIZE bytes big. */
struct stack_range threads_created_stack(uint64_t size);

#endif
