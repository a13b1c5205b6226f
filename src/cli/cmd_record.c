#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/monotonic.h"
#include "cli/commands.h"
#include "cli/finish.h"
#include "cli/finish_sum.h"
#include "cli/launch.h"
#include "cli/message.h"
#include "cli/options.h"
#include "cli/output_name.h"
#include "cli/spool_folder.h"
#include "cli/stragglers.h"

struct record_options {
	struct settings settings;
	bool quiet, merge;
	bool cpu_alone, heap_alone;
};

#define SETTING_ROW(letter, name, setting)                                                     \
	{                                                                                      \
		letter, name, OPTION_SETTING, offsetof(struct record_options, settings),       \
			setting, NULL, NULL                                                    \
	}

static const struct option_row rows[] = {
	SETTING_ROW('F', "freq", "freq"),
	SETTING_ROW('o', "output", "file"),
	SETTING_ROW('d', "duration", "duration"),
	{ 0, "cpu", OPTION_FLAG, offsetof(struct record_options, cpu_alone), NULL, NULL,
		"sample CPU time alone" },
	{ 0, "heap", OPTION_FLAG, offsetof(struct record_options, heap_alone), NULL, NULL,
		"sample allocations alone" },
	SETTING_ROW(0, "heap-interval", "heap"),
	SETTING_ROW(0, "mmap", "mmap"),
	SETTING_ROW(0, "raw", "raw"),
	SETTING_ROW(0, "spool", "spool"),
	SETTING_ROW(0, "keep", "keep"),
	SETTING_ROW(0, "keep-limit", "keep-limit"),
	SETTING_ROW(0, "generations", "generations"),
	SETTING_ROW(0, "go-labels", "go-labels"),
	SETTING_ROW(0, "follow", "follow"),
	SETTING_ROW(0, "include", "include"),
	SETTING_ROW(0, "exclude", "exclude"),
	{ 0, "merge", OPTION_FLAG, offsetof(struct record_options, merge), NULL, NULL,
		"write one profile of all processes, not one for each" },
	{ 'q', "quiet", OPTION_FLAG, offsetof(struct record_options, quiet), NULL, NULL,
		"say nothing but errors" },
	SETTING_ROW('v', "verbose", "verbose"),
	{ .name = NULL },
};
#undef SETTING_ROW

static const struct command_line line = {
	.command = "record",
	.synopsis = "[--] PROGRAM [ARGUMENT...]",
	.purpose = "Run PROGRAM and write where it, and every library it loads, spent CPU time and "
		   "allocated memory.",
	.rows = rows,
	.stops_at_first_word = true,
};

static uint64_t random_session(void)
{
	uint64_t session = 0;

	if (getrandom(&session, sizeof(session), 0) != sizeof(session))
		session = (uint64_t)getpid() << 32 | 1;
	return session ? session : 1;
}

static uint64_t own_namespace(void)
{
	struct stat st;

	return stat("/proc/self/ns/pid", &st) == 0 ? st.st_ino : 0;
}

/* What the library in the program would refuse without a word (spool_writer.c). */
static bool check_spool_folder(const char *folder)
{
	struct stat st;

	if (mkdir(folder, 0700) < 0 && errno != EEXIST)
		message_errno(errno, "cannot make the spool folder %s (see --spool)", folder);
	else if (lstat(folder, &st) < 0)
		message_errno(errno, "cannot use the spool folder %s (see --spool)", folder);
	else if (!S_ISDIR(st.st_mode))
		message("the spool folder %s is %s (see --spool)", folder,
			S_ISLNK(st.st_mode) ? "a link: name what it leads to" : "no folder");
	else if (access(folder, W_OK | X_OK) < 0)
		message_errno(errno, "cannot write to the spool folder %s (see --spool)", folder);
	else if (st.st_uid != geteuid())
		message("the spool folder %s belongs to user %u: name one of your own with --spool",
			folder, st.st_uid);
	else if (st.st_mode & 022)
		message("others can write to the spool folder %s: chmod go-w %s, or see --spool",
			folder, folder);
	else
		return true;
	return false;
}

/* Fail now rather than after an hour of recording. */
static bool check_places(const struct settings *s)
{
	char *folder;
	int r = 0;

	/* A name with a % in its folder is only known then. */
	if (!strchr(s->file, '%') || !strchr(s->file, '/') ||
		strchr(s->file, '%') > strrchr(s->file, '/')) {
		r = output_name_check(s->file, &folder);
		if (r == -EISDIR)
			message("cannot write %s: it is a folder; name a file in it", s->file);
		else if (r)
			message_errno(r, "cannot write to folder %s", folder);
		free(folder);
	}
	return r == 0 && check_spool_folder(s->spool);
}

struct session {
	uint64_t id;
	bool running_too; /* also processes that are still alive */
	bool is_over; /* nothing is recorded any more: no spool is wanted again */
	struct finish_sum *sum; /* with --merge, of those that were written */
};

/* What was written is not wanted again. */
static bool spools_go(const struct session *session)
{
	return !session->running_too || session->is_over;
}

