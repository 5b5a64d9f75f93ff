/* dex.run: the execution of a plan, for Lua. */
#include <lauxlib.h>
#include <limits.h>
#include <string.h>

#include "run/modules.h"
#include "run/phase.h"
#include "run/run.h"
#include "script/lib_db.h"
#include "script/lua_err.h"

#define RUN "dex.run"

enum { CODE_CYCLE = 302 };

/* The functions' upvalue: a list of struct run in a userdata. */
static struct list *active_runs(lua_State *L)
{
    return lua_touserdata(L, lua_upvalueindex(1));
}

static int run_gc(lua_State *L)
{
    run_fini(luaL_checkudata(L, 1, RUN));
    return 0;
}

/* Whatever is wrong with the arguments is the calling code's mistake. */
static int misuse(lua_State *L, const char *what)
{
    return luaL_error(L, "dex.run.execute: %s", what);
}

/* Reads the list of nodes: into the graph, and `weights`. The list is on top of the stack. */
static void read_node(lua_State *L, struct dag *dag, double *weights, int index)
{
    if (lua_rawgeti(L, -1, index + 1) != LUA_TTABLE)
        misuse(L, "a node is a table");
    if (lua_getfield(L, -1, "id") != LUA_TSTRING || lua_getfield(L, -2, "kind") != LUA_TSTRING)
        misuse(L, "a node has the texts `id` and `kind`");
    lua_getfield(L, -3, "weight");
    weights[index] = luaL_optnumber(L, -1, 1);
    if (!(weights[index] >= 0))
        misuse(L, "a node's weight is not negative");
    lua_getfield(L, -4, "deps");
    lua_Integer count = lua_istable(L, -1) ? (lua_Integer)lua_rawlen(L, -1) : 0;
    for (lua_Integer i = 1; i <= count; i++) {
        lua_rawgeti(L, -1, i);
        lua_Integer dep = lua_tointeger(L, -1);
        if (dep < 1 || dep > dag_count(dag))
            misuse(L, "`deps` are indexes in the list of nodes");
        dag_edge(dag, (int)dep - 1, index);
        lua_pop(L, 1);
    }
    lua_pop(L, 5);
}

/* "a -> b -> a"; the list of nodes is on top of the stack. */
static int raise_cycle(lua_State *L, const int *path, int count)
{
    luaL_Buffer text;
    int nodes = lua_gettop(L);
    luaL_buffinit(L, &text);
    for (int i = 0; i <= count; i++) {
        lua_rawgeti(L, nodes, path[i % count] + 1);
        lua_getfield(L, -1, "id");
        lua_remove(L, -2);
        luaL_addvalue(&text);
        luaL_addstring(&text, i < count ? " -> " : "");
    }
    luaL_pushresult(&text);
    lua_err_pushf(L, CODE_CYCLE, "these nodes wait for each other: %s", lua_tostring(L, -1));
    return lua_error(L);
}

static const char *const further_handlers[] = { "start", "again", "skip", NULL };

static int is_handler(const char *name)
{
    for (int i = 0; i < PHASE_COUNT; i++)
        if (strcmp(phase_table[i].name, name) == 0)
            return i != PHASE_LEASE && i != PHASE_BEGIN && i != PHASE_COMMIT;
    for (const char *const *further = further_handlers; *further; further++)
        if (strcmp(*further, name) == 0)
            return 1;
    return 0;
}

static void check_handlers(lua_State *L, int handlers)
{
    if (!lua_istable(L, handlers))
        misuse(L, "`handlers` is a table of functions");
    for (lua_pushnil(L); lua_next(L, handlers); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING || !is_handler(lua_tostring(L, -2)))
            luaL_error(L, "dex.run.execute: there is no handler '%s'", luaL_tolstring(L, -2, NULL));
        if (!lua_isfunction(L, -1))
            luaL_error(L, "dex.run.execute: handler '%s' is no function", lua_tostring(L, -2));
    }
}

