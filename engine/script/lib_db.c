/* dex.db: pools of connections, and the private server (lib_db_private.c). */
#include "script/lib_db.h"

#include <lauxlib.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "script/lib_db_object.h"
#include "script/lib_db_private.h"
#include "script/lib_db_result.h"
#include "script/libs.h"
#include "script/lua_err.h"
#include "script/vm.h"

#define LEASE "dex.db.lease"

/* The registry's table of pool objects, weak, by their struct pool. */
static const char pools_key;

static struct db_pool_object *check_object(lua_State *L, int index)
{
    struct db_pool_object *object = luaL_checkudata(L, index, LIB_DB_POOL);
    if (!object->pool || object->closing)
        lua_err_misuse(L, DB_MISUSE, "this pool of connections is closed");
    return object;
}

struct pool *lib_db_check_pool(lua_State *L, int index)
{
    return check_object(L, index)->pool;
}

void lib_db_push_conn(lua_State *L, struct pool *pool, struct db_conn *conn)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &pools_key);
    lua_rawgetp(L, -1, pool);
    lib_db_conn_push(L, -1, conn, 0);
    lua_replace(L, -3);
    lua_pop(L, 1);
}

/* Parameters ------------------------------------------------------------------- */

/* What every connection of ours says unless it is told otherwise. Templates are UTF-8. */
static const struct {
    const char *keyword, *value;
} defaults[] = {
    { "client_encoding", "UTF8" },
    { "application_name", "dex-lua" },
};

/* Counts the entries of the table at 1, which are texts or numbers. */
static int count_params(lua_State *L)
{
    int n = 0;
    for (lua_pushnil(L); lua_next(L, 1); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING || !lua_isstring(L, -1))
            luaL_error(L, "dex.db.pool: parameters are texts by name");
        n++;
    }
    return n;
}

/*
 * Makes libpq's lists of the table at 1. They are pushed, and their texts belong to that table or
 * lie on the stack.
 */
static struct db_params read_params(lua_State *L)
{
    enum { DEFAULTS = sizeof defaults / sizeof *defaults };
    int n = 0, given = count_params(L);
    size_t size = (size_t)(given + DEFAULTS + 1) * sizeof(char *);
    const char **keywords = lua_newuserdatauv(L, size, 0);
    const char **values = lua_newuserdatauv(L, size, 0);
    struct db_params params = { keywords, values, 0 };
    luaL_checkstack(L, given + 4, "too many parameters");
    for (int i = 0; i < DEFAULTS; i++, n++) {
        keywords[n] = defaults[i].keyword; /* of two values libpq takes the later one */
        values[n] = defaults[i].value;
    }
    int key = lua_gettop(L) + 1;
    for (lua_pushnil(L); lua_next(L, 1);) {
        keywords[n] = lua_tostring(L, key);
        values[n] = luaL_tolstring(L, -1, NULL); /* stays, below the key */
        if (strcmp(keywords[n], "connect_timeout") == 0)
            params.connect_timeout = strtod(values[n], NULL);
        n++;
        lua_insert(L, key);
        lua_pop(L, 1);
        key++;
    }
    keywords[n] = values[n] = NULL;
    return params;
}

static int option(lua_State *L, const char *name, int otherwise)
{
    lua_getfield(L, 2, name);
    lua_Integer n = luaL_optinteger(L, -1, otherwise);
    lua_pop(L, 1);
    return n < 0 ? 0 : n > INT_MAX ? INT_MAX : (int)n;
}

/*
 * db.pool(params, {size=, retries=, on_notice=}) -> pool. `params` are libpq's keywords;
 * on_notice(severity, message) is called for each notice of the server, and may not wait. Does not
 * connect yet.
 */
static int db_pool(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 2);
    int size = option(L, "size", 1), retries = option(L, "retries", 0);
    luaL_argcheck(L, size >= 1, 2, "`size` is at least 1");
    struct db_pool_object *object = lua_newuserdatauv(L, sizeof *object, 1);
    memset(object, 0, sizeof *object);
    list_init(&object->conns);
    list_init(&object->notices);
    luaL_setmetatable(L, LIB_DB_POOL);
    lua_getfield(L, 2, "on_notice");
    lua_setiuservalue(L, 3, 1);
    struct db_params params = read_params(L);
    struct db_notices notices = { lib_db_on_notice, object };
    object->pool = pool_new(vm_loop(vm_from(L)), &pg_adapter, &params, size, retries, notices);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &pools_key);
    lua_pushvalue(L, 3);
    lua_rawsetp(L, -2, object->pool);
    lua_settop(L, 3);
    return 1;
}