static bool is_of_session(const struct spool_header *h, const char *path, const void *context)
{
	const struct session *s = context;

	return h->session == s->id && (s->running_too || !spool_is_in_use(h, path));
}

/* By CPU time; where that is equal, as without any, by what was allocated. */
static int busiest_first(const void *a, const void *b)
{
	static const enum spool_counter measures[] = { SPOOL_COUNT_TICKS,
		SPOOL_COUNT_HEAP_SAMPLES };
	const struct spool_header *x = spool_reader_header(((const struct found_spool *)a)->reader);
	const struct spool_header *y = spool_reader_header(((const struct found_spool *)b)->reader);

	for (size_t i = 0; i < sizeof(measures) / sizeof(measures[0]); i++) {
		const uint64_t p = x->counters[measures[i]], q = y->counters[measures[i]];

		if (p != q)
			return p < q ? 1 : -1;
	}
	return (x->start_monotonic_ns > y->start_monotonic_ns) -
		(x->start_monotonic_ns < y->start_monotonic_ns);
}

/* The busiest process has the name as given, over an older file; another one whose name would
 * be the same gets its pid into it. */
static char *name_for(const struct record_options *o, const struct found_spool *found,
	const struct summary *summary)
{
	char *name = finish_name(found->reader, o->settings.file, true);
	char *unused;

	if (!summary->file)
		return name;
	unused = output_name_unused(name, spool_reader_header(found->reader)->pid);
	free(name);
	return unused;
}

static unsigned int flags_of(const struct record_options *o, bool is_first)
{
	return (o->settings.raw ? FINISH_RAW : 0u) |
		(o->settings.verbose ? FINISH_TELL_PLACES : 0u) |
		(is_first ? FINISH_REPLACE | FINISH_EVEN_EMPTY : 0u);
}

/* Is F wanted: every process that was sampled, and one that was not if there is no other? */
static bool is_wanted(const struct found_spool *f, bool is_first)
{
	return is_first || spool_has_samples(spool_reader_header(f->reader));
}

static bool write_each(const struct record_options *o, struct session *session,
	const found_spools *found, struct summary *summary)
{
	bool ok = true;

	for (size_t i = 0; i < found->count; i++) {
		const struct found_spool *f = &found->items[i];
		const bool is_first = i == 0 && !summary->file;
		bool written = true;

		if (is_wanted(f, is_first)) {
			char *name = name_for(o, f, summary);

			written = finish_spool(f->reader, name, flags_of(o, !summary->file),
					  summary) == 0;
			free(name);
		}
		if (!written)
			message("its samples are kept: plugprof recover -o NAME %s", f->path);
		else if (spools_go(session))
			unlink(f->path);
		ok &= written;
	}
	return ok;
}

static bool write_sum(const struct record_options *o, struct session *session,
	const found_spools *found, struct summary *summary)
{
	bool ok = true;
	char *name;

	if (!session->sum)
		session->sum = finish_sum_new();
	for (size_t i = 0; ok && i < found->count; i++)
		if (is_wanted(&found->items[i], i == 0 && !summary->file))
			ok = finish_sum_add(session->sum, found->items[i].reader,
				     flags_of(o, true), summary) == 0;
	if (ok && found->count) {
		name = summary->file ? xstrdup(summary->file) :
				       finish_name(found->items[0].reader, o->settings.file, true);
		ok = finish_sum_write(session->sum, name, flags_of(o, true), summary) == 0;
		free(name);
	}
	if (!ok)
		message("the samples are kept in %s: plugprof recover -o NAME %s/*.spool",
			o->settings.spool, o->settings.spool);
	for (size_t i = 0; ok && spools_go(session) && i < found->count; i++)
		unlink(found->items[i].path);
	return ok;
}

/* False: something failed and was said. */
static bool write_profiles(
	const struct record_options *o, struct session *session, struct summary *summary)
{
	found_spools found = { .count = 0 };
	bool ok;
	int r = spool_folder_list(o->settings.spool, is_of_session, session, &found);

	if (r) {
		message_errno(r, "cannot list %s", o->settings.spool);
		return false;
	}
	if (found.count)
		qsort(found.items, found.count, sizeof(*found.items), busiest_first);
	ok = (o->merge ? write_sum : write_each)(o, session, &found, summary);
	found_spools_free(&found);
	return ok;
}

static void say_what_was_written(const struct record_options *o, const struct summary *summary)
{
	if (o->quiet || !summary->file)
		return;
	if (o->settings.verbose) {
		summary_print_others(summary);
		summary_print_libraries(summary);
	}
	summary_print(summary);
}

static void say_nothing_came(const struct record_options *o, const char *program)
{
	if (o->settings.include[0] || o->settings.exclude[0])
		message("no program that ran is one to record: see --include and --exclude");
	else
		message("%s left no samples: a static or setuid program, one that cannot be "
			"preloaded, or one that sees another spool folder (a container)",
			program);
}

#define STRAGGLERS_LOOK_NS 200000000

/* The program has ended before DEADLINE_NS, and may have left a daemon: wait for that one to end,
 * too.  True: the time is up, and some still run. */
