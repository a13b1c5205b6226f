#define _GNU_SOURCE
#include "agent/agent.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/alloc_sampler.h"
#include "agent/cpu_sampler.h"
#include "agent/dl_watch.h"
#include "agent/finisher.h"
#include "agent/follow.h"
#include "agent/go_runtime.h"
#include "agent/keeper.h"
#include "agent/labels.h"
#include "agent/libc_kind.h"
#include "agent/loaded_object.h"
#include "agent/mappings.h"
#include "agent/modules.h"
#include "agent/operators.h"
#include "agent/own_process.h"
#include "agent/real.h"
#include "agent/real_alloc.h"
#include "agent/scratch.h"
#include "agent/signals.h"
#include "agent/threads.h"
#include "base/compiler.h"
#include "base/monotonic.h"
#include "base/settings.h"
#include "base/syscalls.h"

#define SECOND_NS UINT64_C(1000000000)

static struct settings settings; /* read once; hosts empty their environment */
static struct spool_writer writers[2]; /* a process's and its child's, in turn */
static struct spool_writer *spool = &writers[0];
static uint64_t stop_monotonic_ns; /* also of what fork() makes of this process */
static char spool_path[SETTINGS_TEXT_MAX];
static bool recorder_sees_spool; /* and not another folder of that name, in a container */

static enum { NOT_STARTED, RECORDING, STOPPED } state;
static pid_t owner; /* the process STATE is about */

bool agent_is_recording(void)
{
	return state == RECORDING && own_process_is_here();
}

/* --- threads --- */

static pthread_key_t thread_end_key;

/* libc calls destructors in rounds, as long as values are set: ours is for the last one, behind
 * what the host's own destructors do. */
static void end_thread(void *round)
{
	const uintptr_t next = (uintptr_t)round + 1;

	if (next < PTHREAD_DESTRUCTOR_ITERATIONS) {
		pthread_setspecific(thread_end_key, (void *)next);
		return;
	}
	cpu_sampler_record_end(threads_end());
	labels_thread_ends();
}

void agent_thread_begins(struct stack_range stack, uint16_t name, void *routine)
{
	if (getpid() != owner)
		return; /* a child that clone() made: it has no spool */
	pthread_setspecific(thread_end_key, (void *)1);
	signals_unblock();
	threads_begin(stack, name, routine);
	cpu_sampler_thread_begins();
}

/* --- start --- */

static void say(const char *what, const char *why)
{
	const char *const parts[] = { "plugprof: ", what, why, "; not profiling\n" };

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		raw_syscall3(SYS_write, STDERR_FILENO, (long)parts[i], (long)strlen(parts[i]));
}

static bool read_settings(void)
{
	char why[512];

	if (settings_parse(&settings, getenv(SETTINGS_VARIABLE), why, sizeof(why)))
		return !settings.off && follow_wants_program(&settings);
	say(SETTINGS_VARIABLE ": ", why);
	return false;
}

static const char *own_file(void)
{
	Dl_info self;

	return dladdr((void *)own_file, &self) && self.dli_fname ? self.dli_fname : "";
}

static void record_texts(void)
{
	char text[PATH_MAX];

	spool_append_text(spool, SPOOL_TEXT_EXECUTABLE, object_program_path());
	spool_append_text(spool, SPOOL_TEXT_FOLDER, getcwd(text, sizeof(text)) ? text : "/");
	spool_append_text(spool, SPOOL_TEXT_OUTPUT, settings.file);
	spool_append_text(spool, SPOOL_TEXT_OPTIONS, settings.raw ? "raw" : "");
	spool_append_text(spool, SPOOL_TEXT_STORE, keeper_folders());
}

static int make_spool(struct spool_writer *w, uint64_t process_start_ticks)
{
	const struct spool_identity identity = {
		.process_start_ticks = process_start_ticks,
		.session = settings.session,
		.recorder_pid = settings.recorder_pid,
		.period_ns = SECOND_NS / settings.freq_hz,
		.stop_monotonic_ns = stop_monotonic_ns,
		.cpu_off = settings.cpu_off,
		.heap_rate_bytes = settings.heap_bytes,
	};

	return spool_create(w, settings.spool, &identity, spool_path, sizeof(spool_path));
}

static void start_sampling(void)
{
	if (!settings.cpu_off)
		cpu_sampler_start(spool, settings.generations);
	spool_begin(spool);
	state = RECORDING;
	owner = getpid();
	own_process_mark();
}

/* --- fork --- */

/* As /proc/PID/stat counts (proc(5), field 22): since the start of the machine, in USER_HZ. */
static uint64_t boot_ticks(void)
{
	return clock_now_ns(CLOCK_BOOTTIME) / 10000000;
}

static uint64_t ticks_before_fork;

static void before_fork(void)
{
	const uint64_t all = ~(uint64_t)0;

	ticks_before_fork = boot_ticks();
	raw_syscall4(SYS_rt_sigprocmask, SIG_SETMASK, (long)&all,
		(long)&thread_self.mask_before_fork, sizeof(all));
	modules_hold();
}

static bool becomes_daemon; /* in daemon() */

void agent_daemon_begins(void)
{
	becomes_daemon = true;
}

void agent_daemon_is_made(void)
{
	becomes_daemon = false;
}

static void after_fork(void)
{
	modules_release();
	raw_syscall4(SYS_rt_sigprocmask, SIG_SETMASK, (long)&thread_self.mask_before_fork, 0,
		sizeof(thread_self.mask_before_fork));
}

static void after_fork_in_parent(void)
{
	after_fork();
	if (becomes_daemon)
		agent_stop();
}

