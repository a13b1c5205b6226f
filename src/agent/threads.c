#define _GNU_SOURCE
#include "agent/threads.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/hash.h"
#include "base/lone_thread.h"
#include "base/monotonic.h"
#include "base/syscalls.h"

#define SLOTS 32768 /* threads alive at once that are remembered; a power of two */
#define PROBES_MAX 64
#define SCAN_INTERVAL_NS UINT64_C(500000000)
#define FULL_SCAN_INTERVAL_NS UINT64_C(10000000000)
#define FORGET_BATCH 256 /* slots checked for dead threads in one scan */
#define STACK_LOWEST_PART 8192
#define MAIN_STACK_MAX ((uint64_t)64 << 20) /* where the limit is higher, beyond is asked for */

__thread struct thread_self thread_self __attribute__((tls_model("initial-exec")));

const char thread_tick_cookie, process_tick_cookie;

static struct spool_writer *spool;
static uint64_t period_ns;
static int signal_number;
static uint64_t random_state;
static uint32_t names_generation = 1;
static uint64_t last_scan_ns, last_full_scan_ns;
static uint32_t forget_next;
static int process_timer = -1; /* the fallback; made at the start while timers can be had */
static uint32_t process_timer_runs;
static bool is_confined;

/* --- who has a timer: tid << 32 | timer + 1, open addressing --- */

#define REMOVED UINT64_MAX

static uint64_t slots[SLOTS] __attribute__((aligned(4096)));
static uint32_t slots_used;

static uint32_t slot_tid(uint64_t slot)
{
	return slot == REMOVED ? 0 : (uint32_t)(slot >> 32);
}

static uint64_t *find_slot(uint32_t tid)
{
	for (uint32_t probe = 0; probe < PROBES_MAX; probe++) {
		uint64_t *slot = &slots[(hash_mix(tid) + probe) % SLOTS];
		uint64_t value = __atomic_load_n(slot, __ATOMIC_ACQUIRE);

		if (value == 0)
			return NULL;
		if (slot_tid(value) == tid)
			return slot;
	}
	return NULL;
}

