/* require "hosted": hosted.work(rounds). */
#include <lauxlib.h>

#include "kernel.h"

static int work(lua_State *state)
{
	const uint64_t rounds = (uint64_t)luaL_checkinteger(state, 1);

	lua_pushinteger(state, (lua_Integer)(hosted_work(rounds) >> 1));
	return 1;
}

int luaopen_hosted(lua_State *state)
{
	static const luaL_Reg functions[] = { { "work", work }, { NULL, NULL } };

	luaL_newlib(state, functions);
	return 1;
}
