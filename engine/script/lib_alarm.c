/* dex.alarm: waits for a time of the wall clock (io/alarm.h). */
#include <lauxlib.h>
#include <string.h>

#include "io/alarm.h"
#include "script/libs.h"
#include "script/lua_err.h"
#include "script/task.h"
#include "script/vm.h"

#define ALARM "dex.alarm"

enum why { NOTHING, TIME, CLOCK, RUNG, CLOSED };

static const char *const words[] = { "", "time", "clock", "rung", "closed" };

struct waiting {
    struct alarm *alarm; /* NULL when closed */
    struct task *waiter; /* or NULL */
    enum why why;        /* what has happened and was not told yet */
};

static void happened(struct waiting *waiting, enum why why)
{
    if (waiting->why == NOTHING || waiting->why == TIME) /* that is dropped by the next wait */
        waiting->why = why;
    if (waiting->waiter)
        task_resume(waiting->waiter);
}

static void on_alarm(void *arg, int changed)
{
    happened(arg, changed ? CLOCK : TIME);
}

/* alarm.new() -> alarm. Raises 902. */
static int new_alarm(lua_State *L)
{
    struct waiting *waiting = lua_newuserdatauv(L, sizeof *waiting, 0);
    memset(waiting, 0, sizeof *waiting);
    luaL_setmetatable(L, ALARM);
    struct err e = ERR_INIT;
    waiting->alarm = alarm_new(vm_loop(vm_from(L)), on_alarm, waiting, &e);
    return waiting->alarm ? 1 : lua_err_raise(L, &e);
}

static void forget_waiter(void *arg)
{
    ((struct waiting *)arg)->waiter = NULL;
}

static int waited(lua_State *L, int status, lua_KContext ctx)
{
    (void)status;
    (void)ctx;
    struct waiting *waiting = luaL_checkudata(L, 1, ALARM);
    waiting->waiter = NULL;
    if (waiting->why == NOTHING) {
        waiting->waiter = task_current(L);
        return task_wait(L, forget_waiter, waiting, waited, 0);
    }
    lua_pushstring(L, words[waiting->why]);
    if (waiting->why != CLOSED)
        waiting->why = NOTHING;
    return 1;
}

/*
 * alarm:wait([at]) -> "time" at a time (microseconds since 1970; none: never), "clock" when the
 * clock was set, "rung" after alarm:ring(), "closed". Waits.
 */
static int alarm_wait(lua_State *L)
{
    struct waiting *waiting = luaL_checkudata(L, 1, ALARM);
    lua_Integer at = luaL_optinteger(L, 2, INT64_MAX);
    luaL_argcheck(L, !waiting->waiter, 1, "somebody waits for it already");
    struct err e = ERR_INIT;
    if (waiting->why == TIME)
        waiting->why = NOTHING; /* that was the time of the wait before */
    if (waiting->alarm && alarm_set(waiting->alarm, at, &e) < 0)
        return lua_err_raise(L, &e);
    task_current(L);
    return waited(L, LUA_OK, 0);
}

/* alarm:ring(): who waits, or waits next, gets "rung" */
static int alarm_ring(lua_State *L)
{
    happened(luaL_checkudata(L, 1, ALARM), RUNG);
    return 0;
}

/* alarm:close(): who waits gets "closed". Harmless when done twice. */
static int alarm_close(lua_State *L)
{
    struct waiting *waiting = luaL_checkudata(L, 1, ALARM);
    alarm_free(waiting->alarm);
    waiting->alarm = NULL;
    waiting->why = NOTHING;
    happened(waiting, CLOSED);
    return 0;
}

static int alarm_gc(lua_State *L)
{
    struct waiting *waiting = luaL_checkudata(L, 1, ALARM);
    alarm_free(waiting->alarm);
    waiting->alarm = NULL;
    return 0;
}

int luaopen_dex_alarm(lua_State *L)
{
    static const luaL_Reg methods[] = {
        { "wait", alarm_wait }, { "ring", alarm_ring }, { "close", alarm_close }, { NULL, NULL }
    };
    static const luaL_Reg meta[] = { { "__gc", alarm_gc },
                                     { "__close", alarm_close },
                                     { NULL, NULL } };
    static const luaL_Reg functions[] = { { "new", new_alarm }, { NULL, NULL } };
    luaL_newmetatable(L, ALARM);
    luaL_setfuncs(L, meta, 0);
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
    luaL_newlib(L, functions);
    return 1;
}
