/* dex.text: what templates do most, joining what they print. */
#include <lauxlib.h>

#include "script/libs.h"

/* The joiner: upvalue 1 gives the text of a value that is neither text nor an integer. */
static int text_join(lua_State *L)
{
    int n = lua_gettop(L);
    luaL_checkstack(L, 2, "too much to join");
    for (int i = 1; i <= n; i++) {
        if (lua_type(L, i) == LUA_TSTRING || lua_isinteger(L, i))
            continue; /* lua_concat writes integers as they print */
        lua_pushvalue(L, lua_upvalueindex(1));
        lua_pushvalue(L, i);
        lua_call(L, 1, 1);
        lua_replace(L, i);
    }
    lua_concat(L, n);
    return 1;
}

/*
 * text.joiner(f) -> a function that joins its arguments to one text: text and integers as they are,
 * f(x) of anything else. f may not wait.
 */
static int text_joiner(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_settop(L, 1);
    lua_pushcclosure(L, text_join, 1);
    return 1;
}

int luaopen_dex_text(lua_State *L)
{
    static const luaL_Reg functions[] = { { "joiner", text_joiner }, { NULL, NULL } };
    luaL_newlib(L, functions);
    return 1;
}
