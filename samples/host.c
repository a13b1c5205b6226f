/*
 * A plugin host in plain C: opens plugins, runs them in threads, prints their
 * checksums, and ends in the way it is asked to.  What it prints depends on
 * its arguments alone, never on time or on the machine's speed.
 *
 *     start_thread > host_worker > host_work > host_pass > plugin_run ...
 *                                                        > host_mix
 *     main > host_run > host_work > ...		with -n 0
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "plugin.h"
#include "work.h"

#define PLUGIN_COUNT_MAX 16
#define THREAD_COUNT_MAX 256

struct plugin {
	const char *path;
	void *handle;
	const char *name;
	uint64_t (*run)(uint64_t round_count);
	uint64_t checksum;	/* of all threads */
};

struct options {
	double cpu_seconds;	/* per thread; 0: one pass */
	unsigned thread_count;	/* 0: the main thread works */
	uint64_t round_count;	/* of each plugin in a pass */
	int status;
	int close;
	int delete;
	int in_turn;
	int fork;
	int exec;
	int linger;
	void (*end)(int status);
};

/* What one thread has to do, and what came of it. */
struct job {
	const struct options *options;
	const struct plugin *plugins;
	size_t plugin_count;
	unsigned number;
	pthread_t thread;
	uint64_t checksums[PLUGIN_COUNT_MAX];	/* of one pass */
	bool differs;				/* not every pass had the same */
};

static void die(const char *what, const char *why)
{
	fprintf(stderr, "host: %s: %s\n", what, why);
	exit(2);
}

/* One unit of work a round. */
static KEPT uint64_t host_mix(uint64_t value, uint64_t round_count)
{
	for (uint64_t i = 0; i < round_count; i++)
		value = WORK(value + i);
	return value;
}

static KEPT void host_pass(const struct job *job, uint64_t *checksums)
{
	const uint64_t round_count = job->options->round_count;

	for (size_t i = 0; i < job->plugin_count; i++) {
		uint64_t value = job->plugins[i].run(round_count);

		checksums[i] = value + host_mix(value, round_count);
	}
}

static KEPT void host_work(struct job *job)
{
	const double end = work_thread_cpu_seconds() + job->options->cpu_seconds;
	const size_t size_bytes = job->plugin_count * sizeof(job->checksums[0]);
	uint64_t again[PLUGIN_COUNT_MAX];

	host_pass(job, job->checksums);
	while (job->options->cpu_seconds > 0 && work_thread_cpu_seconds() < end) {
		host_pass(job, again);
		if (memcmp(again, job->checksums, size_bytes) != 0)
			job->differs = true;
	}
}

static KEPT void *host_worker(void *argument)
{
	struct job *job = argument;
	char name[16];

	snprintf(name, sizeof(name), "worker-%u", job->number);
	pthread_setname_np(pthread_self(), name);
	host_work(job);
	return job;
}

/* Have every thread run PLUGINS, and add up their checksums. */
static KEPT void host_run(const struct options *options, struct plugin *plugins,
			  size_t plugin_count)
{
	static struct job jobs[THREAD_COUNT_MAX];
	const unsigned job_count = options->thread_count ? options->thread_count : 1;

	for (unsigned n = 0; n < job_count; n++) {
		jobs[n] = (struct job){ .options = options, .plugins = plugins,
					.plugin_count = plugin_count, .number = n };
		if (options->thread_count == 0)
			host_work(&jobs[n]);
		else if (pthread_create(&jobs[n].thread, NULL, host_worker, &jobs[n]) != 0)
			die("pthread_create", "failed");
	}
	for (unsigned n = 0; n < job_count; n++) {
		if (options->thread_count > 0)
			pthread_join(jobs[n].thread, NULL);
		if (jobs[n].differs)
			die("checksum", "differs between passes");
		for (size_t i = 0; i < plugin_count; i++)
			plugins[i].checksum += jobs[n].checksums[i];
	}
}

/* Works until the process is gone from under it. */
static KEPT void *host_linger(void *argument)
{
	volatile uint64_t value = 0;

	pthread_setname_np(pthread_self(), "linger");
	for (;;)
		value = WORK(value);
	return argument;
}

static void plugin_open(struct plugin *plugin, bool delete)
{
	const char *name;

	plugin->handle = dlopen(plugin->path, RTLD_NOW | RTLD_LOCAL);
	if (!plugin->handle)
		die(plugin->path, dlerror());
	plugin->run = (uint64_t (*)(uint64_t))dlsym(plugin->handle, "plugin_run");
	name = dlsym(plugin->handle, "plugin_name");
	if (!plugin->run || !name)
		die(plugin->path, "has no plugin_run or no plugin_name");
	plugin->name = strdup(name);	/* outlives the plugin */
	if (delete && unlink(plugin->path) != 0)
		die(plugin->path, "cannot be deleted");
}

static void plugin_close(struct plugin *plugin)
{
	if (dlclose(plugin->handle) != 0)
		die(plugin->path, dlerror());
}

/* Open, run and close every plugin by itself: the next one is likely to be
 * mapped where the last one was. */
static void run_in_turn(const struct options *options, struct plugin *plugins,
			size_t plugin_count)
{
	for (size_t i = 0; i < plugin_count; i++) {
		plugin_open(&plugins[i], options->delete);
		host_run(options, &plugins[i], 1);
		plugin_close(&plugins[i]);
	}
}

