/*
 * What is read from instructions against what the unwind tables say, in code that has both.
 *
 *     check_exits [--sample N] [--list N] LIBRARY...
 *
 * In every Nth function of the libraries, at the start of every row:
 * code_exit_find() and cfi_find_row() say where the return address is and where rbp was saved.
 * Compared is where both say it of the same register.
 *
 * Exit status 1 when less than 99.9 % of them agree, less than half of all rows are compared,
 * or there are none.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/code_exit.h"
#include "agent/modules.h"
#include "agent_here.h"

static struct {
	uint64_t sample, list;
} options = {1, 20 };

static struct {
	uint64_t functions, rows, found, compared, agreeing, listed;
} totals;

/* Where the program never returns from a call it does not go on behind the function. */
struct place {
	const struct module_span *span;
	uint64_t function_end;
};

static bool is_on_the_way(void *context, uint64_t address)
{
	const struct place *place = context;

	return address != place->function_end &&
	       address + INSTRUCTION_READS <= place->span->end;
}

/* Where rbp lies from the return address; 0: the caller's is in rbp itself.  What the function
 * has taken off the stack again is in rbp, whatever the table says. */
static int64_t saved_rbp(const struct cfi_row *row)
{
	const struct cfi_rule *rbp = &row->rules[CFI_RBP];

	if (rbp->kind != CFI_RULE_OFFSET ||
		(row->cfa_register == CFI_RSP && row->cfa.value + rbp->value < 0))
		return 0;
	return rbp->value + 8;
}

static void compare(const struct module_span *span, uint64_t pc, const struct cfi_machine *m)
{
	const struct cfi_row *row = &m->row;
	struct place place = {span, m->end + module_instance_at(span->instance)->bias };
	struct code_exit_way way = { .low = span->start,
		.high = span->end,
		.is_readable = is_on_the_way,
		.context = &place,
		.left = 4096 };
	struct code_exit exit = { .offset = 0 };

	totals.rows++;
	if (row->rules[CFI_RA].kind != CFI_RULE_OFFSET ||
		row->cfa.kind != CFI_RULE_VAL_OFFSET || !code_exit_find(&way, pc, &exit))
		return;
	totals.found++;
	if (exit.base == CODE_EXIT_SAVED ||
		row->cfa_register != (exit.base == CODE_EXIT_RSP ? CFI_RSP : CFI_RBP))
		return;
	totals.compared++;
	if (exit.offset == row->cfa.value - 8 &&
		(exit.restores_rbp ? exit.rbp_offset : 0) == saved_rbp(row)) {
		totals.agreeing++;
		return;
	}
	if (totals.listed++ < options.list) {
		Dl_info info = { .dli_fname = "?"};

		dladdr((void *)pc, &info);
		printf("%s!%s %#" PRIx64 ": %d and rbp at %d, not %d and %d\n", info.dli_fname,
			info.dli_sname ? info.dli_sname : "?", pc - (uint64_t)info.dli_fbase,
			exit.offset, exit.restores_rbp ? exit.rbp_offset : 0,
			row->cfa.value - 8, (int)saved_rbp(row));
	}
}

static void check_span(const struct module_span *span)
{
	static struct cfi_machine machine;
	const struct module_instance *instance = module_instance_at(span->instance);
	uint64_t pc = span->start;

	while (pc < span->end) {
		if (!cfi_find_row(&instance->module->unwind, pc - instance->bias, &machine)) {
			pc += 16 - pc % 16;
			continue;
		}
		if (pc - instance->bias == machine.start &&
			totals.functions++ % options.sample != 0) {
			pc = machine.end + instance->bias;
			continue;
		}
		compare(span, pc, &machine);
		pc = machine.row_end + instance->bias;
	}
}

int main(int argc, char **argv)
{
	const struct option table[] = {
		{"sample", required_argument, NULL, 's'},
		{"list", required_argument, NULL, 'l'},
		{NULL, 0, NULL, 0},
	};
	struct module_map *map;
	void *handles[64] = {NULL };
	int c;

	while ((c = getopt_long(argc, argv, "", table, NULL)) != -1)
		*(c == 's' ? &options.sample : &options.list) = strtoull(optarg, NULL, 10);
	for (int i = optind; i < argc && i - optind < 64; i++)
		if (!(handles[i - optind] = dlopen(argv[i], RTLD_LAZY)))
			fprintf(stderr, "check_exits: %s\n", dlerror());
	agent_here_start();
	map = modules_enter();
	/* glibc's handle is the link map. */
	for (int n = 0; n < 64 && handles[n]; n++)
		for (uint32_t i = 0; i < map->count; i++)
			if (module_instance_at(map->spans[i].instance)->link_map == handles[n])
				check_span(&map->spans[i]);
	modules_leave(map);
	printf("%" PRIu64 " rows in one of %" PRIu64 " of %" PRIu64 " functions, %" PRIu64
	       " with a way out, %" PRIu64 " of them compared, %" PRIu64 " agree: %.4f %%\n",
		totals.rows, options.sample, totals.functions, totals.found, totals.compared,
		totals.agreeing, 100.0 * (double)totals.agreeing / (double)totals.compared);
	return totals.compared < totals.rows / 2 || totals.compared == 0 ||
			       totals.agreeing < totals.compared / 1000 * 999
		       ? EXIT_FAILURE
		       : EXIT_SUCCESS;
}