/* Pools ------------------------------------------------------------------------ */

/* Somebody in line: a userdata on the waiting stack. */
struct lease {
    struct task *task;
    struct db_pool_object *object;
    struct db_conn *conn; /* that nobody has taken yet */
    struct err error;
};

static int lease_gc(lua_State *L)
{
    struct lease *lease = luaL_checkudata(L, 1, LEASE);
    if (lease->conn && lease->object->pool)
        pool_release(lease->object->pool, lease->conn);
    lease->conn = NULL;
    err_fini(&lease->error);
    return 0;
}

static void arrived(void *arg, struct db_conn *conn, struct err *e)
{
    struct lease *lease = arg;
    lease->conn = conn;
    if (e)
        err_move(&lease->error, e);
    task_resume(lease->task);
}

static void leave(void *arg)
{
    struct lease *lease = arg;
    if (lease->object->pool)
        pool_unwait(lease->object->pool, lease);
}

static int leased(lua_State *L, int status, lua_KContext ctx)
{
    (void)status;
    struct lease *lease = luaL_checkudata(L, (int)ctx, LEASE);
    if (!lease->conn)
        return lua_err_raise(L, &lease->error);
    struct db_conn *conn = lease->conn;
    lib_db_conn_push(L, 1, conn, 1);
    lease->conn = NULL;
    return 1;
}

/* pool:lease() -> connection. Waits for one to be free or made. Raises 403. */
static int pool_object_lease(lua_State *L)
{
    struct db_pool_object *object = check_object(L, 1);
    struct task *task = task_current(L);
    struct lease *lease = lua_newuserdatauv(L, sizeof *lease, 0);
    memset(lease, 0, sizeof *lease);
    lease->task = task;
    lease->object = object;
    luaL_setmetatable(L, LEASE);
    pool_lease(object->pool, arrived, lease);
    return task_wait(L, leave, lease, leased, lua_gettop(L));
}

/* pool:counts() -> {connecting=, idle=, leased=, leaving=, waiting=} */
static int pool_object_counts(lua_State *L)
{
    struct pool_counts counts = pool_counts(check_object(L, 1)->pool);
    lua_createtable(L, 0, 5);
    lua_pushinteger(L, counts.connecting);
    lua_setfield(L, -2, "connecting");
    lua_pushinteger(L, counts.idle);
    lua_setfield(L, -2, "idle");
    lua_pushinteger(L, counts.leased);
    lua_setfield(L, -2, "leased");
    lua_pushinteger(L, counts.leaving);
    lua_setfield(L, -2, "leaving");
    lua_pushinteger(L, counts.waiting);
    lua_setfield(L, -2, "waiting");
    return 1;
}

/* Nobody refers to it any more, or all that worked with it has ended. */
static int pool_object_gc(lua_State *L)
{
    struct db_pool_object *object = luaL_checkudata(L, 1, LIB_DB_POOL);
    list_each (place, &object->conns) {
        list_entry(place, struct db_conn_object, place)->conn = NULL;
        list_remove(place);
    }
    pool_free(object->pool);
    object->pool = NULL;
    lib_db_drop_notices(object);
    return 0;
}

/*
 * pool:close(): closes every connection. Nobody may be waiting on one of them, or for one. When a
 * run is still at work with them, the pool takes no new work, and its connections are closed when
 * that run has ended and nobody refers to the pool any more. Harmless when done twice. Does not
 * wait.
 */
static int pool_object_close(lua_State *L)
{
    struct db_pool_object *object = luaL_checkudata(L, 1, LIB_DB_POOL);
    if (object->pool && pool_is_held(object->pool)) {
        object->closing = 1;
        return 0;
    }
    return pool_object_gc(L);
}

static void open_pools(lua_State *L)
{
    static const luaL_Reg methods[] = {
        { "lease", pool_object_lease },
        { "counts", pool_object_counts },
        { "close", pool_object_close },
        { NULL, NULL },
    };
    luaL_newmetatable(L, LEASE);
    lua_pushcfunction(L, lease_gc);
    lua_setfield(L, -2, "__gc");
    luaL_newmetatable(L, LIB_DB_POOL);
    lua_pushcfunction(L, pool_object_gc);
    lua_setfield(L, -2, "__gc");
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    lua_newtable(L);
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "v");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &pools_key);
    lua_pop(L, 2);
}

int luaopen_dex_db(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "pool", db_pool },
        { "private", lib_db_private },
        { NULL, NULL },
    };
    lib_db_result_open(L);
    lib_db_conn_open(L);
    lib_db_private_open(L);
    open_pools(L);
    luaL_newlib(L, functions);
    return 1;
}
