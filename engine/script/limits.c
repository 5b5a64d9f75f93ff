#include "script/limits.h"

#include <lauxlib.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/time.h>
#include <unistd.h>

#include "script/libs.h"
#include "script/task.h"
#include "script/vm.h"

/* The limit of a control group, version 2 or 1; 0 when the file is not there or says none. */
static size_t group_limit(const char *path)
{
    unsigned long long bytes = 0;
    FILE *f = fopen(path, "re");
    if (!f)
        return 0;
    if (fscanf(f, "%llu", &bytes) != 1 || bytes > SIZE_MAX)
        bytes = 0;
    fclose(f);
    return (size_t)bytes;
}

size_t limits_memory(void)
{
    static const char *const groups[] = { "/sys/fs/cgroup/memory.max",
                                          "/sys/fs/cgroup/memory/memory.limit_in_bytes" };
    long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    size_t least = pages > 0 && size > 0 ? (size_t)pages * (size_t)size : 0;
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
        size_t limit = group_limit(groups[i]);
        if (limit && (!least || limit < least))
            least = limit;
    }
    return least / 2;
}

/* limits.memory([bytes]) -> the limit before; 0 is none, a negative number is counted from now */
static int limits_lua_memory(lua_State *L)
{
    struct vm *vm = vm_from(L);
    lua_Integer wanted = luaL_optinteger(L, 1, 0);
    lua_pushinteger(L, (lua_Integer)vm->memory_limit);
    if (!lua_isnoneornil(L, 1))
        vm->memory_limit = wanted < 0 ? vm->memory + (size_t)-wanted : (size_t)wanted;
    return 1;
}

/* The VM whose seconds are counted: a signal handler has no other way to it. */
static struct vm *volatile counted;

/* Its address is the registry's key of the functions that are called every second. */
static const char listeners = 0;

/*
 * The hook of a thread that has used a second: the one that was there before, such as that of a
 * debugger, has its place again, then all listeners are called. They may raise.
 */
static void on_second(lua_State *L, lua_Debug *ar)
{
    (void)ar;
    struct task *t = task_of(L);
    const struct task_hook none = { NULL, 0, 0 }, before = t ? *task_hook_aside(t) : none;
    lua_sethook(L, before.fn, before.mask, before.count);
    luaL_checkstack(L, 4, NULL);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &listeners);
    for (lua_Integer i = 1; lua_rawgeti(L, -1, i) != LUA_TNIL; i++)
        lua_call(L, 0, 0);
    lua_settop(L, -3);
}

/*
 * lua_sethook is the one function of Lua's that may be called here, beside those that only read
 * what it has set.
 */
static void on_signal(int number)
{
    (void)number;
    struct vm *vm = counted;
    if (!vm || !vm->running)
        return;
    lua_State *L = task_lua(vm->running);
    if (lua_gethook(L) == on_second) /* it has run nothing of Lua's since the last time */
        return;
    *task_hook_aside(vm->running) =
        (struct task_hook){ lua_gethook(L), lua_gethookmask(L), lua_gethookcount(L) };
    lua_sethook(L, on_second, LUA_MASKCOUNT, 1);
}

static int start_timer(void)
{
    const struct itimerval second = { { 1, 0 }, { 1, 0 } };
    return setitimer(ITIMER_VIRTUAL, &second, NULL);
}

static void start_clock(lua_State *L)
{
    struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
    sigemptyset(&action.sa_mask);
    counted = vm_from(L);
    if (sigaction(SIGVTALRM, &action, NULL) < 0 || start_timer() < 0)
        luaL_error(L, "no timer for the limits of scripts");
}

void limits_go_on(const struct vm *vm)
{
    if (counted == vm)
        start_timer(); /* it was valid in the process that this is a copy of */
}

void limits_forget(const struct vm *vm)
{
    if (counted != vm)
        return;
    const struct itimerval never = { { 0, 0 }, { 0, 0 } };
    setitimer(ITIMER_VIRTUAL, &never, NULL);
    counted = NULL;
}

/*
 * limits.each_second(f): f() is called from now on for each second of processor time, in the task
 * that is running then and as soon as that is between two of Lua's instructions. A hook of that
 * coroutine is still there then, and f may set another. f may raise, and may not wait.
 */
static int limits_each_second(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &listeners) != LUA_TTABLE) {
        lua_newtable(L);
        lua_pushvalue(L, -1);
        lua_rawsetp(L, LUA_REGISTRYINDEX, &listeners);
        start_clock(L);
    }
    lua_pushvalue(L, 1);
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
    return 0;
}

int luaopen_dex_limits(lua_State *L)
{
    static const luaL_Reg functions[] = { { "each_second", limits_each_second },
                                          { "memory", limits_lua_memory },
                                          { NULL, NULL } };
    luaL_newlib(L, functions);
    return 1;
}