/* summary = {cancelled, reason, counts}. Raises the error of a handler that may not fail. */
static int push_summary(lua_State *L, const struct run *run)
{
    run_push(run, L, RUN_DEFECT);
    int defect = !lua_isnil(L, -1);
    lua_createtable(L, 0, 3);
    lua_pushboolean(L, run->cancelled);
    lua_setfield(L, -2, "cancelled");
    run_push(run, L, RUN_REASON);
    lua_setfield(L, -2, "reason");
    run_push(run, L, RUN_COUNTS);
    lua_setfield(L, -2, "counts");
    lua_pushnil(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, run);
    if (defect) {
        lua_pop(L, 1);
        return lua_error(L);
    }
    return 1;
}

enum { ARG_OPTIONS = 1, SLOT_RUN, SLOT_NODES };

static int ended(lua_State *L, int status, lua_KContext ctx)
{
    (void)status;
    (void)ctx;
    return push_summary(L, luaL_checkudata(L, SLOT_RUN, RUN));
}

static void cancel_orphan(void *arg)
{
    run_cancel(arg, "cancelled");
}

/* The task that waits was cancelled: the run ends by itself, and is kept alive by the registry
 * until then. */
static void leave(void *arg)
{
    struct run *run = arg;
    run->waiter = NULL;
    loop_defer(vm_loop(run->vm), cancel_orphan, run);
}

/* Stores what the run needs of Lua. */
static void store_values(lua_State *L, struct run *run)
{
    lua_createtable(L, RUN_REASON, 0);
    lua_pushvalue(L, SLOT_RUN);
    lua_rawseti(L, -2, RUN_SELF);
    lua_getfield(L, ARG_OPTIONS, "pool");
    run->pool = lua_isnil(L, -1) ? NULL : lib_db_check_pool(L, -1);
    lua_rawseti(L, -2, RUN_POOL);
    lua_pushvalue(L, SLOT_NODES);
    lua_rawseti(L, -2, RUN_NODES);
    lua_getfield(L, ARG_OPTIONS, "handlers");
    check_handlers(L, lua_gettop(L));
    lua_rawseti(L, -2, RUN_HANDLERS);
    lua_newtable(L);
    lua_rawseti(L, -2, RUN_COUNTS);
    lua_getfield(L, ARG_OPTIONS, "owner");
    lua_rawseti(L, -2, RUN_OWNER);
    lua_rawsetp(L, LUA_REGISTRYINDEX, run);
}

/* Fills run->dag, which the userdata frees whatever happens; pushes the weights' memory and gives
 * it. */
static const double *read_nodes(lua_State *L, struct run *run)
{
    lua_Unsigned n = lua_rawlen(L, SLOT_NODES);
    if (n > INT_MAX / 2)
        misuse(L, "too many nodes");
    double *weights = lua_newuserdatauv(L, (n ? n : 1) * sizeof *weights, 0);
    int *path = lua_newuserdatauv(L, (n ? n : 1) * sizeof *path, 0);
    lua_pushvalue(L, SLOT_NODES);
    run->dag = dag_new((int)n);
    for (int i = 0; i < (int)n; i++)
        read_node(L, run->dag, weights, i);
    dag_freeze(run->dag);
    int cycle = dag_cycle(run->dag, path);
    if (cycle > 0)
        raise_cycle(L, path, cycle);
    lua_pop(L, 2);
    return weights;
}

/*
 * run.execute{nodes=, threads=, pool=, fail_fast=, handlers=, owner=} -> summary. Waits until every
 * node is reported or skipped. `owner` is any value that tells the run from others. Raises for
 * wrong arguments, a cycle, and the error of a report or skip handler.
 */
