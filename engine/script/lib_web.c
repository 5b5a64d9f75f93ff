/* dex.web: the files of a folder for a browser (io/web.h). */
#include <lauxlib.h>

#include "io/web.h"
#include "script/libs.h"
#include "script/lua_err.h"
#include "script/vm.h"

#define SERVER "dex.web.server"

static struct web **check(lua_State *L)
{
    return luaL_checkudata(L, 1, SERVER);
}

/* web.serve(dir, host, port) -> server, which answers while the loop runs. Raises code 110. */
static int web_serve(lua_State *L)
{
    const char *dir = luaL_checkstring(L, 1);
    const char *host = luaL_checkstring(L, 2);
    lua_Integer port = luaL_checkinteger(L, 3);
    luaL_argcheck(L, port >= 0 && port <= 65535, 3, "not a port");
    struct web **server = lua_newuserdatauv(L, sizeof *server, 0);
    *server = NULL;
    luaL_setmetatable(L, SERVER);
    struct err e = ERR_INIT;
    *server = web_new(vm_loop(vm_from(L)), dir, host, (int)port, &e);
    if (!*server)
        return lua_err_raise(L, &e);
    return 1;
}

/* server:port() */
static int server_port(lua_State *L)
{
    struct web **server = check(L);
    luaL_argcheck(L, *server, 1, "closed");
    lua_pushinteger(L, web_port(*server));
    return 1;
}

/* server:close() */
static int server_close(lua_State *L)
{
    struct web **server = check(L);
    web_free(*server);
    *server = NULL;
    return 0;
}

int luaopen_dex_web(lua_State *L)
{
    static const luaL_Reg methods[] = { { "port", server_port },
                                        { "close", server_close },
                                        { NULL, NULL } };
    static const luaL_Reg meta[] = { { "__gc", server_close },
                                     { "__close", server_close },
                                     { NULL, NULL } };
    static const luaL_Reg functions[] = { { "serve", web_serve }, { NULL, NULL } };
    luaL_newmetatable(L, SERVER);
    luaL_setfuncs(L, meta, 0);
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
    luaL_newlib(L, functions);
    return 1;
}
