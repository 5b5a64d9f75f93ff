/*
 * The program's beginning and its end: the only file that exits. Everything between is
 * lua/pipeline.lua, run as the main task.
 */
#include <fcntl.h>
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/version.h"
#include "front/modules.h"
#include "io/loop.h"
#include "io/signals.h"
#include "run/modules.h"
#include "script/lua_err.h"
#include "script/signal_hook.h"
#include "script/task.h"
#include "script/vm.h"

enum { STATUS_USAGE = 2, STATUS_SIGNAL = 128, CODE_READ = 110 };

struct app {
    struct loop *loop;
    struct vm *vm;
    struct task *task;
    char **argv;
    int status;
    int killed; /* the signal that ended it, when nobody in Lua wanted to hear of it */
};

/* One line, as report/errors.lua would begin; the pipeline reports nearly everything itself. */
static void print_error(const struct err *e)
{
    if (e->file && e->line > 0)
        fprintf(stderr, "dex-lua: %s:%d: %s\n", e->file, e->line, e->message);
    else if (e->file)
        fprintf(stderr, "dex-lua: %s: %s\n", e->file, e->message);
    else
        fprintf(stderr, "dex-lua: %s\n", e->message);
}

static int give_status(lua_State *L, int status, lua_KContext ctx)
{
    (void)L;
    (void)status;
    (void)ctx;
    return 1;
}

/* The task's function: require("pipeline").main(argv) -> status */
static int call_pipeline(lua_State *L)
{
    lua_getglobal(L, "require");
    lua_pushliteral(L, "pipeline");
    lua_call(L, 1, 1);
    lua_getfield(L, -1, "main");
    lua_pushvalue(L, 1);
    lua_callk(L, 1, 1, 0, give_status);
    return give_status(L, LUA_OK, 0);
}

static void ended(struct task *t, int ok, void *arg)
{
    struct app *app = arg;
    lua_State *L = task_lua(t);
    app->status = STATUS_USAGE;
    if (ok) {
        app->status = (int)lua_tointeger(L, 1);
    } else if (!app->killed) {
        struct err e = ERR_INIT;
        lua_err_take(L, 1, &e);
        print_error(&e);
        err_fini(&e);
    }
    loop_stop(app->loop);
}

static void run(struct vm *vm, void *arg)
{
    struct app *app = arg;
    struct err e = ERR_INIT;
    vm_preload(vm, "dex.editor", luaopen_dex_editor);
    vm_preload(vm, "dex.graph", luaopen_dex_graph);
    vm_preload(vm, "dex.run", luaopen_dex_run);
    app->task = task_new(vm, "main");
    lua_State *L = task_lua(app->task);
    lua_pushcfunction(L, call_pipeline);
    lua_newtable(L);
    for (int i = 1; app->argv[0] && app->argv[i]; i++) {
        lua_pushstring(L, app->argv[i]);
        lua_rawseti(L, -2, i);
    }
    task_call(app->task, 1, ended, app);
    if (loop_run(app->loop, &e) < 0) {
        app->status = STATUS_USAGE;
        print_error(&e);
        err_fini(&e);
    }
    task_free(app->task);
    app->task = NULL;
}

/* The second signal never comes here: it ends the process. */
static void on_signal(void *arg, int number)
{
    struct app *app = arg;
    if (signal_hook_call(app->vm, signals_name(number)))
        return;
    app->killed = number;
    task_cancel(app->task);
}

/*
 * Set in builds that look for leaks; a release lets the system take everything back, which is
 * faster.
 */
#if defined(DEX_FREE_AT_EXIT) || defined(__SANITIZE_ADDRESS__)
enum { FREE_AT_EXIT = 1 };
#else
enum { FREE_AT_EXIT = 0 };
#endif

/* A wrong DEX_LUA would otherwise be a module that is not found. */
static int check_override(const char *dir, struct err *e)
{
    if (!dir)
        return 0;
    char *file = mem_printf("%s/lua/pipeline.lua", dir);
    int status = access(file, R_OK);
    if (status < 0) {
        err_sys(e, CODE_READ, "cannot read this file, which DEX_LUA asks for");
        err_at(e, file, 0);
    }
    mem_free(file);
    return status;
}

static int start(char **argv)
{
    struct app app = { .argv = argv, .status = STATUS_USAGE };
    struct err e = ERR_INIT;
    struct signals *signals = NULL;
    app.loop = loop_new(&e);
    if (!app.loop)
        goto fail;
    signals = signals_new(app.loop, on_signal, &app, &e);
    if (!signals)
        goto fail;
    if (check_override(vm_override(), &e) < 0)
        goto fail;
    app.vm = vm_new(app.loop, vm_override(), &e);
    if (!app.vm || vm_protect(app.vm, run, &app, &e) < 0)
        goto fail;
    goto out;
fail:
    app.status = STATUS_USAGE;
    print_error(&e);
    err_fini(&e);
out:
    if (FREE_AT_EXIT) {
        vm_free(app.vm);
        signals_free(signals);
        loop_free(app.loop);
    }
    return app.killed ? STATUS_SIGNAL + app.killed : app.status;
}

/* What could not be written is no success. */
static int flushed(int status)
{
    if (fflush(stdout) == 0)
        return status;
    perror("dex-lua: cannot write to standard output");
    return status ? status : STATUS_USAGE;
}

/* A standard stream that is closed would be the next file's number, and its text go there. */
static void open_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
            exit(STATUS_USAGE);
}

int main(int argc, char **argv)
{
    open_streams();
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        puts("dex-lua " DEX_VERSION);
        return flushed(0);
    }
    const char *log = getenv("DEX_LOG");
    if (log && *log)
        log_set_level(strcmp(log, "warn") == 0 ? LOG_WARN : LOG_DEBUG);
    exit(flushed(start(argv)));
}
