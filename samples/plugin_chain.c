/*
 * A plugin that opens another one, which only its own RUNPATH ($ORIGIN/deps)
 * can find.  Units of work a round:
 *
 *     plugin_run > chain_link			1
 *                > chain_dep_run > chain_dep_grind	2, in deps/libchain_dep.so
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "plugin.h"
#include "work.h"

const char plugin_name[] = "chain";

static pthread_once_t dep_once = PTHREAD_ONCE_INIT;
static void *dep_handle;
static uint64_t (*dep_run)(uint64_t value);

static void dep_open(void)
{
	dep_handle = dlopen("libchain_dep.so", RTLD_NOW | RTLD_LOCAL);
	if (dep_handle)
		dep_run = (uint64_t (*)(uint64_t))dlsym(dep_handle, "chain_dep_run");
	if (!dep_run) {
		fprintf(stderr, "plugin_chain: %s\n", dlerror());
		exit(2);
	}
}

/* So that the host's dlclose unloads both. */
__attribute__((destructor)) static void dep_close(void)
{
	if (dep_handle)
		dlclose(dep_handle);
}

static KEPT uint64_t chain_link(uint64_t value)
{
	return WORK(value);
}

uint64_t plugin_run(uint64_t round_count)
{
	uint64_t sum = 0;

	pthread_once(&dep_once, dep_open);
	for (uint64_t i = 0; i < round_count; i++)
		sum += dep_run(chain_link(i));
	return sum;
}
