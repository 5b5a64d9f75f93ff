/* child.launch of dex.child: a program that outlives us if it must, and child.signal. */
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "io/child.h"
#include "script/lib_child.h"
#include "script/lua_err.h"
#include "script/task.h"
#include "script/vm.h"

#define LAUNCHED "dex.child.launched"

struct launched {
    struct child *child; /* NULL when it has ended */
    struct task *waiter;
    int status;
    pid_t pid;
};

static const char *const signals[] = { "TERM", "KILL", "INT", NULL };
static const int numbers[] = { SIGTERM, SIGKILL, SIGINT };

static void ended(void *arg, int status)
{
    struct launched *l = arg;
    l->status = status;
    child_free(l->child);
    l->child = NULL;
    if (l->waiter)
        task_resume(l->waiter);
}

static int launched_gc(lua_State *L)
{
    struct launched *l = luaL_checkudata(L, 1, LAUNCHED);
    child_free(l->child);
    l->child = NULL;
    return 0;
}

static void forget_waiter(void *arg)
{
    ((struct launched *)arg)->waiter = NULL;
}

static int waited(lua_State *L, int status, lua_KContext ctx)
{
    (void)status;
    (void)ctx;
    struct launched *l = luaL_checkudata(L, 1, LAUNCHED);
    l->waiter = NULL;
    if (l->child) {
        l->waiter = task_current(L);
        return task_wait(L, forget_waiter, l, waited, 0);
    }
    lua_pushinteger(L, l->status);
    return 1;
}

/* launched:wait() -> its status, negative when a signal has killed it. Waits. */
static int launched_wait(lua_State *L)
{
    struct launched *l = luaL_checkudata(L, 1, LAUNCHED);
    luaL_argcheck(L, !l->waiter, 1, "somebody waits for it already");
    task_current(L);
    return waited(L, LUA_OK, 0);
}

/* launched:kill(name): sends TERM, KILL or INT to its group. Nothing happens after its end. */
static int launched_kill(lua_State *L)
{
    struct launched *l = luaL_checkudata(L, 1, LAUNCHED);
    int number = numbers[luaL_checkoption(L, 2, NULL, signals)];
    if (l->child)
        child_kill(l->child, number);
    return 0;
}

/* launched:pid() -> its number */
static int launched_pid(lua_State *L)
{
    struct launched *l = luaL_checkudata(L, 1, LAUNCHED);
    lua_pushinteger(L, l->pid);
    return 1;
}

int lib_launch_start(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    const char *const *argv = lib_child_list(L, "argv");
    luaL_argcheck(L, argv && argv[0], 1, "argv");
    const char *const *env = lib_child_list(L, "env");
    lua_getfield(L, 1, "cwd");
    const char *cwd = luaL_optstring(L, -1, NULL);
    lua_getfield(L, 1, "output");
    const char *output = luaL_checkstring(L, -1);
    struct launched *l = lua_newuserdatauv(L, sizeof *l, 0);
    memset(l, 0, sizeof *l);
    luaL_setmetatable(L, LAUNCHED);
    int at = lua_gettop(L);
    struct err e = ERR_INIT;
    struct child_spec spec = { .argv = argv, .env = env, .cwd = cwd, .place = CHILD_SESSION };
    spec.stdio[0] = CHILD_NULL;
    int fd = open(output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    spec.stdio[1] = spec.stdio[2] = fd;
    if (fd < 0) {
        err_sys(&e, 110, "cannot write the output of a program");
        err_at(&e, output, 0);
    } else if (!lib_child_input(L, &spec.stdio[0])) {
        err_set(&e, CHILD_CODE, "cannot keep the input of %s: %s", argv[0], strerror(errno));
    } else {
        l->child = child_start(vm_loop(vm_from(L)), &spec, ended, l, &e);
    }
    if (spec.stdio[0] >= 0)
        close(spec.stdio[0]);
    if (fd >= 0)
        close(fd);
    if (!l->child)
        return lua_err_raise(L, &e);
    l->pid = child_pid(l->child);
    lua_pushvalue(L, at);
    return 1;
}

int lib_launch_signal(lua_State *L)
{
    lua_Integer pid = luaL_checkinteger(L, 1);
    luaL_argcheck(L, pid > 1 && pid <= INT_MAX, 1, "not a process"); /* 0 and -1 are many */
    int number = numbers[luaL_checkoption(L, 2, NULL, signals)];
    lua_pushboolean(L, kill((pid_t)pid, number) == 0);
    return 1;
}

void lib_launch_open(lua_State *L)
{
    static const luaL_Reg methods[] = { { "wait", launched_wait },
                                        { "kill", launched_kill },
                                        { "pid", launched_pid },
                                        { NULL, NULL } };
    luaL_newmetatable(L, LAUNCHED);
    lua_pushcfunction(L, launched_gc);
    lua_setfield(L, -2, "__gc");
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
}