static bool make_childs_spool(struct spool_writer *childs)
{
	/* To ask /proc of a new process is dear. */
	if (make_spool(childs, boot_ticks() == ticks_before_fork ? ticks_before_fork : 0) != 0)
		return false;
	if (spool_inherit(childs, spool))
		return true;
	unlink(spool_path);
	spool_abandon(childs);
	return false;
}

/* The child has its parent's modules and thread names, and samples of its own. */
static void after_fork_in_child(void)
{
	struct spool_writer *childs = &writers[spool == &writers[0]];

	scratch_restart_in_child();
	keeper_restart_in_child();
	dl_watch_restart_in_child();
	labels_restart_in_child();
	signals_restart_in_child();
	if (state == RECORDING) {
		if (follow_wants_fork(&settings) && make_childs_spool(childs)) {
			spool_abandon(spool);
			spool = childs;
			modules_restart_in_child(spool);
			go_runtime_restart_in_child(spool);
			start_sampling();
			alloc_sampler_restart_in_child(spool);
			threads_restart_in_child(spool);
		} else {
			cpu_sampler_stop();
			alloc_sampler_stop();
			spool_abandon(spool);
			state = STOPPED;
		}
	}
	after_fork();
}

static void start_heap(void)
{
	char unseen[256];
	const bool some_are_seen = real_alloc_describe_unseen(unseen, sizeof(unseen));

	if (!spool->heap)
		return;
	if (unseen[0])
		spool_append_text(spool, SPOOL_TEXT_HEAP_UNSEEN, unseen);
	if (some_are_seen && settings.mmap)
		mappings_start();
	if (some_are_seen)
		alloc_sampler_start(spool, settings.generations);
	else if (settings.verbose && settings.cpu_off)
		say("not seen: ", unseen); /* nobody else will: there is nothing to write */
}

extern void *const __dso_handle HIDDEN; /* what libc knows this library by */

static void stop_quickly(void *unused)
{
	(void)unused;
	agent_stop();
}

static void start(void)
{
	if (getauxval(AT_SECURE))
		return;
	real_start();
	if (!read_settings())
		return;
	if (!follow_wants_exec(&settings))
		follow_hide_from_programs(own_file());
	if (!libc_is_glibc()) {
		if (settings.verbose)
			say("the program is built for musl", "");
		return;
	}
	if (real.sanitizer) {
		if (settings.verbose)
			say("the program is built with a sanitizer", "");
		return;
	}
	if (!settings.spool[0])
		settings_spool_folder(settings.spool);
	if (settings.duration_ns)
		stop_monotonic_ns = monotonic_ns() + settings.duration_ns;
	finisher_find_tool();
	keeper_start(&settings);
	if (make_spool(spool, 0) != 0) {
		if (settings.verbose)
			say("cannot make a spool in ", settings.spool);
		return;
	}
	recorder_sees_spool = settings.recorder_pid &&
		(!settings.recorder_folder ||
			settings_folder_identity(settings.spool) == settings.recorder_folder);
	record_texts();
	if (!settings.go_labels_off)
		go_runtime_start(spool);
	modules_start(spool);
	dl_watch_start();
	if (pthread_key_create(&thread_end_key, end_thread) != 0 ||
		(!settings.cpu_off && signals_start(cpu_sampler_tick) < 0) ||
		real.__register_atfork(before_fork, after_fork_in_parent, after_fork_in_child,
			__dso_handle) != 0) {
		unlink(spool_path);
		spool_abandon(spool);
		return;
	}
	real.__cxa_at_quick_exit(stop_quickly, __dso_handle);
	threads_start(spool, settings.cpu_off ? 0 : SECOND_NS / settings.freq_hz,
		signals_number());
	labels_start();
	start_sampling();
	threads_begin(threads_main_stack(), 0, NULL);
	threads_name_self(); /* what its first threads inherit */
	start_heap();
	threads_scan_if_needed(monotonic_ns());
}

__attribute__((constructor)) static void on_load(void)
{
	const int saved_errno = errno;

	operators_look_up(); /* should nobody have called malloc */
	start();
	errno = saved_errno;
}

/* --- stop --- */

/* In a pid namespace of its own this process cannot ask for the recorder, who sees it all the
 * same: the spool is kept for that one, or for "plugprof recover". */
static bool recorder_is_there(void)
{
	struct stat own;

	if (!recorder_sees_spool)
		return false;
	if (raw_syscall3(SYS_kill, settings.recorder_pid, 0, 0) != -ESRCH)
		return true;
	return settings.recorder_namespace && (stat("/proc/self/ns/pid", &own) < 0 ||
						      own.st_ino != settings.recorder_namespace);
}

/* The recorder wants to see its own child's, even when it is empty. */
static bool spool_is_wanted(void)
{
	return spool_has_samples(spool->header) ||
		(uint32_t)getppid() == settings.recorder_pid;
}

static bool is_confined;

void agent_confine(void)
{
	if (!agent_is_recording())
		return;
	is_confined = true;
	threads_confine();
}

void agent_stop(void)
{
	if (state != RECORDING || getpid() != owner)
		return;
	state = STOPPED;
	if (is_confined) {
		alloc_sampler_stop();
		cpu_sampler_stop();
		spool_end(spool);
		return;
	}
	cpu_sampler_record_end(threads_end());
	if (spool_is_wanted())
		dl_watch_finish();
	alloc_sampler_stop();
	cpu_sampler_stop();
	spool_end(spool);
	if (!spool_is_wanted())
		unlink(spool_path);
	else if (!recorder_is_there())
		finisher_run(spool_path, settings.verbose);
}

__attribute__((destructor)) static void on_unload(void)
{
	agent_stop();
}
