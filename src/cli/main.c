#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "cli/commands.h"
#include "cli/configuration.h"
#include "cli/launch.h"
#include "cli/message.h"
#include "config.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *purpose; /* NULL: not for people */
} commands[] = {
	{ "record", cmd_record, "run a program and profile it" },
	{ "symbolize", cmd_symbolize, "give names to a profile or spool of addresses" },
	{ "merge", cmd_merge, "add up the profiles of several processes or runs" },
	{ "map", cmd_map, "make symbol maps of libraries, to name profiles with later" },
	{ "check", cmd_check, "tell what viewers and servers would find wrong in a profile" },
	{ "inspect", cmd_inspect, "tell how well each library's frames are named, and why" },
	{ "snapshot", cmd_snapshot, "write the heap of a running process" },
	{ "leaks", cmd_leaks, "tell who still holds memory, or holds more than before" },
	{ "plugins", cmd_plugins, "tell what each plugin costs, and what it left open" },
	{ "doctor", cmd_doctor, "tell why a library has no names or does not load" },
	{ "recover", cmd_recover, "write the profiles of processes that were killed" },
	{ "clean", cmd_clean, "remove old library files that recordings kept" },
	{ "finish", cmd_finish, NULL },
};

static void print_usage(FILE *to)
{
	char *agent = launch_find_agent();

	fputs("usage: plugprof COMMAND [options] ...\n\n", to);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (commands[i].purpose)
			fprintf(to, "  %-10s %s\n", commands[i].name, commands[i].purpose);
	fprintf(to,
		"\nplugprof COMMAND --help tells the options; without the wrapper:\n"
		"  LD_PRELOAD=%s PLUGPROF=freq=99 PROGRAM\n",
		agent ? agent : "libplugprof.so");
	free(agent);
}

int main(int argc, char **argv)
{
	/* Units of debug information come and go by the megabyte: what one has left the next takes,
	 * without the kernel in between. */
	mallopt(M_MMAP_THRESHOLD, 4 << 20);
	mallopt(M_TRIM_THRESHOLD, 64 << 20);
	if (argc < 2) {
		print_usage(stderr);
		return EXIT_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
		strcmp(argv[1], "help") == 0) {
		print_usage(stdout);
		return EXIT_OK;
	}
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
		puts("plugprof " VERSION);
		return EXIT_OK;
	}
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (strcmp(argv[1], commands[i].name) == 0) {
			/* What is not for people talks on the stderr of somebody else. */
			configuration_read(commands[i].purpose != NULL);
			return commands[i].run(argc - 1, argv + 1);
		}
	message("there is no command \"%s\"; try plugprof --help", argv[1]);
	return EXIT_USAGE;
}
