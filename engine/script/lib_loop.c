/* dex.loop: waiting for time, and tasks that run beside the caller. */
#include <lauxlib.h>
#include <string.h>

#include "base/list.h"
#include "script/libs.h"
#include "script/lua_err.h"
#include "script/task.h"
#include "script/vm.h"

#define HANDLE "dex.loop.handle"

static void timer_fired(void *arg)
{
    task_resume(arg);
}

static void stop_timer(void *arg)
{
    loop_timer_stop(arg);
}

static int slept(lua_State *L, int status, lua_KContext ctx)
{
    (void)L;
    (void)status;
    (void)ctx;
    return 0;
}

/* loop.sleep(seconds): waits. Other tasks run meanwhile, even for 0. */
static int loop_sleep(lua_State *L)
{
    double seconds = luaL_checknumber(L, 1);
    struct task *t = task_current(L);
    struct loop_timer *timer = lua_newuserdatauv(L, sizeof *timer, 0); /* lives on this stack */
    loop_timer_init(timer, vm_loop(vm_from(L)), timer_fired, t);
    loop_timer_start(timer, seconds);
    return task_wait(L, stop_timer, timer, slept, 0);
}

/* Kept in the registry, under its address, until its task has ended. User value 1: the results. */
struct handle {
    struct vm *vm;
    struct task *task; /* NULL when it has ended */
    int ok;
    struct list waiters;
};

/* One who waits for a handle; a userdata on the waiting stack, where the handle is too. */
struct waiter {
    struct list node;
    struct task *task;
};

/* Stores the results, or the error, in a table of the handle, and wakes who waits. */
static void spawned_end(struct task *t, int ok, void *arg)
{
    struct handle *handle = arg;
    lua_State *L = task_lua(t);
    int n = lua_gettop(L);
    handle->ok = ok;
    handle->task = NULL;
    luaL_checkstack(L, 4, "too many results");
    lua_createtable(L, n, 1);
    lua_insert(L, 1);
    for (int i = n; i > 0; i--)
        lua_rawseti(L, 1, i);
    lua_pushinteger(L, n);
    lua_setfield(L, 1, "n");
    lua_rawgetp(L, LUA_REGISTRYINDEX, handle);
    lua_insert(L, 1);
    lua_setiuservalue(L, 1, 1);
    lua_pushnil(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, handle);
    list_each (it, &handle->waiters) {
        struct waiter *waiter = list_entry(it, struct waiter, node);
        list_remove(it);
        task_resume(waiter->task);
    }
    task_free(t);
}

/*
 * loop.spawn(fn, ...) -> handle. The function runs as a task of its own, from the next turn of the
 * loop on.
 */
static int loop_spawn(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    int nargs = lua_gettop(L) - 1;
    struct handle *handle = lua_newuserdatauv(L, sizeof *handle, 1);
    memset(handle, 0, sizeof *handle);
    handle->vm = vm_from(L);
    list_init(&handle->waiters);
    luaL_setmetatable(L, HANDLE);
    lua_insert(L, 1);
    lua_pushvalue(L, 1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, handle);
    handle->task = task_new(handle->vm, "spawn");
    lua_State *co = task_lua(handle->task);
    luaL_checkstack(co, nargs + 1, "too many arguments");
    lua_xmove(L, co, nargs + 1);
    task_call(handle->task, nargs, spawned_end, handle);
    return 1;
}

static int push_results(lua_State *L, struct handle *handle)
{
    lua_getiuservalue(L, 1, 1);
    int results = lua_gettop(L);
    lua_getfield(L, results, "n");
    int n = (int)lua_tointeger(L, -1);
    luaL_checkstack(L, n, "too many results");
    for (int i = 1; i <= n; i++)
        lua_rawgeti(L, results, i);
    return handle->ok ? n : lua_error(L);
}

static int waited(lua_State *L, int status, lua_KContext ctx)
{
    (void)status;
    (void)ctx;
    return push_results(L, luaL_checkudata(L, 1, HANDLE));
}

static void leave(void *arg)
{
    struct waiter *waiter = arg;
    list_remove(&waiter->node);
}

/*
 * handle:wait() -> what the function gave, or raises what it raised. Waits. May be called by
 * several tasks.
 */
static int handle_wait(lua_State *L)
{
    struct handle *handle = luaL_checkudata(L, 1, HANDLE);
    if (!handle->task)
        return push_results(L, handle);
    struct task *t = task_current(L);
    if (handle->task == t)
        return lua_err_misuse(L, TASK_NO_WAIT, "a task cannot wait for its own end");
    struct waiter *waiter = lua_newuserdatauv(L, sizeof *waiter, 0);
    waiter->task = t;
    list_init(&waiter->node);
    list_append(&handle->waiters, &waiter->node);
    return task_wait(L, leave, waiter, waited, 0);
}

/*
 * handle:cancel(): raises error 907 where the function waits, or at its next wait. Does not wait.
 */
static int handle_cancel(lua_State *L)
{
    struct handle *handle = luaL_checkudata(L, 1, HANDLE);
    if (handle->task)
        task_cancel(handle->task);
    return 0;
}

/* handle:done() -> whether it has ended */
static int handle_done(lua_State *L)
{
    struct handle *handle = luaL_checkudata(L, 1, HANDLE);
    lua_pushboolean(L, handle->task == NULL);
    return 1;
}

static const luaL_Reg methods[] = {
    { "wait", handle_wait },
    { "cancel", handle_cancel },
    { "done", handle_done },
    { NULL, NULL },
};

static const luaL_Reg functions[] = {
    { "sleep", loop_sleep },
    { "spawn", loop_spawn },
    { NULL, NULL },
};

int luaopen_dex_loop(lua_State *L)
{
    luaL_newmetatable(L, HANDLE);
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
    luaL_newlib(L, functions);
    return 1;
}