static int run_execute(lua_State *L)
{
    luaL_checktype(L, ARG_OPTIONS, LUA_TTABLE);
    lua_settop(L, ARG_OPTIONS);
    struct task *task = task_current(L);
    lua_getfield(L, ARG_OPTIONS, "threads");
    lua_Integer threads = luaL_optinteger(L, -1, 1);
    lua_getfield(L, ARG_OPTIONS, "fail_fast");
    int fail_fast = lua_toboolean(L, -1);
    lua_settop(L, ARG_OPTIONS);
    struct run *run = lua_newuserdatauv(L, sizeof *run, 0);
    memset(run, 0, sizeof *run);
    list_init(&run->place);
    luaL_setmetatable(L, RUN);
    if (lua_getfield(L, ARG_OPTIONS, "nodes") != LUA_TTABLE || threads < 1)
        misuse(L, "`nodes` is a list, `threads` at least 1");
    run->fail_fast = fail_fast;
    const double *weights = read_nodes(L, run);
    store_values(L, run);
    run_start(run, vm_from(L), weights, threads > INT_MAX ? INT_MAX : (int)threads);
    if (run->over)
        return push_summary(L, run);
    list_append(active_runs(L), &run->place);
    run->waiter = task;
    return task_wait(L, leave, run, ended, 0);
}

/* Whether the run belongs to whom the value at `index` says, which may be nil: to anybody. */
static int is_of(lua_State *L, const struct run *run, int index)
{
    run_push(run, L, RUN_OWNER);
    int same = lua_isnoneornil(L, index) || lua_rawequal(L, -1, index);
    lua_pop(L, 1);
    return same;
}

/*
 * run.cancel(reason, owner): what SIGINT and SIGTERM do, to every run that is under way, or to
 * those of one owner. Does not wait.
 */
static int cancel(lua_State *L)
{
    const char *reason = luaL_optstring(L, 1, "cancelled");
    lua_settop(L, 2);
    list_each (place, active_runs(L)) {
        struct run *run = list_entry(place, struct run, place);
        if (is_of(L, run, 2))
            run_cancel(run, reason);
    }
    return 0;
}

/* run.hold(yes): whether the runs that are under way start no more nodes. Does not wait. */
static int hold(lua_State *L)
{
    int held = lua_toboolean(L, 1);
    list_each (place, active_runs(L))
        run_hold(list_entry(place, struct run, place), held);
    return 0;
}

static void push_kinds(lua_State *L, const struct phase *phase)
{
    lua_newtable(L);
    for (int i = 0; phase->skipped_by[i]; i++) {
        lua_pushstring(L, phase->skipped_by[i]);
        lua_rawseti(L, -2, i + 1);
    }
}

/* run.phases() -> the phases in order: {name=, transaction=, when=, does=, skipped_by={kinds}} */
static int phases(lua_State *L)
{
    lua_createtable(L, PHASE_COUNT, 0);
    for (int i = 0; i < PHASE_COUNT; i++) {
        const struct phase *phase = &phase_table[i];
        lua_createtable(L, 0, 5);
        lua_pushstring(L, phase->name);
        lua_setfield(L, -2, "name");
        lua_pushstring(L, phase_transaction_name(phase->transaction));
        lua_setfield(L, -2, "transaction");
        lua_pushstring(L, phase_when_name(phase->when));
        lua_setfield(L, -2, "when");
        lua_pushstring(L, phase->does);
        lua_setfield(L, -2, "does");
        push_kinds(L, phase);
        lua_setfield(L, -2, "skipped_by");
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

static const luaL_Reg functions[] = {
    { "execute", run_execute }, { "cancel", cancel }, { "hold", hold },
    { "phases", phases },       { NULL, NULL },
};

int luaopen_dex_run(lua_State *L)
{
    luaL_newmetatable(L, RUN);
    lua_pushcfunction(L, run_gc);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);
    luaL_newlibtable(L, functions);
    struct list *active = lua_newuserdatauv(L, sizeof *active, 0);
    list_init(active);
    luaL_setfuncs(L, functions, 1);
    return 1;
}
