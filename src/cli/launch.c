#define _GNU_SOURCE
#include "cli/launch.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/file.h"
#include "base/monotonic.h"
#include "base/path.h"
#include "base/xalloc.h"

#define LOADER_VARIABLE "LD_PRELOAD"

/* In the build tree, and as installed: beside bin/ or where configure was told. */
static const char *const places[] = { "/.libs/libplugprof.so", "/libplugprof.so",
	"/../lib/plugprof/libplugprof.so" };

char *launch_find_agent(void)
{
	char folder[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", folder, sizeof(folder) - 1);
	char *slash;

	folder[length > 0 ? length : 0] = '\0';
	slash = strrchr(folder, '/');
	if (slash)
		*slash = '\0';
	for (size_t i = 0; i <= ARRAY_SIZE(places); i++) {
		char *path = i < ARRAY_SIZE(places) ? xasprintf("%s%s", folder, places[i]) :
						      xstrdup(AGENT_FOLDER "/libplugprof.so");
		char *real = realpath(path, NULL);

		free(path);
		if (real)
			return real;
	}
	return NULL;
}

static bool can_be_run(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0 || access(path, X_OK) < 0)
		return false;
	if (!S_ISREG(st.st_mode)) {
		errno = S_ISDIR(st.st_mode) ? EISDIR : EACCES;
		return false;
	}
	return true;
}

char *launch_find_program(const char *program)
{
	const char *path = getenv("PATH");

	if (strchr(program, '/'))
		return can_be_run(program) ? xstrdup(program) : NULL;
	for (const char *at = path ? path : "/usr/local/bin:/usr/bin:/bin"; *at;) {
		size_t length = strcspn(at, ":");
		char *file = length ? xasprintf("%.*s/%s", (int)length, at, program) :
				      xasprintf("./%s", program);

		if (can_be_run(file))
			return file;
		free(file);
		at += length + (at[length] == ':');
	}
	errno = ENOENT;
	return NULL;
}

/* The path of the loader in a 64-bit ELF file (PT_INTERP); NULL: none. */
static const char *find_loader(const struct file_bytes *file)
{
	struct bytes all = bytes_over(file->data, file->size);
	const Elf64_Ehdr *header = bytes_take(&all, sizeof(*header));
	struct bytes table = bytes_over(file->data, file->size);

	if (!header || memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 ||
		header->e_ident[EI_CLASS] != ELFCLASS64 || !bytes_skip(&table, header->e_phoff))
		return NULL;
	for (unsigned int i = 0; i < header->e_phnum; i++) {
		struct bytes text = bytes_over(file->data, file->size);
		Elf64_Phdr part;
		const void *bytes = bytes_take(&table, sizeof(part));

		if (!bytes)
			return NULL;
		memcpy(&part, bytes, sizeof(part));
		if (part.p_type == PT_INTERP)
			return bytes_skip(&text, part.p_offset) ? bytes_string(&text) : NULL;
	}
	return NULL;
}

bool launch_is_for_musl(const char *program)
{
	struct file_bytes file;
	const char *loader;
	bool is_musl;

	if (file_map(program, &file) != 0)
		return false;
	loader = find_loader(&file);
	is_musl = loader && strncmp(path_base_name(loader), "ld-musl-", 8) == 0;
	file_unmap(&file);
	return is_musl;
}

static void prepare_environment(const char *agent, const struct settings *settings)
{
	const char *others = getenv(LOADER_VARIABLE);
	char *text = xmalloc(2 * sizeof(*settings));
	char *preload = others && *others ? xasprintf("%s:%s", agent, others) : xstrdup(agent);

	settings_format(settings, text, 2 * sizeof(*settings));
	setenv(LOADER_VARIABLE, preload, 1);
	setenv(SETTINGS_VARIABLE, text, 1);
	free(preload);
	free(text);
}

/* The signals that we wait for instead of dying of them. */
static void signals_of_ours(sigset_t *set)
{
	static const int numbers[] = {
		SIGCHLD, SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2};

	sigemptyset(set);
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		sigaddset(set, numbers[i]);
}

int launch_start(struct launch *l, const char *program, char **argv, const char *agent,
	const struct settings *settings)
{
	struct sigaction wait_for_children = { .sa_handler = SIG_DFL }, inherited;
	sigset_t ours, old;
	int report[2]; /* errno of an exec that failed */
	int error = 0;

	if (pipe2(report, O_CLOEXEC) < 0)
		return -errno;
	signals_of_ours(&ours);
	sigprocmask(SIG_BLOCK, &ours, &old);
	sigaction(SIGCHLD, &wait_for_children, &inherited);
	l->child = fork();
	if (l->child < 0)
		return -errno;
	if (l->child == 0) {
		sigaction(SIGCHLD, &inherited, NULL);
		sigprocmask(SIG_SETMASK, &old, NULL);
		prepare_environment(agent, settings);
		execv(program, argv);
		error = errno;
		if (write(report[1], &error, sizeof(error)) < 0)
			_exit(126);
		_exit(127);
	}
	close(report[1]);
	if (read(report[0], &error, sizeof(error)) == sizeof(error))
		waitpid(l->child, &l->status, 0);
	else
		error = 0;
	close(report[0]);
	return -error;
}

static struct timespec time_left(uint64_t deadline_ns)
{
	uint64_t now = monotonic_ns();
	uint64_t left = deadline_ns > now ? deadline_ns - now : 0;

	return (struct timespec){ .tv_sec = (time_t)(left / 1000000000),
		.tv_nsec = (long)(left % 1000000000) };
}

void launch_wait(struct launch *l, uint64_t timeout_ns)
{
	const uint64_t deadline_ns = timeout_ns ? monotonic_ns() + timeout_ns : 0;
	sigset_t ours;

	signals_of_ours(&ours);
	while (!l->ended) {
		struct timespec left = time_left(deadline_ns);
		siginfo_t info;
		int number = sigtimedwait(&ours, &info, deadline_ns ? &left : NULL);

		if (waitpid(l->child, &l->status, WNOHANG) == l->child)
			l->ended = true;
		else if (number < 0 && errno == EAGAIN)
			return;
		/* What the terminal sends, the child has got too. */
		else if (number > 0 && number != SIGCHLD && info.si_code <= 0)
			kill(l->child, number);
	}
}

bool launch_pause(uint64_t timeout_ns)
{
	const uint64_t deadline_ns = monotonic_ns() + timeout_ns;
	sigset_t ours;
	int number;

	signals_of_ours(&ours);
	do {
		struct timespec left = time_left(deadline_ns);

		number = sigtimedwait(&ours, NULL, &left);
	} while (number == SIGCHLD || (number < 0 && errno == EINTR));
	return number < 0;
}

int launch_exit_status(const struct launch *l)
{
	return WIFSIGNALED(l->status) ? 128 + WTERMSIG(l->status) : WEXITSTATUS(l->status);
}