static void print_checksums(const char *who, const struct plugin *plugins, size_t plugin_count)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < plugin_count; i++) {
		printf("%s%s %016" PRIx64 "\n", who, plugins[i].name, plugins[i].checksum);
		sum += plugins[i].checksum;
	}
	printf("%schecksum %016" PRIx64 "\n", who, sum);
}

static void wait_for_child(pid_t child)
{
	int status;

	if (waitpid(child, &status, 0) != child)
		die("child", "cannot be waited for");
	if (WIFEXITED(status))
		printf("child exited with status %d\n", WEXITSTATUS(status));
	else
		printf("child ended by signal %d\n", WTERMSIG(status));
}

/* Become the same command without --exec and --fork. */
static void exec_again(char **argv)
{
	char path[PATH_MAX] = "";
	char **kept = argv;

	if (readlink("/proc/self/exe", path, sizeof(path) - 1) < 0)
		die("/proc/self/exe", "cannot be read");
	for (char **arg = argv; *arg; arg++)
		if (strcmp(*arg, "--exec") != 0 && strcmp(*arg, "--fork") != 0)
			*kept++ = *arg;
	*kept = NULL;
	execv(path, argv);
	die(path, "cannot be executed");
}

static void end_with_abort(int status)
{
	(void)status;
	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
	abort();
}

static void end_with_segv(int status)
{
	volatile int *volatile nowhere = NULL;

	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
	*nowhere = status;
}

static void end_with_kill(int status)
{
	(void)status;
	kill(getpid(), SIGKILL);
}

static const struct end {
	const char *name;
	void (*end)(int status);	/* NULL: main returns the status */
} ends[] = {
	{ "return", NULL },
	{ "exit", exit },
	{ "_exit", _exit },
	{ "quick_exit", quick_exit },
	{ "abort", end_with_abort },
	{ "segv", end_with_segv },
	{ "kill", end_with_kill },
};

static void usage(void)
{
	fputs("usage: host [OPTION...] PLUGIN.so...\n"
	      "  -t SECONDS     repeat the work for SECONDS of CPU time in each thread\n"
	      "  -n COUNT       threads (default 1; 0: work in the main thread)\n"
	      "  -r ROUNDS      rounds of each plugin in one pass (default 10)\n"
	      "  --close        dlclose the plugins before the end\n"
	      "  --delete       delete each plugin's file once it is open\n"
	      "  --in-turn      open, run and close one plugin after the other\n"
	      "  --fork         a child does the same work at the same time\n"
	      "  --exec         afterwards, exec the same command without --exec, --fork\n"
	      "  --linger       leave a thread working while the process ends\n"
	      "  --exit=HOW     return, exit, _exit, quick_exit, abort, segv or kill\n"
	      "  --status=N     exit status (default 0)\n",
	      stderr);
	exit(2);
}

static void parse_end(struct options *options, const char *name)
{
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		if (strcmp(name, ends[i].name) == 0) {
			options->end = ends[i].end;
			return;
		}
	}
	usage();
}

static void parse_options(struct options *options, int argc, char **argv)
{
	const struct option table[] = {
		{ "exit", required_argument, NULL, 'e' },
		{ "status", required_argument, NULL, 's' },
		{ "close", no_argument, &options->close, 1 },
		{ "delete", no_argument, &options->delete, 1 },
		{ "in-turn", no_argument, &options->in_turn, 1 },
		{ "fork", no_argument, &options->fork, 1 },
		{ "exec", no_argument, &options->exec, 1 },
		{ "linger", no_argument, &options->linger, 1 },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "t:n:r:", table, NULL)) != -1) {
		switch (c) {
		case 0: break;
		case 't': options->cpu_seconds = strtod(optarg, NULL); break;
		case 'n': options->thread_count = (unsigned)strtoul(optarg, NULL, 10); break;
		case 'r': options->round_count = strtoull(optarg, NULL, 10); break;
		case 's': options->status = (int)strtol(optarg, NULL, 10); break;
		case 'e': parse_end(options, optarg); break;
		default: usage();
		}
	}
	if (options->thread_count > THREAD_COUNT_MAX || optind == argc ||
	    argc - optind > PLUGIN_COUNT_MAX)
		usage();
}

int main(int argc, char **argv)
{
	static struct plugin plugins[PLUGIN_COUNT_MAX];
	struct options options = { .thread_count = 1, .round_count = 10 };
	size_t plugin_count = 0;
	pid_t child = -1;
	pthread_t lingerer;

	parse_options(&options, argc, argv);
	for (int i = optind; i < argc; i++)
		plugins[plugin_count++].path = argv[i];
	for (size_t i = 0; i < plugin_count && !options.in_turn; i++)
		plugin_open(&plugins[i], options.delete);
	if (options.fork && (child = fork()) < 0)
		die("fork", "failed");

	if (options.in_turn)
		run_in_turn(&options, plugins, plugin_count);
	else
		host_run(&options, plugins, plugin_count);

	if (child > 0)
		wait_for_child(child);
	for (size_t i = 0; i < plugin_count && options.close && !options.in_turn; i++)
		plugin_close(&plugins[i]);
	print_checksums(child == 0 ? "child " : "", plugins, plugin_count);
	fflush(stdout);	/* not every end does */
	if (options.linger && pthread_create(&lingerer, NULL, host_linger, NULL) != 0)
		die("pthread_create", "failed");
	if (options.exec)
		exec_again(argv);
	if (options.end)
		options.end(options.status);
	return options.status;
}