static bool add_slot(uint32_t tid, int timer)
{
	for (uint32_t probe = 0; probe < PROBES_MAX; probe++) {
		uint64_t *slot = &slots[(hash_mix(tid) + probe) % SLOTS];
		uint64_t value = __atomic_load_n(slot, __ATOMIC_ACQUIRE);

		if ((value == 0 || value == REMOVED) &&
			__atomic_compare_exchange_n(slot, &value,
				(uint64_t)tid << 32 | (uint32_t)(timer + 1), false,
				__ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
			__atomic_fetch_add(&slots_used, 1, __ATOMIC_RELAXED);
			return true;
		}
	}
	return false;
}

/* The timer of TID is deleted by whoever takes the slot. */
static bool drop_timer(uint32_t tid)
{
	uint64_t *slot = find_slot(tid);
	uint64_t value = slot ? __atomic_load_n(slot, __ATOMIC_ACQUIRE) : 0;

	if (!slot || slot_tid(value) != tid ||
		!__atomic_compare_exchange_n(
			slot, &value, REMOVED, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		return false;
	__atomic_fetch_sub(&slots_used, 1, __ATOMIC_RELAXED);
	raw_syscall1(SYS_timer_delete, (long)(uint32_t)value - 1);
	return true;
}

/* --- timers --- */

static uint64_t random_below(uint64_t bound)
{
	uint64_t x = __atomic_add_fetch(&random_state, 0x9e3779b97f4a7c15u, __ATOMIC_RELAXED);

	return hash_mix(x ^ __rdtsc()) % bound;
}

/* The first tick comes at a random moment of the first period: threads that live shorter than a
 * period are then seen as often as their share of it. */
static long set_timer(int timer, int flags, uint64_t first_ns, uint64_t interval_ns)
{
	const struct itimerspec when = {
		.it_value = { (time_t)(first_ns / 1000000000), (long)(first_ns % 1000000000) },
		.it_interval = { (time_t)(interval_ns / 1000000000),
			(long)(interval_ns % 1000000000) },
	};

	return raw_syscall4(SYS_timer_settime, timer, flags, (long)&when, 0);
}

static long create_timer(clockid_t clock, uint32_t tid, const char *cookie, int *timer)
{
	struct sigevent event = {
		.sigev_signo = signal_number,
		.sigev_notify = tid ? SIGEV_THREAD_ID : SIGEV_SIGNAL,
		.sigev_value.sival_ptr = (void *)cookie,
	};

	event._sigev_un._tid = (pid_t)tid;
	return raw_syscall3(SYS_timer_create, clock, (long)&event, (long)timer);
}

/* The CPU clock of any thread of this process (Linux: include/linux/posix-timers.h,
 * CPUCLOCK_PERTHREAD_MASK | CPUCLOCK_SCHED). */
static clockid_t thread_clock(uint32_t tid)
{
	return (clockid_t)(~tid << 3 | 6);
}

/* Threads that get no timer of their own (RLIMIT_SIGPENDING) are sampled by one of the whole
 * process, whose ticks count only when they meet such a thread. */
static void run_process_timer(void)
{
	if (process_timer >= 0 &&
		__atomic_exchange_n(&process_timer_runs, 1, __ATOMIC_RELAXED) == 0)
		set_timer(process_timer, 0, 1 + random_below(period_ns), period_ns);
}

static uint32_t own_tid(void)
{
	return (uint32_t)raw_syscall1(SYS_gettid, 0);
}

static uint64_t thread_clock_ns(uint32_t tid)
{
	struct timespec now = { 0, 0 };

	raw_syscall3(SYS_clock_gettime, thread_clock(tid), (long)&now, 0);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* When its first tick is due goes to *FIRST_NS. */
static bool give_timer(uint32_t tid, uint64_t *first_ns)
{
	int timer;
	long r;

	if (is_confined)
		return false;
	r = create_timer(thread_clock(tid), tid, &thread_tick_cookie, &timer);

	if (r < 0) {
		if (r == -EAGAIN || r == -ENOMEM)
			run_process_timer();
		return false; /* else the thread has ended meanwhile */
	}
	drop_timer(tid); /* of an earlier thread with this number */
	if (!add_slot(tid, timer)) {
		raw_syscall1(SYS_timer_delete, timer);
		run_process_timer();
		return false;
	}
	spool_count(spool, SPOOL_COUNT_THREADS, 1);
	*first_ns = thread_clock_ns(tid) + 1 + random_below(period_ns);
	set_timer(timer, TIMER_ABSTIME, *first_ns, period_ns);
	return true;
}

/* A scan may try again for it later, which is not counted once more. */
static void give_timer_to_self(void)
{
	thread_self.tid = own_tid();
	if (period_ns == 0)
		return;
	thread_self.periods_seen = 0;
	thread_self.has_ended = false;
	thread_self.has_timer = give_timer(thread_self.tid, &thread_self.first_tick_ns);
	if (!thread_self.has_timer)
		spool_count(spool, SPOOL_COUNT_TIMERS_REFUSED, 1);
}

void threads_start(struct spool_writer *to, uint64_t period, int number)
{
	spool = to;
	period_ns = period;
	signal_number = number;
	random_state = __rdtsc();
	last_scan_ns = monotonic_ns();
	last_full_scan_ns = last_scan_ns;
	if (period_ns == 0)
		return;
	if (create_timer(CLOCK_PROCESS_CPUTIME_ID, 0, &process_tick_cookie, &process_timer) < 0)
		process_timer = -1;
}

void threads_restart_in_child(struct spool_writer *to)
{
	/* Whole pages become zeros without being copied from the parent first. */
	raw_syscall3(SYS_madvise, (long)slots, sizeof(slots), MADV_DONTNEED);
	slots_used = 0;
	process_timer_runs = 0;
	threads_start(to, period_ns, signal_number);
	give_timer_to_self();
}

void threads_begin(struct stack_range stack, uint16_t name, void *routine)
{
	threads_set_own_stack(stack);
	thread_self.routine = routine;
	thread_self.name = name;
	thread_self.names_seen =
		name ? __atomic_load_n(&names_generation, __ATOMIC_RELAXED) : 0;
	give_timer_to_self();
}

uint64_t threads_end(void)
{
	uint64_t now_ns, due;

	thread_self.has_ended = true; /* a tick on its way is counted below */
	if (!thread_self.has_timer || is_confined)
		return 0;
	thread_self.has_timer = false;
	drop_timer(thread_self.tid);
	now_ns = thread_clock_ns(thread_self.tid);
	if (thread_self.first_tick_ns == 0 || now_ns < thread_self.first_tick_ns)
		return 0;
	due = 1 + (now_ns - thread_self.first_tick_ns) / period_ns;
	return due > thread_self.periods_seen ? due - thread_self.periods_seen : 0;
}

void threads_adopt_self(void)
{
	thread_self.tid = own_tid();
	thread_self.has_timer = find_slot(thread_self.tid) != NULL;
}

void threads_silence_self(void)
{
	uint64_t *slot = find_slot(thread_self.tid);

	if (slot && !is_confined)
		set_timer((int)(uint32_t)*slot - 1, 0, 0, 0);
}

void threads_resume_self(void)
{
	uint64_t *slot = find_slot(thread_self.tid);

	thread_self.first_tick_ns = 0; /* what it missed is not to be counted at its end */
	if (slot && !is_confined)
		set_timer((int)(uint32_t)*slot - 1, 0, 1 + random_below(period_ns), period_ns);
}

/* --- scan --- */

static uint32_t parse_tid(const char *name)
{
	uint32_t tid = 0;

	for (; *name >= '0' && *name <= '9'; name++)
		tid = tid * 10 + (uint32_t)(*name - '0');
	return *name ? 0 : tid;
}

/* Records of getdents64(2): u64 ino, s64 off, u16 reclen, u8 type, name. */
static void scan_entries(const char *entries, long size)
{
	for (long at = 0; at < size;) {
		uint16_t record_size;
		uint64_t first_ns; /* the thread is not told, so its end is not counted */
		uint32_t tid = parse_tid(entries + at + 19);

		memcpy(&record_size, entries + at + 16, sizeof(record_size));
		if (record_size == 0)
			return;
		at += record_size;
		if (!tid || find_slot(tid))
			continue;
		lone_thread_is_doubted = true;
		if (give_timer(tid, &first_ns))
			spool_count(spool, SPOOL_COUNT_THREADS_SCANNED, 1);
	}
}

/* Timers of threads that ended without telling us. */
static void forget_dead(void)
{
	const long pid = raw_syscall1(SYS_getpid, 0);

	for (int i = 0; i < FORGET_BATCH; i++) {
		uint32_t at = __atomic_fetch_add(&forget_next, 1, __ATOMIC_RELAXED) % SLOTS;
		uint32_t tid = slot_tid(__atomic_load_n(&slots[at], __ATOMIC_RELAXED));

		if (tid && raw_syscall3(SYS_tgkill, pid, tid, 0) == -ESRCH)
			drop_timer(tid);
	}
}

static void scan(void)
{
	char entries[1024] __attribute__((aligned(8)));
	long descriptor, size;

	descriptor = raw_syscall4(SYS_openat, AT_FDCWD, (long)"/proc/self/task",
		O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (descriptor < 0)
		return;
	while ((size = raw_syscall3(
			SYS_getdents64, descriptor, (long)entries, sizeof(entries))) > 0)
		scan_entries(entries, size);
	raw_syscall1(SYS_close, descriptor);
	forget_dead();
}

/* The folder has two links more than threads (proc(5)): as many as we know are most likely
 * those we know. */
static bool count_is_known(void)
{
	struct stat st;

	return raw_syscall4(SYS_newfstatat, AT_FDCWD, (long)"/proc/self/task", (long)&st, 0) == 0 &&
		st.st_nlink == __atomic_load_n(&slots_used, __ATOMIC_RELAXED) + 2;
}

void threads_scan_if_needed(uint64_t now_ns)
{
	if (period_ns == 0)
		return;
	if (now_ns - __atomic_load_n(&last_full_scan_ns, __ATOMIC_RELAXED) <
			FULL_SCAN_INTERVAL_NS &&
		count_is_known())
		return;
	__atomic_store_n(&last_full_scan_ns, now_ns, __ATOMIC_RELAXED);
	scan();
}

void threads_confine(void)
{
	if (period_ns)
		run_process_timer();
	is_confined = true;
	__atomic_store_n(&last_scan_ns, UINT64_MAX / 2, __ATOMIC_RELAXED);
}

void threads_scan_sometimes(uint64_t now_ns)
{
	uint64_t last = __atomic_load_n(&last_scan_ns, __ATOMIC_RELAXED);

	if (UNLIKELY(now_ns >= last + SCAN_INTERVAL_NS) &&
		__atomic_compare_exchange_n(&last_scan_ns, &last, now_ns, false, __ATOMIC_RELAXED,
			__ATOMIC_RELAXED))
		threads_scan_if_needed(now_ns);
}

/* --- names --- */

void threads_renamed(void)
{
	__atomic_fetch_add(&names_generation, 1, __ATOMIC_RELAXED);
}

uint16_t threads_name_self(void)
{
	uint32_t generation = __atomic_load_n(&names_generation, __ATOMIC_RELAXED);
	char name[16] = "";

	if (LIKELY(thread_self.names_seen == generation))
		return thread_self.name;
	raw_syscall3(SYS_prctl, PR_GET_NAME, (long)name, 0);
	name[15] = '\0';
	thread_self.name = spool_intern_thread_name(spool, name);
	thread_self.names_seen = generation;
	return thread_self.name;
}

/* --- stacks --- */

struct stack_range threads_main_stack(void)
{
	/* The kernel puts the program's name at the very top (fs/exec.c, bprm->p). */
	uint64_t high = ((uint64_t)getauxval(AT_EXECFN) + 4095) & ~(uint64_t)4095;
	uint64_t size = MAIN_STACK_MAX;
	struct rlimit limit;

	if (high == 0)
		return (struct stack_range){ 0, 0 };
	if (getrlimit(RLIMIT_STACK, &limit) == 0 && limit.rlim_cur < size)
		size = limit.rlim_cur;
	return (struct stack_range){ .low = high - size, .high = high };
}

struct stack_range threads_created_stack(uint64_t size)
{
	/* glibc puts the thread's descriptor, where fs:0 points, at the top of its stack, its own
	 * or the caller's (nptl/allocatestack.c). */
	uint64_t high = (uint64_t)pthread_self();
	uint64_t here = (uint64_t)__builtin_frame_address(0);

	/* The descriptor and the program's TLS come out of SIZE as well, so the lowest part is not
	 * surely ours. */
	if (size <= STACK_LOWEST_PART || here >= high || high - here > size - STACK_LOWEST_PART)
		return (struct stack_range){ 0, 0 };
	return (struct stack_range){ .low = high - size + STACK_LOWEST_PART, .high = high };
}
