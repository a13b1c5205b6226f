/*
 * The command HOSTED.WORK rounds.  Of the module's interface it needs so little that it is declared
 * here: a context begins with the function that looks the others up (redismodule.h, from Redis 4).
 */
#include "kernel.h"

struct context {
	int (*get_function)(const char *name, void *function);
};

static int (*create_command)(struct context *, const char *, void *, const char *, int, int, int);
static int (*reply_integer)(struct context *, long long);
static int (*to_integer)(const void *, long long *);

static int work(struct context *context, void **arguments, int count)
{
	long long rounds = 0;

	if (count > 1)
		to_integer(arguments[1], &rounds);
	return reply_integer(context, (long long)(hosted_work((uint64_t)rounds) >> 1));
}

int RedisModule_OnLoad(struct context *context, void **arguments, int count)
{
	int (*set_attributes)(struct context *, const char *, int, int);

	(void)arguments, (void)count;
	context->get_function("RedisModule_SetModuleAttribs", &set_attributes);
	context->get_function("RedisModule_CreateCommand", &create_command);
	context->get_function("RedisModule_ReplyWithLongLong", &reply_integer);
	context->get_function("RedisModule_StringToLongLong", &to_integer);
	set_attributes(context, "hosted", 1, 1);
	return create_command(context, "hosted.work", (void *)work, "readonly", 0, 0, 0);
}
