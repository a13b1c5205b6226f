#define _GNU_SOURCE
#include "agent_here.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/modules.h"
#include "agent/real.h"
#include "agent/threads.h"

static struct spool_writer spool;

void agent_here_start(void)
{
	const struct spool_identity identity = { .period_ns = 1000000 };
	char folder[] = "/tmp/agent_here.XXXXXX";
	char path[4096];
	struct module_map *map;

	real_start();
	if (!mkdtemp(folder) || spool_create(&spool, folder, &identity, path, sizeof(path)) != 0) {
		fprintf(stderr, "no spool in %s\n", folder);
		exit(2);
	}
	unlink(path);
	rmdir(folder);
	modules_start(&spool);
	map = modules_enter();
	for (uint32_t i = 0; i < map->count; i++)
		module_instance_at(map->spans[i].instance)->module->flags &=
			~(uint32_t)SPOOL_MODULE_AGENT;
	modules_leave(map);
	threads_set_own_stack(threads_main_stack());
}

spool_frame agent_here_frame(uint64_t pc)
{
	struct module_map *map = modules_enter();
	const struct module_span *span = module_map_find(map, pc);
	spool_frame frame = spool_frame_of(0, pc);

	if (span) {
		const struct module_instance *instance = module_instance_at(span->instance);

		frame = spool_frame_of(instance->module->id, pc - instance->bias);
	}
	modules_leave(map);
	return frame;
}
