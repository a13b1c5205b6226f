/*
 * One command run again and again in turn with several environments, there and back (AB BA AB
 * ..., ABC CBA ...), so that what drifts hits all of them alike.
 *
 *     paired ROUNDS ENVIRONMENT... -- COMMAND [ARGUMENT]...
 *
 * ENVIRONMENT is "" or "NAME=VALUE;NAME=VALUE": added to an environment that holds nothing else.
 * A line per round: for each ENVIRONMENT in the order given, wall and CPU time in ns, children that
 * it waited for included.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "clocks.h"

#define ENVIRONMENTS_MAX 8
#define VARIABLES_MAX 16

struct cost {
	uint64_t wall_ns, cpu_ns;
};

static uint64_t timeval_ns(struct timeval t)
{
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_usec * 1000u;
}

static struct cost run(char **command, char **environment, posix_spawn_file_actions_t *files)
{
	const uint64_t start = clock_ns(CLOCK_MONOTONIC);
	struct rusage usage;
	int status;
	pid_t child;

	if (posix_spawn(&child, command[0], files, NULL, command, environment) != 0 ||
		wait4(child, &status, 0, &usage) != child || status != 0) {
		fprintf(stderr, "%s failed\n", command[0]);
		exit(1);
	}
	return (struct cost){
		.wall_ns = clock_ns(CLOCK_MONOTONIC) - start,
		.cpu_ns = timeval_ns(usage.ru_utime) + timeval_ns(usage.ru_stime),
	};
}

static void split(char *text, char **variables)
{
	size_t count = 0;

	for (char *one = strtok(text, ";"); one && count < VARIABLES_MAX; one = strtok(NULL, ";"))
		variables[count++] = one;
	variables[count] = NULL;
}

int main(int argc, char **argv)
{
	static char *environments[ENVIRONMENTS_MAX][VARIABLES_MAX + 1];
	struct cost costs[ENVIRONMENTS_MAX];
	posix_spawn_file_actions_t files;
	int count = 0, at = 2;
	long rounds;

	for (; at < argc && strcmp(argv[at], "--") != 0 && count < ENVIRONMENTS_MAX; at++)
		split(argv[at], environments[count++]);
	if (argc < 3 || at + 1 >= argc || count == 0)
		return 2;
	rounds = strtol(argv[1], NULL, 10);
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0);
	for (long round = -2; round < rounds; round++) {
		for (int i = 0; i < count; i++) {
			const int which = round & 1 ? count - 1 - i : i;

			costs[which] = run(&argv[at + 1], environments[which], &files);
		}
		if (round < 0)
			continue; /* to warm up */
		for (int i = 0; i < count; i++)
			printf("%lu %lu%c", costs[i].wall_ns, costs[i].cpu_ns,
				i + 1 < count ? ' ' : '\n');
	}
	return 0;
}
