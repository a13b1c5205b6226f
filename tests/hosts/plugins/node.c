/* require("./hosted.node"): hosted.work(rounds). */
#include <node_api.h>

#include "kernel.h"

static napi_value work(napi_env env, napi_callback_info info)
{
	napi_value argument, result = NULL;
	size_t count = 1;
	int64_t rounds = 0;

	napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
	napi_get_value_int64(env, argument, &rounds);
	napi_create_int64(env, (int64_t)(hosted_work((uint64_t)rounds) >> 12), &result);
	return result;
}

NAPI_MODULE_INIT()
{
	napi_value function;

	napi_create_function(env, "work", NAPI_AUTO_LENGTH, work, NULL, &function);
	napi_set_named_property(env, exports, "work", function);
	return exports;
}
