#include "script/lua_buf.h"

#include <lauxlib.h>
#include <string.h>

#define TYPE "dex.buf"

static int buf_gc(lua_State *L)
{
    buf_fini(luaL_checkudata(L, 1, TYPE));
    return 0;
}

struct buf *lua_buf_push(lua_State *L)
{
    struct buf *b = lua_newuserdatauv(L, sizeof *b, 0);
    memset(b, 0, sizeof *b);
    if (luaL_newmetatable(L, TYPE)) {
        lua_pushcfunction(L, buf_gc);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    return b;
}

void lua_buf_finish(lua_State *L, int index)
{
    index = lua_absindex(L, index);
    struct buf *b = luaL_checkudata(L, index, TYPE);
    lua_pushlstring(L, b->data ? b->data : "", b->len);
    buf_fini(b);
    lua_replace(L, index);
}
