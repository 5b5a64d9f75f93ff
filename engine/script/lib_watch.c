/* dex.watch: waits until a file is touched (io/watch.h). */
#include <lauxlib.h>
#include <string.h>

#include "io/watch.h"
#include "script/libs.h"
#include "script/lua_err.h"
#include "script/task.h"
#include "script/vm.h"

#define WATCHER "dex.watch.watcher"

struct watcher {
    struct watch *watch; /* NULL when closed */
    struct task *waiter; /* or NULL */
    int touched;         /* since the last wait ended */
};

static void on_touch(void *arg)
{
    struct watcher *watcher = arg;
    watcher->touched = 1;
    if (watcher->waiter)
        task_resume(watcher->waiter);
}

static int start(lua_State *L, struct watch *(*watch)(struct loop *, const char *, watch_fn, void *,
                                                      struct err *))
{
    const char *path = luaL_checkstring(L, 1);
    struct watcher *watcher = lua_newuserdatauv(L, sizeof *watcher, 0);
    memset(watcher, 0, sizeof *watcher);
    luaL_setmetatable(L, WATCHER);
    struct err e = ERR_INIT;
    watcher->watch = watch(vm_loop(vm_from(L)), path, on_touch, watcher, &e);
    return watcher->watch ? 1 : lua_err_raise(L, &e);
}

/* watch.file(path) -> watcher. Raises 110 or 902 when it cannot be watched. Does not wait. */
static int watch_file(lua_State *L)
{
    return start(L, watch_new);
}

/*
 * watch.folder(path) -> watcher of what is made, written, moved or deleted directly in it. Raises
 * 110 or 902. Does not wait.
 */
static int folder(lua_State *L)
{
    return start(L, watch_folder);
}

static void forget_waiter(void *arg)
{
    ((struct watcher *)arg)->waiter = NULL;
}

static int waited(lua_State *L, int status, lua_KContext ctx)
{
    (void)status;
    (void)ctx;
    struct watcher *watcher = luaL_checkudata(L, 1, WATCHER);
    watcher->waiter = NULL;
    if (watcher->watch && !watcher->touched) {
        watcher->waiter = task_current(L);
        return task_wait(L, forget_waiter, watcher, waited, 0);
    }
    watcher->touched = 0;
    lua_pushboolean(L, watcher->watch != NULL);
    return 1;
}

/*
 * watcher:wait() -> true when the file was touched since the last call, false when the watcher is
 * closed. Waits for either.
 */
static int watcher_wait(lua_State *L)
{
    struct watcher *watcher = luaL_checkudata(L, 1, WATCHER);
    luaL_argcheck(L, !watcher->waiter, 1, "somebody waits for it already");
    task_current(L);
    return waited(L, LUA_OK, 0);
}

/* watcher:close(): who waits gets false. Harmless when done twice. */
static int watcher_close(lua_State *L)
{
    struct watcher *watcher = luaL_checkudata(L, 1, WATCHER);
    watch_free(watcher->watch);
    watcher->watch = NULL;
    if (watcher->waiter)
        task_resume(watcher->waiter);
    return 0;
}

static int watcher_gc(lua_State *L)
{
    struct watcher *watcher = luaL_checkudata(L, 1, WATCHER);
    watch_free(watcher->watch);
    watcher->watch = NULL;
    return 0;
}

static const luaL_Reg methods[] = {
    { "wait", watcher_wait },
    { "close", watcher_close },
    { NULL, NULL },
};

static const luaL_Reg functions[] = {
    { "file", watch_file },
    { "folder", folder },
    { NULL, NULL },
};

int luaopen_dex_watch(lua_State *L)
{
    luaL_newmetatable(L, WATCHER);
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, watcher_gc);
    lua_setfield(L, -2, "__gc");
    lua_pushcfunction(L, watcher_close);
    lua_setfield(L, -2, "__close");
    lua_pop(L, 1);
    luaL_newlib(L, functions);
    return 1;
}