static bool wait_for_stragglers(const struct record_options *o, uint64_t deadline_ns)
{
	while (stragglers_are_there(o->settings.spool, o->settings.session)) {
		const uint64_t now_ns = monotonic_ns();

		if (now_ns >= deadline_ns)
			return true;
		if (!launch_pause(deadline_ns - now_ns < STRAGGLERS_LOOK_NS ?
					    deadline_ns - now_ns :
					    STRAGGLERS_LOOK_NS))
			return false;
	}
	return false;
}

static int run(const struct record_options *o, const char *program, char **argv)
{
	const uint64_t deadline_ns = monotonic_ns() + o->settings.duration_ns;
	struct session session = { .id = o->settings.session };
	struct summary summary = { .processes = 0 };
	struct launch launch = { .ended = false };
	char *agent = launch_find_agent();
	bool ok = true, written_early = false;
	uint32_t before;
	int r;

	if (!agent) {
		message("libplugprof.so not found beside plugprof; is the installation whole?");
		return EXIT_OWN_ERROR;
	}
	r = launch_start(&launch, program, argv, agent, &o->settings);
	free(agent);
	if (r) {
		message_errno(r, "cannot run %s", program);
		return EXIT_OWN_ERROR;
	}
	if (o->settings.duration_ns) {
		launch_wait(&launch, o->settings.duration_ns);
		if (launch.ended) {
			session.running_too = session.is_over =
				wait_for_stragglers(o, deadline_ns);
		} else {
			session.running_too = written_early = true;
			ok = write_profiles(o, &session, &summary);
			say_what_was_written(o, &summary);
			summary_free(&summary);
			summary = (struct summary){ .processes = 0 };
			finish_sum_free(session.sum);
			session.sum = NULL;
			session.running_too = false;
		}
	}
	launch_wait(&launch, 0);
	/* A process that ends while we write leaves its spool to us. */
	do {
		before = summary.processes;
		ok &= write_profiles(o, &session, &summary);
	} while (ok && summary.processes > before);
	if (!summary.file && ok && !written_early) {
		say_nothing_came(o, program);
		ok = false;
	}
	if (ok && !written_early)
		say_what_was_written(o, &summary);
	if (!o->quiet)
		stragglers_say(o->settings.spool, session.id);
	summary_free(&summary);
	finish_sum_free(session.sum);
	return ok ? launch_exit_status(&launch) : EXIT_OWN_ERROR;
}

/* With both options, as with none, both kinds. */
static bool choose_kinds(struct record_options *o)
{
	struct settings *s = &o->settings;

	if (o->heap_alone && s->heap_bytes == 0)
		s->heap_bytes = SETTINGS_HEAP_DEFAULT;
	if (o->cpu_alone || o->heap_alone) {
		s->cpu_off = !o->cpu_alone;
		if (!o->heap_alone)
			s->heap_bytes = 0;
	}
	if (!s->cpu_off || s->heap_bytes)
		return true;
	options_complain(&line, "neither CPU time nor allocations are to be sampled");
	return false;
}

/* Returns if it cannot be run. */
static int run_without(const char *program, char **argv)
{
	execv(program, argv);
	message_errno(errno, "cannot run %s", program);
	return EXIT_OWN_ERROR;
}

int cmd_record(int argc, char **argv)
{
	static struct record_options options;
	char why[SETTINGS_TEXT_MAX + 128];
	enum options_outcome outcome;
	char *program;
	int first, status;

	if (!settings_parse(&options.settings, getenv(SETTINGS_VARIABLE), why, sizeof(why))) {
		message("%s: %s", SETTINGS_VARIABLE, why);
		return EXIT_USAGE;
	}
	outcome = options_parse(&line, argc, argv, &options, &first);
	if (outcome != OPTIONS_GO_ON)
		return outcome == OPTIONS_DONE ? EXIT_OK : EXIT_USAGE;
	if (!argv[first]) {
		options_complain(&line, "needs a program to run");
		return EXIT_USAGE;
	}
	if (!choose_kinds(&options))
		return EXIT_USAGE;
	if (!options.settings.spool[0])
		settings_spool_folder(options.settings.spool);
	program = launch_find_program(argv[first]);
	if (!program) {
		message_errno(errno, "cannot run %s", argv[first]);
		return EXIT_OWN_ERROR;
	}
	options.settings.session = random_session();
	options.settings.recorder_pid = (uint32_t)getpid();
	options.settings.recorder_namespace = own_namespace();
	if (options.settings.off) {
		/* Where the command line is not ours to change. */
		if (!options.quiet)
			message("%s=off: %s runs as without plugprof", SETTINGS_VARIABLE, program);
		status = run_without(program, argv + first);
	} else if (launch_is_for_musl(program)) {
		message("%s is built for musl, and libplugprof.so for glibc: it runs without, and "
			"there is no profile",
			program);
		status = run_without(program, argv + first);
	} else {
		status = EXIT_OWN_ERROR;
		if (check_places(&options.settings)) {
			options.settings.recorder_folder =
				settings_folder_identity(options.settings.spool);
			status = run(&options, program, argv + first);
		}
	}
	free(program);
	return status;
}
