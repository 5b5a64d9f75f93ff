/*
 * luatest FILE.lua [ARGUMENT...]: runs a Lua file as the main task of a VM like dex-lua's own, for
 * tests. The file gets the arguments, and `require` finds modules beside it. Its status: 1 after an
 * error, which is printed with its traceback; what the file returns if that is an integer; with
 * tests/lua/tap.lua loaded, what tap.finish gives; else 0. There is one module more,
 * count_instructions.
 */
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "io/loop.h"
#include "io/signals.h"
#include "run/modules.h"
#include "script/signal_hook.h"
#include "script/task.h"
#include "script/vm.h"

struct app {
    struct loop *loop;
    struct vm *vm;
    struct task *task;
    int argc;
    char **argv;
    int status;
    struct err error;
};

/* Pushes tap.finish, or nil when the file did not use it. */
static void push_finish(lua_State *L)
{
    lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    if (lua_getfield(L, -1, "tap") == LUA_TTABLE)
        lua_getfield(L, -1, "finish");
    else
        lua_pushnil(L);
    lua_copy(L, -1, -3);
    lua_settop(L, -3);
}

static int after(lua_State *L, int status, lua_KContext ctx)
{
    (void)status;
    (void)ctx;
    push_finish(L);
    if (!lua_isnil(L, -1))
        lua_call(L, 0, 1);
    else
        lua_pop(L, 1);
    return 1;
}

/* The task: loads the file and calls it with the arguments. */
static int run_file(lua_State *L)
{
    const char *path = lua_tostring(L, 1);
    if (luaL_loadfilex(L, path, "t") != LUA_OK)
        return lua_error(L);
    lua_replace(L, 1);
    lua_callk(L, lua_gettop(L) - 1, 1, 0, after);
    return after(L, LUA_OK, 0);
}

/* Instructions of Lua's virtual machine. */
static lua_Integer instructions;

static void on_instruction(lua_State *L, lua_Debug *ar)
{
    (void)L;
    (void)ar;
    instructions++;
}

/*
 * count() begins to count the instructions of this task, and of all that begin from now on;
 * count(true) ends that for those that begin later, and gives how many there were.
 */
static int count(lua_State *L)
{
    int on = !lua_toboolean(L, 1);
    lua_State *all[] = { L, vm_from(L)->L }; /* new coroutines have the hook of the second */
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        lua_sethook(all[i], on ? on_instruction : NULL, on ? LUA_MASKCOUNT : 0, on);
    lua_pushinteger(L, instructions);
    instructions = 0;
    return 1;
}

static int open_instructions(lua_State *L)
{
    lua_pushcfunction(L, count);
    return 1;
}

static void print_error(lua_State *L)
{
    if (!lua_istable(L, 1)) {
        fprintf(stderr, "luatest: %s\n", luaL_tolstring(L, 1, NULL));
        return;
    }
    static const char *const fields[] = { "message", "code", "file", "line", "hint", "traceback" };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        lua_pushstring(L, fields[i]);
        if (lua_rawget(L, 1) != LUA_TNIL)
            fprintf(stderr, "%s: %s\n", fields[i], luaL_tolstring(L, -1, NULL));
    }
}

static void ended(struct task *t, int ok, void *arg)
{
    struct app *app = arg;
    lua_State *L = task_lua(t);
    if (!ok)
        print_error(L);
    app->status = !ok ? 1 : lua_isinteger(L, 1) ? (int)lua_tointeger(L, 1) : 0;
    loop_stop(app->loop);
}

static void start(struct vm *vm, void *arg)
{
    struct app *app = arg;
    vm_preload(vm, "dex.graph", luaopen_dex_graph);
    vm_preload(vm, "dex.run", luaopen_dex_run);
    vm_preload(vm, "count_instructions", open_instructions);
    const char *slash = strrchr(app->argv[1], '/');
    char *dir = slash ? mem_strndup(app->argv[1], (size_t)(slash - app->argv[1])) : mem_strdup(".");
    vm_add_module_dir(vm, dir);
    mem_free(dir);
    app->task = task_new(vm, "main");
    lua_State *L = task_lua(app->task);
    luaL_checkstack(L, app->argc, "too many arguments");
    lua_pushcfunction(L, run_file);
    for (int i = 1; i < app->argc; i++)
        lua_pushstring(L, app->argv[i]);
    task_call(app->task, app->argc - 1, ended, app);
    if (loop_run(app->loop, &app->error) < 0)
        app->status = 1;
    task_free(app->task);
}

static void on_signal(void *arg, int number)
{
    struct app *app = arg;
    if (!signal_hook_call(app->vm, signals_name(number)))
        task_cancel(app->task);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fputs("usage: luatest FILE.lua [ARGUMENT...]\n", stderr);
        return 2;
    }
    struct app app = { .argc = argc, .argv = argv, .status = 1, .error = ERR_INIT };
    struct signals *signals = NULL;
    app.loop = loop_new(&app.error);
    if (app.loop)
        signals = signals_new(app.loop, on_signal, &app, &app.error);
    if (signals)
        app.vm = vm_new(app.loop, vm_override(), &app.error);
    if (!app.vm || vm_protect(app.vm, start, &app, &app.error) < 0)
        app.status = 1;
    if (app.error.message)
        fprintf(stderr, "luatest: %s\n", app.error.message);
    err_fini(&app.error);
    vm_free(app.vm);
    signals_free(signals);
    loop_free(app.loop);
    return app.status;
}
