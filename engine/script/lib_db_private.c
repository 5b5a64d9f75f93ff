#include "script/lib_db_private.h"

#include <lauxlib.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "db/private.h"
#include "db/private_bin.h"
#include "io/child.h"
#include "script/lua_err.h"
#include "script/task.h"
#include "script/vm.h"

#define HANDLE "dex.db.private"
#define PSQL "dex.db.psql"

struct handle {
    struct private *p; /* NULL until it could be made */
    char *socket;      /* of the last ensure */
};

static struct handle *check(lua_State *L)
{
    return luaL_checkudata(L, 1, HANDLE);
}

static int handle_gc(lua_State *L)
{
    struct handle *handle = check(L);
    private_free(handle->p);
    mem_free(handle->socket);
    handle->p = NULL;
    handle->socket = NULL;
    return 0;
}

int lib_db_private(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_getfield(L, 1, "dir");
    const char *dir = luaL_checkstring(L, -1);
    struct handle *handle = lua_newuserdatauv(L, sizeof *handle, 0);
    memset(handle, 0, sizeof *handle);
    luaL_setmetatable(L, HANDLE);
    struct err e = ERR_INIT;
    handle->p = private_new(vm_loop(vm_from(L)), dir, &e);
    return handle->p ? 1 : lua_err_raise(L, &e);
}

static void resume(void *task)
{
    task_resume(task);
}

static void cancel(void *arg)
{
    private_cancel(arg);
}

/* Waits for an action; `finish` then calls `result`. The handle stays at index 1. */
static int wait_for(lua_State *L, enum private_action action, lua_KFunction finish)
{
    struct handle *handle = check(L);
    lua_settop(L, 1);
    struct task *t = task_current(L);
    struct err e = ERR_INIT;
    if (private_begin(handle->p, action, resume, t, &e) < 0)
        return lua_err_raise(L, &e);
    return task_wait(L, cancel, handle->p, finish, 0);
}

/* What the action has left, or raises what it failed with. */
static const struct private_state *result(lua_State *L)
{
    const struct private_state *state;
    struct err e = ERR_INIT;
    if (private_result(check(L)->p, &state, &e) < 0)
        lua_err_raise(L, &e);
    return state;
}

static void set_text(lua_State *L, const char *key, const char *value)
{
    lua_pushstring(L, value); /* nil for NULL */
    lua_setfield(L, -2, key);
}

static void set_flag(lua_State *L, const char *key, int value)
{
    lua_pushboolean(L, value);
    lua_setfield(L, -2, key);
}

static int push_params(lua_State *L, int status, lua_KContext ctx)
{
    (void)status;
    (void)ctx;
    const struct private_state *state = result(L);
    struct handle *handle = check(L);
    mem_free(handle->socket);
    handle->socket = mem_strdup(state->socket);
    lua_createtable(L, 0, 5);
    set_text(L, "host", state->socket);
    set_text(L, "port", PRIVATE_PORT);
    set_text(L, "user", PRIVATE_NAME);
    set_text(L, "dbname", PRIVATE_NAME);
    set_text(L, "application_name", "dex-lua");
    return 1;
}

static int push_nothing(lua_State *L, int status, lua_KContext ctx)
{
    (void)status;
    (void)ctx;
    result(L);
    return 0;
}

static int push_ran(lua_State *L, int status, lua_KContext ctx)
{
    (void)status;
    (void)ctx;
    lua_pushboolean(L, result(L)->ran);
    return 1;
}

static int push_status(lua_State *L, int status, lua_KContext ctx)
{
    (void)status;
    (void)ctx;
    const struct private_state *state = result(L);
    lua_createtable(L, 0, 7);
    set_flag(L, "running", state->running);
    set_flag(L, "exists", state->exists);
    set_flag(L, "kept", state->kept);
    if (state->pid) {
        lua_pushinteger(L, state->pid);
        lua_setfield(L, -2, "pid");
    }
    set_text(L, "socket", state->socket);
    set_text(L, "data", state->data);
    set_text(L, "version", state->version);
    return 1;
}

static int private_ensure(lua_State *L)
{
    return wait_for(L, PRIVATE_ENSURE, push_params);
}

static int private_release(lua_State *L)
{
    return wait_for(L, PRIVATE_RELEASE, push_nothing);
}

