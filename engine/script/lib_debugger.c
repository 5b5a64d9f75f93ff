/*
 * dex.debugger: what Lua's own debug library cannot do for lua/repl: a line hook that stops a
 * task's coroutine while everything else goes on. A coroutine that is not watched has no hook.
 */
#include <lauxlib.h>
#include <string.h>

#include "script/libs.h"
#include "script/task.h"

/* Its address is the key in the registry of: thread -> function. */
static const char key = 0;

/* How many functions stand on a stack. Lua has no counter, and walks the stack to each level. */
static int depth_of(lua_State *L)
{
    lua_Debug ar;
    int low = 0, high = 1;
    if (!lua_getstack(L, 0, &ar))
        return 0;
    while (lua_getstack(L, high, &ar)) {
        low = high;
        high *= 2;
    }
    while (low + 1 < high) {
        int middle = (low + high) / 2;
        if (lua_getstack(L, middle, &ar))
            low = middle;
        else
            high = middle;
    }
    return high;
}

/* Calls the thread's function, unless the line is one of the engine's own. */
static void on_line(lua_State *L, lua_Debug *ar)
{
    lua_getinfo(L, "S", ar);
    if (strncmp(ar->source, "@lua/", 5) == 0 || !lua_isyieldable(L) || !lua_checkstack(L, 8))
        return;
    lua_rawgetp(L, LUA_REGISTRYINDEX, &key);
    lua_pushthread(L);
    lua_rawget(L, -2);
    lua_remove(L, -2);
    int stop = 0;
    if (lua_isfunction(L, -1)) {
        lua_pushinteger(L, depth_of(L) - 1);
        lua_call(L, 1, 1);
        stop = lua_toboolean(L, -1);
    }
    lua_pop(L, 1);
    if (stop)
        task_pause(L);
}

static lua_State *check_thread(lua_State *L)
{
    lua_State *co = lua_tothread(L, 1);
    luaL_argexpected(L, co, 1, "coroutine");
    return co;
}

/*
 * watch(co, fn): calls fn(depth) at each new line of `co` that is none of the engine's, with the
 * number of functions below; what it gives says whether to stop there. It may neither raise nor
 * wait. nil ends it. Whatever debug.sethook has set for the coroutine is gone.
 */
static int debugger_watch(lua_State *L)
{
    lua_State *co = check_thread(L);
    lua_settop(L, 2);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &key);
    lua_insert(L, 1);
    int on = !lua_isnil(L, 3);
    lua_rawset(L, 1);
    if (on)
        lua_sethook(co, on_line, LUA_MASKLINE, 0);
    else
        lua_sethook(co, NULL, 0, 0);
    return 0;
}

/* resume(co): a coroutine that was stopped at a line goes on; one that was not stays as it is */
static int debugger_resume(lua_State *L)
{
    struct task *t = task_of(check_thread(L));
    if (t)
        task_unpause(t);
    return 0;
}

/* depth(co) -> the number of functions on its stack */
static int debugger_depth(lua_State *L)
{
    lua_pushinteger(L, depth_of(check_thread(L)));
    return 1;
}

/* is_task(co) -> whether it is a task's, and so can be stopped */
static int debugger_is_task(lua_State *L)
{
    lua_pushboolean(L, task_of(check_thread(L)) != NULL);
    return 1;
}

int luaopen_dex_debugger(lua_State *L)
{
    static const luaL_Reg functions[] = { { "watch", debugger_watch },
                                          { "resume", debugger_resume },
                                          { "depth", debugger_depth },
                                          { "is_task", debugger_is_task },
                                          { NULL, NULL } };
    lua_createtable(L, 0, 1);
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "k");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &key);
    luaL_newlib(L, functions);
    return 1;
}
