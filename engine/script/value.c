#include "script/value.h"

#include <lauxlib.h>

const char value_order = 0;

void value_new_dict(lua_State *L)
{
    luaL_checkstack(L, 3, "too many values");
    lua_createtable(L, 0, 4);
    lua_newtable(L);
    lua_rawsetp(L, -2, &value_order);
    luaL_setmetatable(L, VALUE_DICT);
}

void value_new_list(lua_State *L)
{
    luaL_checkstack(L, 3, "too many values");
    lua_newtable(L);
    luaL_setmetatable(L, VALUE_LIST);
}

void value_push_none(lua_State *L)
{
    lua_pushlightuserdata(L, NULL);
}

void value_set(lua_State *L, int dict)
{
    dict = lua_absindex(L, dict);
    luaL_checkstack(L, 3, "too many values");
    lua_pushvalue(L, -2);
    int fresh = lua_rawget(L, dict) == LUA_TNIL;
    lua_pop(L, 1);
    if (fresh) {
        lua_rawgetp(L, dict, &value_order);
        lua_pushvalue(L, -3);
        lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
        lua_pop(L, 1);
    }
    lua_rawset(L, dict);
}

int value_is_none(lua_State *L, int index)
{
    return lua_type(L, index) == LUA_TLIGHTUSERDATA && lua_touserdata(L, index) == NULL;
}