static int private_start(lua_State *L)
{
    return wait_for(L, PRIVATE_START, push_nothing);
}

static int private_stop(lua_State *L)
{
    return wait_for(L, PRIVATE_STOP, push_ran);
}

static int private_status(lua_State *L)
{
    return wait_for(L, PRIVATE_STATUS, push_status);
}

static int private_destroy(lua_State *L)
{
    return wait_for(L, PRIVATE_DESTROY, push_ran);
}

/* psql while it runs; a userdata on the stack of whoever waits for it. */
struct psql {
    struct child *child;
    struct task *task;
    int status;
};

static void psql_ended(void *arg, int status)
{
    struct psql *psql = arg;
    psql->status = status;
    task_resume(psql->task);
}

static void psql_stop(void *arg)
{
    struct psql *psql = arg;
    child_free(psql->child);
    psql->child = NULL;
}

static int psql_gc(lua_State *L)
{
    psql_stop(luaL_checkudata(L, 1, PSQL));
    return 0;
}

static int push_exit(lua_State *L, int status, lua_KContext ctx)
{
    (void)status;
    (void)ctx;
    struct psql *psql = luaL_checkudata(L, -1, PSQL);
    psql_stop(psql);
    lua_pushinteger(L, psql->status < 0 ? 128 - psql->status : psql->status);
    return 1;
}

/* Starts psql on the server with the arguments, strings that live on `L`. */
static struct child *psql_start(lua_State *L, struct psql *psql, const char *socket,
                                const char **argv, struct err *e)
{
    char *program = private_bin_psql(e);
    if (!program)
        return NULL;
    char *host = mem_printf("PGHOST=%s", socket);
    /* what would lead libpq elsewhere goes; an argument of the user's own still may */
    const char *const env[] = { host,
                                "PGPORT=" PRIVATE_PORT,
                                "PGUSER=" PRIVATE_NAME,
                                "PGDATABASE=" PRIVATE_NAME,
                                "PGHOSTADDR",
                                "PGSERVICE",
                                "PGPASSWORD",
                                "PGREQUIREPEER",
                                "PGREQUIREAUTH",
                                "PGCHANNELBINDING",
                                "PGTARGETSESSIONATTRS",
                                NULL };
    argv[0] = program;
    struct child_spec spec = {
        .argv = argv,
        .env = env,
        .stdio = { CHILD_INHERIT, CHILD_INHERIT, CHILD_INHERIT },
        .place = CHILD_FOREGROUND,
    };
    struct child *child = child_start(vm_loop(vm_from(L)), &spec, psql_ended, psql, e);
    mem_free(host);
    mem_free(program);
    return child;
}

static int private_psql(lua_State *L)
{
    struct handle *handle = check(L);
    if (!handle->socket)
        return lua_err_misuse(L, PRIVATE_SYSTEM, "psql needs the server to run: call ensure first");
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 2);
    lua_Integer n = luaL_len(L, 2);
    luaL_checkstack(L, (int)n + 8, "too many arguments");
    const char **argv = lua_newuserdatauv(L, ((size_t)n + 2) * sizeof *argv, 0);
    for (lua_Integer i = 1; i <= n; i++) {
        lua_geti(L, 2, i);
        argv[i] = luaL_checkstring(L, -1);
    }
    argv[n + 1] = NULL;
    struct psql *psql = lua_newuserdatauv(L, sizeof *psql, 0);
    memset(psql, 0, sizeof *psql);
    luaL_setmetatable(L, PSQL);
    psql->task = task_current(L);
    struct err e = ERR_INIT;
    psql->child = psql_start(L, psql, handle->socket, argv, &e);
    if (!psql->child)
        return lua_err_raise(L, &e);
    return task_wait(L, psql_stop, psql, push_exit, 0);
}

static const luaL_Reg methods[] = {
    { "ensure", private_ensure },   { "release", private_release },
    { "start", private_start },     { "stop", private_stop },
    { "status", private_status },   { "psql", private_psql },
    { "destroy", private_destroy }, { NULL, NULL },
};

void lib_db_private_open(lua_State *L)
{
    luaL_newmetatable(L, HANDLE);
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, handle_gc);
    lua_setfield(L, -2, "__gc");
    luaL_newmetatable(L, PSQL);
    lua_pushcfunction(L, psql_gc);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 2);
}
